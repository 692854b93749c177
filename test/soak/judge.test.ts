import { describe, expect, test } from 'vitest';
import { Metrics, type Sample } from './bridge.ts';
import { judge, slope } from './judge.ts';

const MIB = 1024 * 1024;
const GAUGES = {
  connections: 0,
  slow_connections: 0,
  pending_bytes: 0,
  pending_memory_bytes: 0,
  compressed_connections: 0,
  channels: 0,
  channels_lingering: 0,
  history_bytes: 0,
  nats_subscriptions: 1,
};
/** What must happen. */
const COUNTED = [
  'connections_opened_total',
  'events_replayed_total',
  'requests_refused_total',
  'connections_closed_total{reason="slow"}',
  'connections_closed_total{reason="answered"}',
  'events_skipped_total{route="dropped",how="dropped"}',
  'events_skipped_total{route="latest",how="superseded"}',
  'publications_shaped_total{route="calm",reason="throttled"}',
];
const counted = (count: number) => Object.fromEntries(COUNTED.map((name) => [name, count]));
/** As much of everything again. */
const LATER = { ...counted(200), connections_opened_total: 10_100 };

interface Change {
  readonly metrics?: Readonly<Record<string, number>>;
  readonly held?: Partial<Omit<Sample, 'metrics'>>;
}

function sample({ metrics = {}, held = {} }: Change = {}): Sample {
  const lines = Object.entries({ ...GAUGES, ...counted(100), ...metrics }).map(
    ([name, value]) => `sidestream_${name} ${value}\n`,
  );
  const quiet = {
    atS: 0,
    processes: 1,
    residentBytes: 100 * MIB,
    heldBytes: 20 * MIB,
    descriptors: 20,
    resources: 10,
  };
  return { ...quiet, ...held, metrics: new Metrics(lines.join('')) };
}

/** A reading while clients are there. */
const busy = ({ metrics, held = {} }: Change = {}) =>
  sample({ metrics: { compressed_connections: 3, ...metrics }, held });

/** What is complained of where the last reading, or those on the way, are as given. */
function complaints(after: Change, during: readonly Sample[] = [busy()]): string[] {
  const last = sample({ ...after, metrics: { ...LATER, ...after.metrics } });
  return judge({ before: sample(), during, after: last, visits: new Map() })
    .filter(({ isMet }) => !isMet)
    .map(({ what }) => what);
}

/** A minute of readings whose memory is given by their place, and what of it waits. */
function readings(heldBytes: (n: number) => number, pending: (n: number) => number = () => 0): Sample[] {
  return Array.from({ length: 60 }, (_, n) =>
    busy({ metrics: { pending_memory_bytes: pending(n) }, held: { atS: n, heldBytes: heldBytes(n) } }),
  );
}

describe('a soak', () => {
  test('is flat where nothing stays behind', () => {
    expect(complaints({})).toEqual([]);
  });

  test.each([
    'connections',
    'slow_connections',
    'pending_bytes',
    'pending_memory_bytes',
    'compressed_connections',
    'channels',
    'history_bytes',
  ])('is not flat where %s does not return to zero', (name) => {
    expect(complaints({ metrics: { [name]: 1 } })).toEqual([`${name} when all have left`]);
  });

  test.each([
    [{ metrics: { nats_subscriptions: 2 } }, 'more NATS subscriptions than before'],
    [{ held: { descriptors: 21 } }, 'more descriptors than before'],
    [{ held: { resources: 11 } }, 'more timers and handles than before'],
    [{ held: { heldBytes: 22 * MIB } }, 'held more than before 10000 connections'],
    [{ held: { residentBytes: 140 * MIB } }, 'resident more than before'],
    [{ metrics: { events_replayed_total: 100 } }, 'events replayed, at least'],
    [{ metrics: { 'connections_closed_total{reason="slow"}': 100 } }, 'streams closed as slow, at least'],
  ])('%j: %s', (after, complaint) => {
    expect(complaints(after)).toEqual([complaint]);
  });

  test('of several processes may leave that much more', () => {
    const held = { processes: 3, heldBytes: 21.8 * MIB, residentBytes: 130 * MIB };
    expect(complaints({ held })).toEqual([]);
  });

  test('in which nobody took anything compressed proves nothing', () => {
    expect(complaints({}, [])).toEqual(['compressed at a time, at least']);
  });

  test('is not flat where memory grows all the time, though some readings are far off', () => {
    const grows = readings((n) => (20 + n * 0.4 + (n % 10 === 0 ? 30 : 0)) * MIB);
    expect(complaints({}, grows)).toEqual(['memory held gained in the second half']);
  });

  test('is flat where memory grew at first, and where single readings are far off', () => {
    expect(
      complaints(
        {},
        readings((n) => (20 + Math.min(n, 25) + (n % 10 === 0 ? 30 : 0)) * MIB),
      ),
    ).toEqual([]);
  });

  test('is flat where memory grew at last because more waited for slow readers', () => {
    const waiting = (n: number) => (n < 45 ? 0 : n * MIB);
    const bytes = (n: number) => 20 * MIB + 2 * waiting(n);
    expect(complaints({}, readings(bytes, waiting))).toEqual([]);
    expect(complaints({}, readings(bytes))).toEqual(['memory held gained in the second half']);
  });

  test('is not judged by the trend of a few readings', () => {
    expect(complaints({}, readings((n) => (20 + n) * MIB).slice(0, 10))).toEqual([]);
  });

  test('is not judged by a metric that is not there', () => {
    expect(() => new Metrics('').of('connections')).toThrow('no metric sidestream_connections');
  });
});

describe('the slope', () => {
  test('of points on a line is its own', () => {
    expect(
      slope([
        [0, 1],
        [1, 3],
        [5, 11],
      ]),
    ).toBe(2);
  });

  test('of one point, or none, is none', () => {
    expect(slope([[1, 1]])).toBe(0);
    expect(slope([])).toBe(0);
  });
});
