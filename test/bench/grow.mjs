// How cost grows: from a few connections to nearly as many as one process may have files, and from one channel to one for
// each connection. As many deliveries a second in every step: the cost of a send falls as the machine gets busier.
import { setTimeout as delay } from 'node:timers/promises';
import { startNode } from './processes.mjs';
import { ROWS, windowFigures } from './rows.mjs';
import { SERVERS } from './servers.mjs';
import { startSidestream } from './sidestream.mjs';
import { median } from './stats.mjs';
import { measure, steady } from './windows.mjs';
import { target } from './workload.mjs';

/** Deliveries a second for each of `connections`. */
const RATE = 2;
/** Of `connections`. */
const SIZES = [0.01, 0.1, 1, 1.9];
const CHANNELS = [0.0001, 0.001, 0.01, 0.1, 1];
/** Between a channel's events in the largest step lies less. */
const HEARTBEAT_S = 2;
/** Each connection's heartbeat comes at least once in it. */
const IDLE_S = 2 * HEARTBEAT_S;
const IN_FLIGHT = 100;

/**
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runGrow(options, surroundings, say) {
  const wanted = (kind) => options.rows.some((row) => ROWS[row].channels === kind);
  return [
    ...(wanted('grow-connections') ? await growConnections(options, surroundings, say) : []),
    ...(wanted('grow-channels') ? await growChannels(options, surroundings, say) : []),
  ];
}

async function growConnections(options, surroundings, say) {
  const starts = { sidestream: () => startSidestream(surroundings, GROWING) };
  if (options.peers.includes('uws')) starts.uws = () => SERVERS.uws.start(surroundings);
  const parties = [];
  for (const [name, startOne] of Object.entries(starts)) parties.push(await party(name, startOne));
  const restMicros = await restCost(parties[0].server);
  const results = [];
  let first;
  let open = 0;
  for (const size of steps(SIZES, options.connections, options.mostConnections)) {
    for (const { name, server, load } of parties) {
      say(`grow-connections: ${name}, ${size}`);
      const wanted = { port: server.port, path: server.paths.shared, from: open, count: size - open };
      await load.ask('sampling', { every: Math.max(1, Math.floor(size / 100)) });
      await load.ask('connect', { ...wanted, inFlight: IN_FLIGHT });
    }
    open = size;
    const plan = { perSecond: (RATE * options.connections) / size, burst: 1, connections: size };
    const windows = await inTurns(parties, options, say, (each, seconds) =>
      steady(each, { ...plan, seconds }),
    );
    const idleMicros = await heartbeatCost(parties[0].server, restMicros);
    const [own, bare] = windows;
    first ??= own;
    const figures = windowFigures('grow-connections', `${size} connections`, own, bare);
    const idle = `${idleMicros.toFixed(1)} µs a heartbeat of an idle connection`;
    results.push({ ...figures, idleMicros, growth: growth(own, first), remark: idle });
  }
  await Promise.all(parties.flatMap(({ server, load }) => [load.stop(), server.stop()]));
  return results;
}

const GROWING = { name: 'grow', heartbeat: `${HEARTBEAT_S}s` };

async function growChannels(options, surroundings, say) {
  const one = await party('sidestream', () => startSidestream(surroundings, { name: 'channels' }));
  const { server, load } = one;
  const { connections } = options;
  await load.ask('sampling', { every: Math.max(1, Math.floor(connections / 100)) });
  const results = [];
  let first;
  for (const channels of steps(CHANNELS, connections)) {
    say(`grow-channels: ${channels}`);
    const wanted = { port: server.port, path: server.paths.own, from: 0, count: connections, channels };
    await load.ask('connect', { ...wanted, inFlight: IN_FLIGHT });
    const [windows] = await inTurns([one], options, say, (each, seconds) =>
      round(each, { seconds, connections, channels }),
    );
    first ??= windows;
    const name = channels === 1 ? '1 channel' : `${channels} channels`;
    const figures = windowFigures('grow-channels', name, windows, first);
    results.push({ ...figures, growth: growth(windows, first) });
    await load.ask('disconnect');
    while ((await server.connections()) > 0) await delay(20);
  }
  await Promise.all([load.stop(), server.stop()]);
  return results;
}

/** One event to each channel in its turn. */
function round({ server, load }, { seconds, connections, channels }) {
  return measure({ server, load }, async () => {
    const plan = { perSecond: RATE * channels, seconds, connections: channels };
    const events = await server.publish('spread', plan);
    let deliveries = 0;
    for (let n = 0; n < events; n++) deliveries += subscribersOf(target(n, channels), connections, channels);
    return deliveries;
  });
}

/** Connections go round the channels. */
function subscribersOf(channel, connections, channels) {
  return Math.floor(connections / channels) + (channel < connections % channels ? 1 : 0);
}

async function party(name, startOne) {
  const [server, load] = [await startOne(), startNode('load.mjs')];
  await load.ready;
  return { name, server, load };
}

/** @returns {number[]} no step twice */
function steps(shares, connections, most = connections) {
  const of = (share) => Math.min(most, Math.max(1, Math.round(share * connections)));
  return [...new Set(shares.map(of))];
}

/** @returns {Promise<import('./windows.mjs').Window[][]>} by party */
async function inTurns(parties, { rounds, seconds, warmUpSeconds }, say, run) {
  const windows = parties.map(() => []);
  for (const each of parties) await run(each, warmUpSeconds);
  for (let i = 0; i < rounds; i++) {
    for (const [at, each] of parties.entries()) {
      say(`${each.name}, round ${i + 1} of ${rounds}`);
      windows[at].push(await run(each, seconds));
    }
  }
  return windows;
}

/** CPU µs of a process in that time, while nothing happens. */
async function restCost(server) {
  const before = await server.cpuMicros();
  await delay(IDLE_S * 1000);
  return (await server.cpuMicros()) - before;
}

/** CPU µs for each of the heartbeats that go out while nothing else does. */
async function heartbeatCost(server, restMicros) {
  const sent = () => server.metric('sidestream_heartbeats_total');
  const before = await sent();
  const cpuMicros = await restCost(server);
  return (cpuMicros - restMicros) / ((await sent()) - before);
}

function growth(windows, first) {
  const cost = (window) => window.cpuMicros / window.delivered;
  return median(windows.map((window) => cost(window))) / median(first.map((window) => cost(window)));
}
