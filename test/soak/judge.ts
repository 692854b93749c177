import type { Metrics, Sample } from './bridge.ts';
import type { SoakResult } from './soak.ts';

const MIB = 1024 * 1024;
/** Gauges that are zero when nobody is there. */
const EMPTY = [
  'connections',
  'slow_connections',
  'pending_bytes',
  'pending_memory_bytes',
  'compressed_connections',
  'channels',
  'channels_lingering',
  'history_bytes',
];
/** What must have happened at all: a soak in which nobody was slow would prove nothing of slow readers. */
const HAPPENED: Readonly<Record<string, string>> = {
  'streams opened': 'connections_opened_total',
  'events replayed': 'events_replayed_total',
  'requests refused': 'requests_refused_total',
  'streams closed as slow': 'connections_closed_total{reason="slow"}',
  'long polls answered': 'connections_closed_total{reason="answered"}',
  'events dropped for slow readers': 'events_skipped_total{route="dropped",how="dropped"}',
  'events superseded for slow readers': 'events_skipped_total{route="latest",how="superseded"}',
  'events throttled': 'publications_shaped_total{route="calm",reason="throttled"}',
};

/**
 * What may stay on the heap of each process: compiled code, caches with a bound and the like, and next to nothing per connection. A
 * connection that is forgotten somewhere keeps some hundred bytes at least.
 */
const LEFT_BYTES = { once: MIB, perConnection: 40 };
/** Resident memory moves in steps, and what the allocators keep is not given back: this much more of each process is no leak yet. */
const RESIDENT_LEFT_BYTES = 32 * MIB;
/** What memory may grow in the second half: a part of what there is, or this much where that is little. */
const GROWTH = { share: 0.04, minBytes: 6 * MIB };
/** Below it a trend is the noise of who happens to be there. */
const FEWEST_SAMPLES = 20;

export interface Check {
  readonly what: string;
  readonly found: number;
  readonly bound: number;
  readonly unit: 'bytes' | 'count';
  readonly isMet: boolean;
}

/** Names of gauges that are not zero. */
export function remains(metrics: Metrics): string[] {
  return EMPTY.filter((name) => metrics.of(name) !== 0);
}

/** Every bound, met or not. */
export function judge(result: SoakResult): Check[] {
  const { before, during, after } = result;
  const { processes } = after;
  const opened = openedIn(result);
  return [
    ...EMPTY.map((name) => atMost(`${name} when all have left`, after.metrics.of(name), 0)),
    unchanged('NATS subscriptions', result, ({ metrics }) => metrics.of('nats_subscriptions')),
    unchanged('descriptors', result, ({ descriptors }) => descriptors),
    unchanged('timers and handles', result, ({ resources }) => resources),
    atMost(
      `held more than before ${opened} connections`,
      after.heldBytes - before.heldBytes,
      LEFT_BYTES.once * processes + opened * LEFT_BYTES.perConnection,
      'bytes',
    ),
    atMost(
      'resident more than before',
      after.residentBytes - before.residentBytes,
      RESIDENT_LEFT_BYTES * processes,
      'bytes',
    ),
    ...trends(during),
    ...Object.entries(HAPPENED).map(([what, name]) =>
      happened(what, after.metrics.counted(name) - before.metrics.counted(name)),
    ),
    happened('compressed at a time', Math.max(0, ...during.map(compressed))),
  ];
}

export function openedIn({ before, after }: SoakResult): number {
  return after.metrics.of('connections_opened_total') - before.metrics.of('connections_opened_total');
}

const waits = ({ metrics }: Sample) => metrics.of('pending_memory_bytes');
const compressed = ({ metrics }: Sample) => metrics.counted('compressed_connections');

function atMost(what: string, found: number, bound: number, unit: Check['unit'] = 'count'): Check {
  return { what, found, bound, unit, isMet: found <= bound };
}

function unchanged(what: string, { before, after }: SoakResult, read: (sample: Sample) => number): Check {
  return atMost(`more ${what} than before`, read(after) - read(before), 0);
}

function happened(what: string, found: number): Check {
  return { what: `${what}, at least`, found, bound: 1, unit: 'count', isMet: found >= 1 };
}

/**
 * Growth over the second half, as its trend has it; none where the run was too short for a trend. What waits for slow readers
 * is judged by itself: where more than usual waits, because the machine had other things to do, memory tells of nothing else.
 */
function trends(during: readonly Sample[]): Check[] {
  const half = during.slice(Math.floor(during.length / 2));
  const [first, last] = [half[0], half.at(-1)];
  if (during.length < FEWEST_SAMPLES || first === undefined || last === undefined) return [];
  const usuallyWaits = median(half.map(waits));
  const usual = half.filter((sample) => waits(sample) <= usuallyWaits);
  const growth = (what: string, read: (sample: Sample) => number) => {
    const points = usual.map((sample): [number, number] => [sample.atS, read(sample)]);
    const bound = Math.max(GROWTH.minBytes, GROWTH.share * median(points.map(([, value]) => value)));
    return atMost(
      `${what} gained in the second half`,
      slope(points) * (last.atS - first.atS),
      bound,
      'bytes',
    );
  };
  return [
    growth('memory held', ({ heldBytes }) => heldBytes),
    growth('resident memory', ({ residentBytes }) => residentBytes),
  ];
}

/**
 * The median of the slopes between all pairs of points (Theil 1950, Sen 1968): up to 29% of them may be outliers, such
 * as a reading in which many happened to be slow.
 */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const slopes = points.flatMap(([x1, y1], index) =>
    points.slice(index + 1).flatMap(([x2, y2]) => (x1 === x2 ? [] : [(y2 - y1) / (x2 - x1)])),
  );
  return slopes.length === 0 ? 0 : median(slopes);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}
