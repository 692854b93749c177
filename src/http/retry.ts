import { type Clock, jitter } from '../clock.ts';
import type { Config } from '../config/schema.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly retryMs: Config['sse']['retryMs'];
  /** Connections a second that may come back. */
  readonly reconnectRatePerSecond: number;
  /** Connections that would come back if all were cut now. */
  connections(): number;
}

/**
 * Picks each `retry:`: evenly from the configured range, whose upper end grows with the number of connections that
 * would come back at once. The herd's brake: EventSource itself has neither backoff nor jitter.
 */
export class Retry {
  readonly #options: RetryOptions;

  constructor(options: RetryOptions) {
    this.#options = options;
  }

  /** Whole milliseconds. */
  next(): number {
    const { clock, retryMs, reconnectRatePerSecond, connections } = this.#options;
    const herdMs = (connections() / reconnectRatePerSecond) * 1000;
    return Math.round(jitter(clock, retryMs.min, Math.max(retryMs.max, herdMs)));
  }
}
