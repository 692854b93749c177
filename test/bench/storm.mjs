// The storm: thousands of clients at once, each with a token of its own, while a channel is live. What they cost, and
// what the subscribers of that channel notice of it.
import { setTimeout as delay } from 'node:timers/promises';
import { startNode } from './processes.mjs';
import { ROWS, trouble } from './rows.mjs';
import { VARIANTS } from './servers.mjs';
import { median, quantile } from './stats.mjs';
import { during, steady } from './windows.mjs';

/** Requests that are under way at a time; uWebSockets.js' backlog is 512, and beyond it the kernel makes clients wait. */
export const IN_FLIGHT = 400;

/** What is live meanwhile: events a second to how many subscribers. */
export const liveChannel = ({ connections }) => ({ perSecond: 20, connections: Math.min(200, connections) });

/**
 * @typedef {object} Storm
 * @property {number} stormSeconds until the last client was answered
 * @property {number} stormCpuMicros of the server, less what the live channel takes
 * @property {number} crowdCpuMicros of the clients that come
 * @typedef {import('./windows.mjs').Window & Storm} StormWindow
 */

/**
 * Half as many clients as `connections`, in rounds of three windows: nothing but the live channel; beside it clients
 * with tokens never seen before; and the same clients again.
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runStorm(options, surroundings, say) {
  if (!options.rows.some((row) => ROWS[row].channels === 'storm')) return [];
  say('storm: starting sidestream');
  const server = await VARIANTS.token.sidestream(surroundings);
  const [load, crowd] = [startNode('load.mjs'), startNode('load.mjs')];
  await Promise.all([load.ready, crowd.ready]);
  const count = Math.ceil(options.connections / 2);
  const live = liveChannel(options);
  await load.ask('sampling', { every: 1 });
  await open(load, server, 'token', live.connections);
  const rounds = [];
  for (let round = -1; round < options.rounds; round++) {
    say(round < 0 ? 'storm: warms up' : `storm: round ${round + 1} of ${options.rounds}`);
    const seconds = round < 0 ? options.warmUpSeconds : options.seconds;
    const windows = await stormRound({ server, load, crowd }, { ...live, seconds, count });
    if (round >= 0) rounds.push(windows);
  }
  await Promise.all([load, crowd, server].map((each) => each.stop()));
  return stormFigures(rounds, count);
}

async function open(client, { port, paths, privateKey }, kind, count) {
  await client.ask('sign', { privateKey, count });
  await client.ask('connect', { port, path: paths[kind], from: 0, count, inFlight: IN_FLIGHT });
}

/** @returns {Promise<{ quiet: import('./windows.mjs').Window, fresh: StormWindow, known: StormWindow }>} */
async function stormRound({ server, load, crowd }, { seconds, count, ...live }) {
  const party = { name: 'storm', server, load };
  const { port, paths, privateKey } = server;
  await crowd.ask('sign', { privateKey, count });
  const quiet = await steady(party, { ...live, burst: 1, seconds });
  const storm = async () => {
    const task = () =>
      crowd.ask('connect', { port, path: paths.silent, from: 0, count, inFlight: IN_FLIGHT });
    const window = await crowded({ ...party, crowd }, { live, quiet, task });
    await crowd.ask('disconnect');
    while ((await server.connections()) > live.connections) await delay(20);
    return window;
  };
  const fresh = await storm();
  const known = await storm();
  return { quiet, fresh, known };
}

/**
 * A crowd does `task` while the live channel goes on.
 * @param {import('./windows.mjs').Party & { crowd: import('./processes.mjs').Process }} party
 * @param {{ live: { perSecond: number, connections: number }, quiet: import('./windows.mjs').Window, task: () => Promise<unknown> }} plan
 *   `quiet`: the live channel by itself
 * @returns {Promise<StormWindow>}
 */
export async function crowded({ crowd, ...party }, { live, quiet, task }) {
  const before = await crowd.ask('cpuMicros');
  let stormSeconds = 0;
  const timed = async () => {
    const start = performance.now();
    await task();
    stormSeconds = (performance.now() - start) / 1000;
  };
  const window = await during(party, { ...live, task: timed });
  const crowdCpuMicros = (await crowd.ask('cpuMicros')) - before;
  const quietCpuMicros = (quiet.cpuMicros / quiet.seconds) * window.seconds;
  return { ...window, stormSeconds, stormCpuMicros: window.cpuMicros - quietCpuMicros, crowdCpuMicros };
}

function stormFigures(rounds, count) {
  const of = (kind) => rounds.map((windows) => windows[kind]);
  const verifyMicros = median(
    rounds.map(({ fresh, known }) => (fresh.stormCpuMicros - known.stormCpuMicros) / count),
  );
  const storm = (server, windows) => crowdedFigures({ row: 'storm', server, windows, count });
  const fresh = storm('new tokens', of('fresh'));
  return [
    { ...fresh, verifyMicros, remark: `${fresh.remark}, ${verifyMicros.toFixed(0)} µs a verification` },
    storm('known tokens', of('known')),
    quietFigures('storm', of('quiet')),
  ];
}

/**
 * The CPU is per client that comes; the latencies are the live channel's.
 * @param {{ row: string, server: string, windows: readonly StormWindow[], count: number }} storm
 * @returns {import('./rows.mjs').Figures}
 */
export function crowdedFigures({ row, server, windows, count }) {
  const stormSeconds = median(windows.map((window) => window.stormSeconds));
  return {
    row,
    server,
    cpuMicros: median(windows.map(({ stormCpuMicros }) => stormCpuMicros / count)),
    stormSeconds,
    ...latencies(windows),
    clientBusy: median(windows.map((window) => window.crowdCpuMicros / 1e6 / window.stormSeconds)),
    note: trouble(windows),
    remark: `${count} in ${stormSeconds.toFixed(2)} s`,
  };
}

/** The live channel by itself. @param {readonly import('./windows.mjs').Window[]} windows */
export function quietFigures(row, windows) {
  return { row, server: 'no storm', ...latencies(windows), note: trouble(windows) };
}

function latencies(windows) {
  const latenciesMs = windows.flatMap((window) => window.latenciesMs);
  return { p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99) };
}
