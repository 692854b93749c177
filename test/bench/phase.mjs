// All rows of one kind of channel: the servers start, the connections are opened, the windows are measured.
// Every server holds its connections at the same time and they are measured in turns, so that a noisy minute of the
// machine falls on all of them.
import { setTimeout as delay } from 'node:timers/promises';
import { startNode } from './processes.mjs';
import { BASES, connectFigures, idleFigures, ROWS, windowFigures } from './rows.mjs';
import { SERVERS, VARIANTS } from './servers.mjs';

/**
 * @param {keyof typeof BASES} channels
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runPhase(channels, options, surroundings, say) {
  const rows = options.rows.filter((row) => ROWS[row].channels === channels);
  if (rows.length === 0) return [];
  const parties = [];
  for (const [name, start] of contestants(channels, options.peers)) {
    say(`starting ${name}`);
    const [server, load] = [await start(surroundings), startNode('load.mjs')];
    await load.ready;
    await load.ask('sampling', { every: Math.max(1, Math.floor(options.connections / SAMPLED)) });
    parties.push({ name, server, load });
  }
  if (channels === 'token') for (const party of parties) await rehearse(party, options, say);
  // Of fewer connections, what the heap happens to do is more than what they take.
  const weighs = options.connections >= 2000 && rows.some((row) => row.startsWith('idle'));
  // In the other rows it would hide what is looked for.
  const isProfiled = options.isProfiled && rows.some((row) => row.startsWith('connect'));
  const opened = await openConnections(parties, channels, { ...options, weighs, isProfiled }, say);
  const base = BASES[channels];
  const results = connectionFigures(rows, opened, base);
  for (const row of rows.filter((name) => ROWS[name].run))
    results.push(...(await runRow(row, parties, { ...options, base }, say)));
  await Promise.all(parties.flatMap(({ server, load }) => [load.stop(), server.stop()]));
  return results;
}

/** Connections whose latency is taken, spread over all of them: who joined first is served first. */
const SAMPLED = 100;

function contestants(channels, peers) {
  const variants = VARIANTS[channels];
  if (variants === undefined) return peers.map((name) => [name, SERVERS[name].start]);
  return peers.includes('sidestream') ? Object.entries(variants) : [];
}

/** All connections once, and away again: whatever tokens they bring are known from here on. */
async function rehearse({ name, server, load }, { connections }, say) {
  say(`${name}: ${connections} connections come, go and will come back`);
  if (server.privateKey) await load.ask('sign', { privateKey: server.privateKey, count: connections });
  const { port, paths } = server;
  await load.ask('connect', { port, path: paths.token, from: 0, count: connections, inFlight: IN_FLIGHT });
  await load.ask('disconnect');
  while ((await server.connections()) > 0) await delay(20);
}

const IN_FLIGHT = 100;

/**
 * A tenth first: it warms the code up and fills the heap's spare room, so that the rest shows what a connection takes.
 * @returns {Promise<{ name: string, costs: number[], bytesPerConnection?: number }[]>} `costs`: CPU µs a connection, by portion
 */
async function openConnections(
  parties,
  channels,
  { connections, connectsPerSecond, rounds, weighs, isProfiled },
  say,
) {
  const first = Math.ceil(connections / 10);
  const portion = Math.floor((connections - first) / rounds);
  const open = ({ server, load }, from, count) =>
    load.ask('connect', {
      port: server.port,
      path: server.paths[channels],
      accept: server.accept,
      from,
      count,
      perSecond: connectsPerSecond,
    });
  const opened = [];
  for (const party of parties) {
    await open(party, 0, first);
    opened.push({
      party,
      name: party.name,
      costs: [],
      before: weighs && (await party.server.residentBytes()),
    });
  }
  for (let round = 0; round < rounds; round++) {
    const from = first + round * portion;
    const count = round === rounds - 1 ? connections - from : portion;
    for (const { party, costs } of opened) {
      say(`${party.name}: ${from + count} connections`);
      costs.push((await connectCost(party.server, isProfiled, () => open(party, from, count))) / count);
    }
  }
  for (const each of weighs ? opened : []) {
    each.bytesPerConnection =
      ((await each.party.server.residentBytes()) - each.before) / (connections - first);
  }
  return opened;
}

/** CPU of the server while `open` goes on, less what it uses when nothing happens. */
async function connectCost(server, isProfiled, open) {
  const used = async (task) => {
    const before = await server.cpuMicros();
    const start = performance.now();
    await task();
    return { cpuMicros: (await server.cpuMicros()) - before, ms: performance.now() - start };
  };
  if (isProfiled) await server.startProfile?.();
  const busy = await used(open);
  if (isProfiled) await server.stopProfile?.();
  const idle = await used(() => delay(IDLE_MS));
  return busy.cpuMicros - (idle.cpuMicros * busy.ms) / idle.ms;
}

const IDLE_MS = 200;

function connectionFigures(rows, opened, base) {
  const against = opened.find(({ name }) => name === base);
  return rows.flatMap((row) =>
    opened.flatMap(({ name, costs, bytesPerConnection }) => {
      if (row.startsWith('connect')) return [connectFigures(row, name, costs, against?.costs)];
      const weighed = row.startsWith('idle') && bytesPerConnection !== undefined;
      return weighed ? [idleFigures(row, name, bytesPerConnection)] : [];
    }),
  );
}

async function runRow(row, parties, options, say) {
  const { run, warmUp = run } = ROWS[row];
  const windows = new Map(parties.map(({ name }) => [name, []]));
  for (const party of parties) {
    say(`${row}: ${party.name} warms up`);
    await warmUp(party, { ...options, seconds: options.warmUpSeconds });
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const party of parties) {
      say(`${row}: ${party.name}, round ${round + 1} of ${options.rounds}`);
      windows.get(party.name).push(await run(party, options));
    }
  }
  return parties.map(({ name }) => windowFigures(row, name, windows.get(name), windows.get(options.base)));
}
