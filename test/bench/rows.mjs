// The rows of the table: what is asked of each server, and how the answers become figures.
import { median, quantile } from './stats.mjs';
import { saturated, spread, steady, steadyWeighed } from './windows.mjs';

/** @typedef {import('./options.mjs').Options} Options */

/**
 * @typedef {object} Figures one server's line in one row; what a row does not measure is absent
 * @property {string} row
 * @property {string} server
 * @property {number} [cpuMicros] per delivery, per connection in the connect rows, per message of the stream in the tail rows
 * @property {number} [timesBase] the same, divided by that of the bare uWS loop in the same round, or of `no token`
 * @property {number} [deliveriesPerSecond]
 * @property {number} [deliveriesPerCoreSecond] that one second of CPU time is good for
 * @property {number} [p50Ms] from publishing to the client's read
 * @property {number} [p99Ms]
 * @property {number} [bytesPerConnection] resident
 * @property {number} [heapBytes] of JavaScript heap taken per delivery; in `history` held per event, the bytes outside it included
 * @property {number} [clientBusy] share of a core that the load client used: near 1 it was the bottleneck
 * @property {number} [stormSeconds] until the last client of a storm was answered
 * @property {number} [reads] of a stream for those who came back; the most of any round
 * @property {number} [channels] that they came back to
 * @property {number} [bytesPerEvent] resident, of an event that history keeps
 * @property {number} [p99Times] p99 by that of the same without slow readers
 * @property {number} [pendingBytes] the most that waited for slow readers
 * @property {number} [closed] slow readers that were cut off
 * @property {number} [spared] events that slow readers were spared
 * @property {number} [p99OfFanout] by how much p99 is more than without a fan-out to all, by the time that one takes
 * @property {number} [fanoutMs] that a fan-out to all takes
 * @property {number} [visitP99Ms] until a new connection has its first byte
 * @property {number} [visitOfFanout] the same, by how much it is more
 * @property {number} [idleMicros] CPU of an idle connection for each of its heartbeats
 * @property {number} [growth] CPU by that of the same with the fewest connections or channels of that row
 * @property {number} [verifyMicros] CPU to check a token that is new, beyond what its connection takes anyway
 * @property {string} [remark] what else there is to say
 * @property {string} note what went wrong, or nothing
 */

/**
 * `channels`: do all connections share one channel, or has each its own? Do they bring tokens? `run`: the measured
 * windows, where there are any; `warmUp`: what goes before them, if not the same. The connect and idle rows fall out of
 * opening the connections; the kinds that are not in `BASES` have files of their own. `isLong`: not without `--all`.
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
  'connect-token': {
    channels: 'token',
    what: 'accept and subscribe with a token that is known, each its own',
  },
  'fanout-token': {
    channels: 'token',
    what: 'one event at a time to all of these',
    run: (party, o) => steadyWeighed(party, { ...o, burst: 1, perSecond: o.rate }),
  },
  'fanout-history': {
    channels: 'history',
    what: '`fanout`, with core history and without',
    run: (party, o) => steady(party, { ...o, burst: 1, perSecond: o.rate }),
  },
  'fanout-gzip': {
    channels: 'gzip',
    what: '`fanout`, with events of 500 bytes, compressed and not',
    run: (party, o) => steadyWeighed(party, { ...o, burst: 1, perSecond: o.rate, format: 'records' }),
  },
  'spread-history': {
    channels: 'history-own',
    what: '`spread`, with core history (full) and without',
    run: (party, o) => spread(party, { ...o, perSecond: o.connections }),
    warmUp: (party, o) => spread(party, { ...o, perSecond: o.connections * 2, seconds: o.seconds * FILLING }),
  },
  'fanout-ndjson': {
    channels: 'ndjson',
    what: '`fanout` as JSON lines, and as SSE',
    run: (party, o) => steady(party, { ...o, burst: 1, perSecond: o.rate }),
  },
  'fanout-workers': {
    channels: 'workers',
    what: '`fanout` by two workers, and by one process',
    isLong: true,
    run: (party, o) => steady(party, { ...o, burst: 1, perSecond: o.rate }),
  },
  'spread-workers': {
    channels: 'workers-own',
    what: '`spread` by two workers, and by one process',
    isLong: true,
    run: (party, o) => spread(party, { ...o, perSecond: o.connections }),
  },
  slices: {
    channels: 'slices',
    what: 'a channel with one subscriber, and who connects, beside a fan-out to all that never stops',
  },
  slow: {
    channels: 'slow',
    what: 'who keeps up, beside readers at 1 B/s, that stop, that are half-open; by policy',
  },
  poll: { channels: 'poll', what: 'long polls, one event at a time to a tenth of the connections' },
  shaped: {
    channels: 'shaped',
    what: '20,000 messages a second into one channel that is throttled, redacted and mapped, or neither',
  },
  'grow-connections': {
    channels: 'grow-connections',
    what: '`fanout` and an idle connection, from a hundredth of the connections to nearly twice as many',
    isLong: true,
  },
  'grow-channels': {
    channels: 'grow-channels',
    what: 'as many deliveries a second on one channel, on ten, … on a channel for each connection',
    isLong: true,
  },
  history: {
    channels: 'memory',
    what: 'memory of a kept event, delivered to one subscriber or to a thousand',
  },
  'resume-one': {
    channels: 'resume',
    what: 'all come back at once, 20 events missed on one channel, beside a live channel',
  },
  'resume-many': { channels: 'resume', what: 'the same with ten clients on each of many channels' },
  tail: { channels: 'tail', what: 'a stream of 100,000 messages a second is followed' },
  'tail-most': { channels: 'tail', what: 'the same, as fast as they are taken' },
  storm: {
    channels: 'storm',
    what: 'many tokens at once, new or known, beside 200 subscribers of a live channel',
  },
};

/** What the others are compared with. */
export const BASES = {
  shared: 'uws',
  own: 'uws',
  token: 'no token',
  history: 'no history',
  gzip: 'no gzip',
  'history-own': 'no history',
  ndjson: 'sse',
  workers: 'one process',
  'workers-own': 'one process',
};

const BURST = 10;
/** At twice the pace and 10,000 connections, eight seconds fill all the memory that history has by default. */
const FILLING = 8;
/** Nchan writes once per event and connection: at the others' pace it would fall behind further every second. */
const SLOWED = { nchan: 0.1 };

/**
 * @param {string} row
 * @param {string} server
 * @param {readonly import('./windows.mjs').Window[]} windows one a round
 * @param {readonly import('./windows.mjs').Window[] | undefined} base of the same rounds
 * @returns {Figures}
 */
export function windowFigures(row, server, windows, base) {
  const count = ({ messages, delivered }) => messages ?? delivered;
  const cost = (window) => window.cpuMicros / count(window);
  const latenciesMs = windows.flatMap((window) => window.latenciesMs);
  const cpuMicros = median(windows.map(cost));
  return {
    row,
    server,
    cpuMicros,
    ...(base && { timesBase: median(windows.map((window, i) => cost(window) / cost(base[i]))) }),
    deliveriesPerSecond: median(windows.map((window) => count(window) / window.seconds)),
    deliveriesPerCoreSecond: 1e6 / cpuMicros,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    heapBytes: median(windows.map((window) => window.allocatedBytes / window.delivered)),
    clientBusy: median(windows.map((window) => window.loadCpuMicros / 1e6 / window.seconds)),
    note: trouble(windows),
  };
}

/**
 * @param {readonly import('./windows.mjs').Window[]} windows
 * @returns {string} events lost, doubled, connections ended; nothing when all is well
 */
export function trouble(windows) {
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

/** @param {readonly number[]} costs CPU µs per connection, one a portion @param {readonly number[] | undefined} base */
export function connectFigures(row, server, costs, base) {
  return {
    row,
    server,
    cpuMicros: median(costs),
    ...(base && { timesBase: median(costs) / median(base) }),
    note: '',
  };
}

/** @param {number} bytesPerConnection */
export function idleFigures(row, server, bytesPerConnection) {
  return { row, server, bytesPerConnection, note: '' };
}
