import type { CloseReason, GapReason, RefusalCode } from './reasons.ts';

/** Upper bounds of latency buckets in seconds, from 0.25 ms. */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = [
  0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];

/** Durations counted into fixed buckets: an array write each, no label look-up. */
export class LatencyHistogram {
  /** One count per bound, and one for what is above them all; not cumulative. */
  readonly counts = new Float64Array(LATENCY_BOUNDS_SECONDS.length + 1);
  sumSeconds = 0;

  /** `times`: of so many at once. */
  observe(durationMs: number, times = 1): void {
    const seconds = durationMs / 1000;
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_SECONDS.length && seconds > (LATENCY_BOUNDS_SECONDS[bucket] ?? 0))
      bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + times;
    this.sumSeconds += seconds * times;
  }
}

/** Why a message was not published: the label of `sidestream_publications_dropped_total`. */
export type DropReason = 'too-large' | 'error' | 'duplicate' | 'unredactable';
/** Which field of a message was dropped while the event still went out. */
export type DroppedField = 'event' | 'ttl' | 'priority' | 'id' | 'key' | 'trace';
/** Why a message was mapped and not passed on to its channel: the label of `sidestream_publications_shaped_total`. */
export type ShapeReason = 'throttled' | 'rate-limited';

/** What is counted per route. Held by the channels, so that counting is a field's increment. */
export class RouteMetrics {
  publications = 0;
  /** Events sent to those who joined, of what was published before. */
  replayed = 0;
  deliveries = 0;
  /** What {@link publications} are together as frames, in bytes. */
  publishedBytes = 0;
  readonly dropped: Record<DropReason, number> = { 'too-large': 0, error: 0, duplicate: 0, unredactable: 0 };
  readonly fieldsDropped: Record<DroppedField, number> = {
    event: 0,
    ttl: 0,
    priority: 0,
    id: 0,
    key: 0,
    trace: 0,
  };
  readonly shaped: Record<ShapeReason, number> = { throttled: 0, 'rate-limited': 0 };
  invalidUtf8 = 0;
  /** Events that readers who were behind were spared. */
  readonly skipped = { dropped: 0, superseded: 0 };
}

/** A metric of some process, as plain values: what several processes hand to the one that shows them all. */
export interface Family {
  readonly name: string;
  readonly help: string;
  /** `counter`, `gauge`, `histogram`, `summary`. */
  readonly type: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** The family's, or that and `_bucket`, `_sum`, `_count`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What became of the configs that were read while the process ran. Who reads them writes it. */
export class ReloadMetrics {
  applied = 0;
  refused = 0;
  /** Whether the file as it was read last is the one gone by, but for what needs a restart. */
  isLastSuccessful = true;
  /** When a config was last taken on, the start's included, in milliseconds since the Unix epoch. */
  lastSuccessMs: number;
  /** Whether the file holds what only a restart takes on. */
  needsRestart = false;

  constructor(startedMs: number) {
    this.lastSuccessMs = startedMs;
  }
}

/** How a stream ended: by one of our reasons, or because the client (or something between) closed it. A long poll is `answered`. */
export type Ending = CloseReason | 'client' | 'answered';

/** Plain counters. The delivery path writes fields; `exposition/` reads them when it is scraped. */
export class Metrics {
  connections = 0;
  connectionsOpened = 0;
  /** The most there were at once, and when first, in milliseconds since the Unix epoch. */
  connectionsPeak = 0;
  connectionsPeakMs = 0;
  sentBytes = 0;
  /** What of {@link sentBytes} are events, had none been compressed. */
  plainBytes = 0;
  /** Streams open now that are compressed. */
  readonly compressed = new Map<string, number>();
  heartbeats = 0;
  natsConnected = false;
  natsDisconnects = 0;
  natsReconnects = 0;
  draining = false;
  slowConnections = 0;
  pendingBytes = 0;
  /** Of that, what is there once though it waits for many is counted once; with what it takes besides. */
  pendingMemoryBytes = 0;
  readonly publishToFlush = new LatencyHistogram();
  readonly connectionsClosed = new Map<Ending, number>();
  readonly requestsRefused = new Map<RefusalCode, number>();
  readonly gaps = new Map<GapReason, number>();
  readonly resumes = new Map<string, number>();
  readonly natsErrors = new Map<string, number>();
  readonly #routes = new Map<string, RouteMetrics>();

  get routes(): ReadonlyMap<string, RouteMetrics> {
    return this.#routes;
  }

  route(name: string): RouteMetrics {
    const known = this.#routes.get(name);
    if (known !== undefined) return known;
    const made = new RouteMetrics();
    this.#routes.set(name, made);
    return made;
  }

  /** There is no such route any more: its series end. */
  forget(name: string): void {
    this.#routes.delete(name);
  }

  /** A stream was opened; `nowMs` since the Unix epoch. */
  opened(nowMs: number): void {
    this.connections += 1;
    this.connectionsOpened += 1;
    if (this.connections <= this.connectionsPeak) return;
    this.connectionsPeak = this.connections;
    this.connectionsPeakMs = nowMs;
  }

  closed(ending: Ending): void {
    increment(this.connectionsClosed, ending);
  }

  /** A stream in this content coding was opened, or (-1) has ended. */
  countCompressed(coding: string, by: 1 | -1): void {
    increment(this.compressed, coding, by);
  }

  refused(code: RefusalCode): void {
    increment(this.requestsRefused, code);
  }

  gap(reason: GapReason): void {
    increment(this.gaps, reason);
  }

  resumed(verdict: string): void {
    increment(this.resumes, verdict);
  }

  natsError(reason: string): void {
    increment(this.natsErrors, reason);
  }
}

function increment<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
