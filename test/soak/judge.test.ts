import { describe, expect, test } from 'vitest';
import { Metrics, type Sample } from './bridge.ts';
import { judge, slope } from './judge.ts';

const MIB = 1024 * 1024;
const GAUGES = {
  connections: 0,
  slow_connections: 0,
  pending_bytes: 0,
  channels: 0,
  channels_lingering: 0,
  history_bytes: 0,
  nats_subscriptions: 1,
  connections_opened_total: 100,
  events_replayed_total: 100,
  requests_refused_total: 100,
  'connections_closed_total{reason="slow"}': 100,
};
/** As much of everything again, so that all that must happen has happened. */
const LATER = {
  connections_opened_total: 10_100,
  events_replayed_total: 200,
  requests_refused_total: 200,
  'connections_closed_total{reason="slow"}': 200,
};

interface Change {
  readonly metrics?: Readonly<Record<string, number>>;
  readonly held?: Partial<Omit<Sample, 'metrics'>>;
}

function sample({ metrics = {}, held = {} }: Change = {}): Sample {
  const lines = Object.entries({ ...GAUGES, ...metrics }).map(
    ([name, value]) => `sidestream_${name} ${value}\n`,
  );
  const quiet = {
    atS: 0,
    residentBytes: 100 * MIB,
    heldBytes: 20 * MIB,
    descriptors: 20,
    resources: 10,
  };
  return { ...quiet, ...held, metrics: new Metrics(lines.join('')) };
}

/** What is complained of where the last reading, or those on the way, are as given. */
function complaints(after: Change, during: readonly Sample[] = []): string[] {
  const last = sample({ ...after, metrics: { ...LATER, ...after.metrics } });
  return judge({ before: sample(), during, after: last, visits: new Map() })
    .filter(({ isMet }) => !isMet)
    .map(({ what }) => what);
}

/** A minute of readings whose memory is given by their place. */
function readings(heldBytes: (n: number) => number): Sample[] {
  return Array.from({ length: 60 }, (_, n) => sample({ held: { atS: n, heldBytes: heldBytes(n) } }));
}

describe('a soak', () => {
  test('is flat where nothing stays behind', () => {
    expect(complaints({})).toEqual([]);
  });

  test.each(['connections', 'slow_connections', 'pending_bytes', 'channels', 'history_bytes'])(
    'is not flat where %s does not return to zero',
    (name) => {
      expect(complaints({ metrics: { [name]: 1 } })).toEqual([`${name} when all have left`]);
    },
  );

  test.each([
    [{ metrics: { nats_subscriptions: 2 } }, 'more NATS subscriptions than before'],
    [{ held: { descriptors: 21 } }, 'more descriptors than before'],
    [{ held: { resources: 11 } }, 'more timers and handles than before'],
    [{ held: { heldBytes: 22 * MIB } }, 'held more than before 10000 connections'],
    [{ held: { residentBytes: 130 * MIB } }, 'resident more than before'],
    [{ metrics: { events_replayed_total: 100 } }, 'events_replayed_total, at least'],
    [{ metrics: { 'connections_closed_total{reason="slow"}': 100 } }, 'streams closed as slow, at least'],
  ])('%j: %s', (after, complaint) => {
    expect(complaints(after)).toEqual([complaint]);
  });

  test('is not flat where memory grows all the time, though some readings are far off', () => {
    const grows = readings((n) => (20 + n * 0.2 + (n % 10 === 0 ? 30 : 0)) * MIB);
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
