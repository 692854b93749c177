// `npm run demo`: nats-server, Sidestream and somebody's service, on this machine, until Ctrl-C.
import { parseArgs } from 'node:util';
import { Children } from './children.mjs';
import { say } from './command.mjs';
import { ensureBuild, ensureDependencies } from './dependencies.mjs';
import { ensureNatsServer } from './nats-server.mjs';
import { startParts } from './parts.mjs';
import { prove } from './proof.mjs';

const USAGE = `Usage: npm run demo -- [options]

Starts nats-server, Sidestream and a service that publishes prices, a chat, a task's progress, a log, orders,
settings and notices to single users, and serves a page that shows them, who is online and what is unread, can cut
a line of its own, and lets an operator act. Ctrl-C stops all of it.

  --once      prove it: open the stream, see events of every channel, another visitor come and go, notices be counted
              and read, an operator move a stream; print them, drain, exit 0
  --verbose   show what every part writes
  --help

NATS_URL=URL uses a NATS server that already runs, and leaves the streams DEMO_ORDERS and DEMO_NOTICES and the
key-value buckets demo_* there; without JetStream there are no orders, no settings and no notices. Ports 8000 (page), 8080 (events),
9090 (metrics) and 4222 (NATS) are used where they are free, others where they are not.`;

/** npm passes a Ctrl-C on that the terminal has sent to us already: within this time it is the same one. */
const SAME_SIGNAL_MS = 500;

/** How often to look whether npm still lives; it does not pass every signal on that ends it. */
const PARENT_MS = 500;

function onLostParent(listener) {
  const parent = process.ppid;
  // Whoever starts this file without npm may mean it to stay when his shell goes.
  if (process.env.npm_lifecycle_event === undefined) return;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    listener();
  }, PARENT_MS);
  timer.unref();
}

/** Resolves at the first signal, or when npm is gone; at a second signal everything is killed. */
function interruption(children) {
  return new Promise((resolve) => {
    let first;
    const onSignal = () => {
      if (first === undefined) {
        first = Date.now();
        resolve();
      } else if (Date.now() - first > SAME_SIGNAL_MS) {
        children.kill();
        process.exit(130);
      }
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal);
    onLostParent(onSignal);
  });
}

function banner({ page, events, ops, nats }) {
  const server = process.env.NATS_URL ? '"$NATS_URL"' : nats; // theirs may hold a password
  return `
  Open           ${page}
  The raw stream curl -N '${events}?channels=prices.ACME,chat-lobby'
  Publish        nats --server ${server} pub chat.room.lobby 'hello from NATS'
  or without it  curl -d from=me -d text=hello ${page}say
  Who is there   nats --server ${server} req demo.api.connections ''
  Metrics        ${ops}/metrics

  Ctrl-C stops everything.
`;
}

/** What the children write is shown as far as it tells of the stream; a proof has its own output. */
function printer({ once, verbose }) {
  const isShown = (name) => verbose || (!once && (name === 'sidestream' || name === 'backend'));
  return (name, line) => {
    if (isShown(name)) process.stderr.write(`${name.padEnd(11)} │ ${line}\n`);
  };
}

async function run(children, natsServer, { once }) {
  const urls = await startParts(children, { natsServer, anyPort: once });
  if (once) return prove(urls, children);
  console.log(banner(urls));
  return children.failure;
}

function options(args) {
  const flag = { type: 'boolean', default: false };
  return parseArgs({ args: [...args], options: { once: flag, verbose: flag, help: flag } }).values;
}

/**
 * @param {readonly string[]} args
 * @returns {Promise<number>} 0 after Ctrl-C or a proof; 2 for an unknown option
 * @throws {SetupError} when a part cannot be started, or ends on its own
 */
export async function demo(args) {
  let chosen;
  try {
    chosen = options(args);
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (chosen.help) {
    console.log(USAGE);
    return 0;
  }
  await ensureDependencies();
  await ensureBuild();
  return play(process.env.NATS_URL ? undefined : await ensureNatsServer(), chosen);
}

async function play(natsServer, chosen) {
  const children = new Children(printer(chosen));
  const interrupted = interruption(children).then(() => {
    say('stopping');
    return chosen.once ? 1 : 0;
  });
  let code;
  let ends;
  try {
    code = await Promise.race([run(children, natsServer, chosen), interrupted]);
  } finally {
    ends = await children.stop();
  }
  if (ends.sidestream === undefined || ends.sidestream === 'exit code 0') return code;
  say(`sidestream did not drain: ${ends.sidestream}`);
  return 1;
}
