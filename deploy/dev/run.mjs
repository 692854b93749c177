// `npm run demo`, `npm test`, `npm run bench`, `stress`, `soak`, `test:newest-uws`, `test:publishers`, `test:chart`, `test:release`: sets up what is missing, says what it did, then does the job.
// Until the dependencies are installed only node: modules may be imported, so everything else is loaded late; and
// the check of Node's version comes first, because the rest is written for it.

const OLDEST_NODE = 20;

const USAGE = `Usage: node deploy/dev/run.mjs <demo|test|bench|stress|soak|newest-uws|publishers|chart|release> [options]

  demo [--once] [--verbose]   nats-server, Sidestream and a publisher, and a page that shows the events
  test [vitest arguments]     format, lint, types and all tests; with arguments only the tests they select
  bench [--help] [options]    the benchmarks
  stress [--help] [options]   a long run in which everything fails, checked to the last event
  soak [--help] [options]     clients that come and go for minutes; whether memory and descriptors stay flat
  newest-uws [vitest args]    the tests of what the newest uWebSockets.js does, where this Node or libc loads an older one
  publishers [vitest args]    the publishers of every language whose tools are there (minutes: Rust and Java are built)
  chart                       the tests of the Helm chart, with kubectl-validate (minutes: it is built)
  release                     builds the image and runs the end-to-end tests with the program inside it; then chart and publishers
    --if-changed              the image alone, and only where what it is made of has changed since it passed

Set-up, where it is needed: the dependencies (npm ci), the build (tsc), nats-server.
  NATS_SERVER_BIN=FILE        this nats-server
  NATS_URL=URL                demo: a NATS server that already runs
  CHROMIUM_BIN=FILE           test: this Chromium
  NATS_CLI_BIN=FILE           test: this nats command
  HELM_BIN=FILE               test: this helm
  KUBECTL_VALIDATE_BIN=FILE   test: this kubectl-validate
  PROMETHEUS_BIN=FILE         test: this Prometheus, with promtool beside it
  NGINX_BIN, HAPROXY_BIN, CADDY_BIN, ENVOY_BIN, TRAEFIK_BIN=FILE   test: these proxies; Traefik's tests run only so
  SIDESTREAM_NO_INSTALL=1     never install anything on this machine; say what is missing instead`;

/** The jobs, and what each needs before it starts. */
const JOBS = {
  demo: async (args) => (await import('./demo.mjs')).demo(args),
  test: async (args) => (await import('./test.mjs')).test(args),
  bench: async (args) => (await import('./bench.mjs')).bench(args),
  stress: async (args) => (await import('./stress.mjs')).stress(args),
  soak: async (args) => (await import('./soak.mjs')).soak(args),
  release: async (args) => (await import('./release.mjs')).release(args),
  chart: async () => (await import('./chart.mjs')).testChart(),
  publishers: async (args) => (await import('./publishers.mjs')).testPublishers(args),
  'newest-uws': async (args) => (await import('./newest-uws.mjs')).testNewestUws(args),
};

async function main([job, ...args]) {
  if (job === '--help' || job === '-h') {
    console.log(USAGE);
    return 0;
  }
  if (!Object.hasOwn(JOBS, job ?? '')) {
    console.error(`${job === undefined ? 'Which job?' : `Unknown job "${job}".`}\n\n${USAGE}`);
    return 2;
  }
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    console.error(
      `Sidestream needs Node ${OLDEST_NODE} or newer; this is ${process.version} (${process.execPath}).`,
    );
    return 1;
  }
  return JOBS[job](args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // A set-up error says all there is to say; of anything else the stack is wanted.
  console.error(error?.name === 'SetupError' ? `\n${error.message}` : error);
  process.exitCode = 1;
}
