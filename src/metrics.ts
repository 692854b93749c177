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

  observe(durationMs: number): void {
    const seconds = durationMs / 1000;
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_SECONDS.length && seconds > (LATENCY_BOUNDS_SECONDS[bucket] ?? 0))
      bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumSeconds += seconds;
  }
}

/** Why a message was not published: the label of `sidestream_publications_dropped_total`. */
export type DropReason = 'too-large' | 'error' | 'duplicate';
/** Which field of a message was dropped while the event still went out. */
export type DroppedField = 'event' | 'ttl';

/** What is counted per route. Held by the channels, so that counting is a field's increment. */
export class RouteMetrics {
  publications = 0;
  /** Events sent to those who joined, of what was published before. */
  replayed = 0;
  deliveries = 0;
  readonly dropped: Record<DropReason, number> = { 'too-large': 0, error: 0, duplicate: 0 };
  readonly fieldsDropped: Record<DroppedField, number> = { event: 0, ttl: 0 };
  invalidUtf8 = 0;
}

/** How a stream ended: by one of our reasons, or because the client (or something between) closed it. */
export type Ending = CloseReason | 'client';

/** Plain counters. The delivery path writes fields; `exposition.ts` reads them when it is scraped. */
export class Metrics {
  connections = 0;
  connectionsOpened = 0;
  sentBytes = 0;
  heartbeats = 0;
  natsConnected = false;
  natsDisconnects = 0;
  natsReconnects = 0;
  draining = false;
  slowConnections = 0;
  pendingBytes = 0;
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

  closed(ending: Ending): void {
    increment(this.connectionsClosed, ending);
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

function increment<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
