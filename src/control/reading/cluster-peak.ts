import type { Clock } from '../../clock.ts';
import type { Attachment, Follower, Peer } from '../../cluster/peers.ts';
import type { Metrics } from '../../metrics.ts';

/** The most streams at once, and when first, in milliseconds since the Unix epoch. */
export interface Peak {
  readonly connections: number;
  readonly atMs: number;
}

/**
 * The most streams that all instances had together, since this one started: each tells how many it has along with its heartbeat. The sum of
 * each one's own peak would be too much, as they come at different times.
 */
export class ClusterPeak implements Attachment, Follower {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #others = new Map<string, number>();
  #peak: Peak = { connections: 0, atMs: 0 };

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** What was seen; alone, what this instance had is no less. */
  get peak(): Peak {
    const { connectionsPeak: connections, connectionsPeakMs: atMs } = this.#metrics;
    return connections > this.#peak.connections ? { connections, atMs } : this.#peak;
  }

  tell(): number {
    return this.#metrics.connections;
  }

  hear(instance: string, value: unknown): void {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return;
    this.#others.set(instance, value);
  }

  vanished({ instance }: Peer): void {
    this.#others.delete(instance);
  }

  /** To be called once a second. */
  look(): void {
    let { connections } = this.#metrics;
    for (const count of this.#others.values()) connections += count;
    if (connections > this.#peak.connections) this.#peak = { connections, atMs: this.#clock.wall() };
  }
}
