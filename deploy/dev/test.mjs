// `npm test`: everything a change must pass, in the order in which it fails fastest.
import { join } from 'node:path';
import { ROOT, runProgram, say } from './command.mjs';
import { ensureCurrentNatsServer } from './current-nats-server.mjs';
import { ensureBuild, ensureDependencies } from './dependencies.mjs';
import { ensureDeployment } from './deployment.mjs';
import { ensureHelm } from './helm.mjs';
import { ensureNatsCli } from './nats-cli.mjs';
import { ensureNatsServer } from './nats-server.mjs';
import { ensurePrometheus } from './prometheus.mjs';
import { ensurePublishers, QUICK } from './publishers.mjs';
import { ensureChromium, ensureOpenssl } from './test-programs.mjs';

/** Biome colours what it writes into a CI's log, and makes it unreadable. */
const COLORS = process.stdout.isTTY ? [] : ['--colors=off'];

const STEPS = {
  'format and lint': ['@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', ...COLORS, '.'],
  types: ['typescript/bin/tsc', '--noEmit'],
  tests: ['vitest/vitest.mjs', 'run'],
};

/** What depends on the nats-server's version; run once more against a current one where the other is old. */
const VERSIONED = [
  'test/integration/stream-',
  'test/integration/kv',
  'test/integration/revocation',
  'test/integration/tickets',
  'test/integration/inbox',
  'test/integration/made-channels',
  'test/integration/publishing',
  'test/stress',
];

// Node runs the tools' own files: no shell and no npx between us and their exit codes.
const runTool = ([file, ...args], env) =>
  runProgram(process.execPath, [join(ROOT, 'node_modules', file), ...args], { show: 'all', env });

/** What of a tool is there where no test that was asked for uses it. */
const NONE = { variables: {}, missing: [] };

/** Whether vitest's arguments select tests below a folder: what only those use takes minutes to build. */
function wanted(args, folder) {
  const paths = args.filter((arg) => arg.startsWith('test/'));
  return paths.length === 0 || paths.some((path) => folder.startsWith(path) || path.startsWith(folder));
}

/** What the tests read from the environment: which programs to use, or why there is none. */
async function environment(args) {
  const natsServer = await ensureNatsServer();
  await ensureOpenssl();
  const chromium = await ensureChromium();
  if (chromium.why) say(`The tests in a browser will not run: ${chromium.why}.`);
  const natsCli = await ensureNatsCli();
  if (natsCli.why) say(`The documentation's lines run without the nats command: ${natsCli.why}.`);
  const prometheus = await ensurePrometheus();
  if (prometheus.why) say(`Alert rules and the dashboard's queries will not be tested: ${prometheus.why}.`);
  const helm = wanted(args, 'test/helm/') ? await ensureHelm({ validator: false }) : NONE;
  for (const line of helm.missing) say(`${line}.`);
  const deployment = await ensureDeployment();
  for (const line of deployment.missing) say(`${line}.`);
  return {
    ...process.env,
    ...helm.variables,
    ...deployment.variables,
    ...prometheusVariables(prometheus),
    NATS_SERVER_BIN: natsServer,
    ...(wanted(args, 'test/publishers/') && {
      SIDESTREAM_PUBLISHERS: process.env.SIDESTREAM_PUBLISHERS ?? (await ensurePublishers(QUICK)),
    }),
    ...(natsCli.file && { NATS_CLI_BIN: natsCli.file }),
    ...(chromium.why ? { SIDESTREAM_NO_CHROMIUM: chromium.why } : { CHROMIUM_BIN: chromium.file }),
  };
}

/** @param {Awaited<ReturnType<typeof ensurePrometheus>>} found */
function prometheusVariables({ server, promtool, why }) {
  return why === undefined
    ? { PROMETHEUS_BIN: server, PROMTOOL_BIN: promtool }
    : { SIDESTREAM_NO_PROMETHEUS: why };
}

/**
 * @param {readonly string[]} args vitest's; with any of them only the tests run, and of them what they select
 * @returns {Promise<number>} the first failing step's exit code
 */
export async function test(args) {
  await ensureDependencies();
  await ensureBuild();
  const env = await environment(args);
  const steps = args.length > 0 ? { tests: [...STEPS.tests, ...args] } : STEPS;
  for (const [name, command] of Object.entries(steps)) {
    say(name);
    const { code } = await runTool(command, env);
    if (code !== 0) {
      say(`${name}: failed`);
      return code;
    }
  }
  return args.length > 0 ? 0 : testVersions(env);
}

/** @returns {Promise<number>} vitest's exit code; 0 where there is no other server */
async function testVersions(env) {
  const current = await ensureCurrentNatsServer(env.NATS_SERVER_BIN);
  if (current.file === env.NATS_SERVER_BIN) return 0;
  if (current.why !== undefined) {
    say(`The tests of a current nats-server will not run: ${current.why}.`);
    return 0;
  }
  say('tests against a current nats-server');
  const { code } = await runTool([...STEPS.tests, ...VERSIONED], { ...env, NATS_SERVER_BIN: current.file });
  if (code !== 0) say('tests against a current nats-server: failed');
  return code;
}
