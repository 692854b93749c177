// `npm run bench`: see --help, and docs/performance.md for how to read what it prints.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runGrow } from './grow.mjs';
import { runMemory } from './memory.mjs';
import { HELP, parseOptions } from './options.mjs';
import { runPhase } from './phase.mjs';
import { runPoll } from './poll.mjs';
import { openFileLimit, stopAll } from './processes.mjs';
import { profileText } from './profile.mjs';
import { runResume } from './resume.mjs';
import { BASES, ROWS } from './rows.mjs';
import { SERVERS, startNats } from './servers.mjs';
import { runShaped } from './shaped.mjs';
import { MAIN } from './sidestream.mjs';
import { runSlices } from './slices.mjs';
import { runSlow } from './slow.mjs';
import { runStorm } from './storm.mjs';
import { table, targets } from './table.mjs';
import { runTail } from './tail.mjs';

const say = (line) => process.stderr.write(process.stderr.isTTY ? `\x1b[2K\r${line}` : `${line}\n`);

async function main() {
  const options = readOptions();
  const skipped = options.peers.filter((name) => SERVERS[name].why());
  const peers = options.peers.filter((name) => !SERVERS[name].why());
  if (skipped.includes('sidestream')) throw new Error(SERVERS.sidestream.why());

  const folder = mkdtempSync(join(tmpdir(), 'sidestream-bench-'));
  const end = async () => {
    await stopAll();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, () => end().finally(() => process.exit(1)));
  try {
    const natsUrl = peers.includes('sidestream') ? await startNats(join(folder, 'jetstream')) : '';
    const { nodeArgs, main = MAIN } = options;
    const profiles = options.isProfiled ? [] : undefined;
    const surroundings = { folder, natsUrl, main, nodeArgs, profiles };
    const results = [];
    for (const channels of Object.keys(BASES)) {
      results.push(...(await runPhase(channels, { ...options, peers }, surroundings, say)));
    }
    for (const run of peers.includes('sidestream') ? OWN_RUNS : [])
      results.push(...(await run({ ...options, peers }, surroundings, say)));
    print({ options, results: inOrder(results), skipped, profiles });
    const isOwn = ({ server }) => server === 'sidestream' || !Object.hasOwn(SERVERS, server);
    return results.some((figures) => isOwn(figures) && figures.note) ? 1 : 0;
  } finally {
    await end();
  }
}

/** The rows that are of Sidestream alone. */
const OWN_RUNS = [runSlices, runSlow, runPoll, runShaped, runGrow, runMemory, runResume, runTail, runStorm];

function readOptions() {
  try {
    const options = parseOptions(process.argv.slice(2), openFileLimit());
    if (options !== 'help') return options;
    process.stdout.write(HELP);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

const inOrder = (results) =>
  Object.keys(ROWS).flatMap((row) => results.filter((figures) => figures.row === row));

function print({ options, results, skipped, profiles }) {
  say('');
  const machine = {
    node: process.version,
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
  };
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ options, machine, results, profiles }, null, 2)}\n`);
    return;
  }
  const { connections, rounds, seconds } = options;
  const lines = [
    `${connections} connections per server, 128 B events, ${rounds} windows of ${seconds.toFixed(1)} s in turns; median.`,
    `Node ${machine.node}, ${machine.cores} cores, ${machine.cpu}. Compare within one run only.`,
    '',
    table(results),
    '',
    targets(results, connections),
    ...skipped.map((name) => `${name} left out: ${SERVERS[name].why()}`),
    ...(profiles ? ['', profileText(profiles)] : []),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

process.exitCode = await main().catch((error) => {
  process.stderr.write(`\n${error.stack ?? error}\n`);
  return 1;
});
