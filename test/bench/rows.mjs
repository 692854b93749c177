// The rows of the table: what is asked of each server, and how the answers become figures.
import { median, quantile } from './stats.mjs';
import { saturated, spread, steady } from './windows.mjs';

/** @typedef {import('./options.mjs').Options} Options */

/**
 * @typedef {object} Figures one server's line in one row; what a row does not measure is absent
 * @property {string} row
 * @property {string} server
 * @property {number} [cpuMicros] per delivery, or per connection in the connect rows
 * @property {number} [timesUws] the same, divided by the bare uWS loop's of the same round
 * @property {number} [deliveriesPerSecond]
 * @property {number} [deliveriesPerCoreSecond] that one second of CPU time is good for
 * @property {number} [p50Ms] from publishing to the client's read
 * @property {number} [p99Ms]
 * @property {number} [bytesPerConnection] resident
 * @property {number} [clientBusy] share of a core that the load client used: near 1 it was the bottleneck
 * @property {string} note what went wrong, or nothing
 */

/**
 * `channels`: do all connections share one channel, or has each its own? `plan`: the measured windows, where there
 * are any; the connect and idle rows fall out of opening the connections.
 */
export const ROWS = {
  connect: { channels: 'shared', what: 'accept and subscribe, all to one channel' },
  idle: { channels: 'shared', what: 'resident memory of a silent connection (asks for 2000 or more)' },
  fanout: {
    channels: 'shared',
    what: 'one event at a time to all',
    run: (party, o) => steady(party, { ...o, burst: 1, perSecond: o.rate }),
  },
  burst: {
    channels: 'shared',
    what: 'ten events at once to all, at a steady pace',
    run: (party, o) => steady(party, { ...o, burst: BURST, perSecond: o.rate * (SLOWED[party.name] ?? 1) }),
  },
  saturation: {
    channels: 'shared',
    what: 'ten events at once to all, as fast as they are taken',
    run: (party, o) => saturated(party, { ...o, burst: BURST }),
  },
  'connect-own': { channels: 'own', what: 'accept and subscribe, a channel each' },
  'idle-own': { channels: 'own', what: 'the same, each with a channel of its own' },
  spread: {
    channels: 'own',
    what: 'a channel each, as many events a second as connections',
    run: (party, o) => spread(party, { ...o, perSecond: o.connections }),
  },
};

const BURST = 10;
/** Nchan writes once per event and connection: at the others' pace it would fall behind further every second. */
const SLOWED = { nchan: 0.1 };

/**
 * @param {string} row
 * @param {string} server
 * @param {readonly import('./windows.mjs').Window[]} windows one a round
 * @param {readonly import('./windows.mjs').Window[] | undefined} uws the bare loop's, of the same rounds
 * @returns {Figures}
 */
export function windowFigures(row, server, windows, uws) {
  const cost = (window) => window.cpuMicros / window.delivered;
  const latenciesMs = windows.flatMap((window) => window.latenciesMs);
  const cpuMicros = median(windows.map(cost));
  return {
    row,
    server,
    cpuMicros,
    ...(uws && { timesUws: median(windows.map((window, i) => cost(window) / cost(uws[i]))) }),
    deliveriesPerSecond: median(windows.map((window) => window.delivered / window.seconds)),
    deliveriesPerCoreSecond: 1e6 / cpuMicros,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    clientBusy: median(windows.map((window) => window.loadCpuMicros / 1e6 / window.seconds)),
    note: trouble(windows),
  };
}

/** @returns {string} events lost, doubled, connections ended; nothing when all is well */
function trouble(windows) {
  const sum = (of) => windows.reduce((total, window) => total + of(window), 0);
  const missing = sum((window) => window.expected - window.delivered);
  const ended = sum((window) => window.ended);
  return [
    missing > 0 && `LOSS: ${missing} of ${sum((window) => window.expected)}`,
    missing < 0 && `DOUBLED: ${-missing}`,
    ended > 0 && `${ended} connections ended`,
  ]
    .filter(Boolean)
    .join(', ');
}

/** @param {readonly number[]} costs CPU µs per connection, one a portion @param {readonly number[] | undefined} uws */
export function connectFigures(row, server, costs, uws) {
  return {
    row,
    server,
    cpuMicros: median(costs),
    ...(uws && { timesUws: median(costs) / median(uws) }),
    note: '',
  };
}

/** @param {number} bytesPerConnection */
export function idleFigures(row, server, bytesPerConnection) {
  return { row, server, bytesPerConnection, note: '' };
}
