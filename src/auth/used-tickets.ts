import type { Clock } from '../clock.ts';
import { Complaints, type Logger } from '../log.ts';
import type { Ticket } from './identity.ts';

/** Whether a ticket was used before. `unavailable`: nobody can tell now, so it is not taken. `expired`: nobody can tell any more. */
export type Redemption = 'first' | 'used' | 'unavailable' | 'expired';
/** The same, of all instances. `alone`: there is nothing by which they could tell each other. */
export type Claim = Exclude<Redemption, 'expired'> | 'alone';

/** Most used tickets remembered at once: above it none is taken until some have expired. */
export const MAX_TICKETS = 250_000;
/** Below this many, those that have expired are not looked for. */
const MIN_SWEEP = 1000;
/** Where it is full, they are looked for at most this often. */
const SWEEP_INTERVAL_MS = 1000;

export interface UsedTicketsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks all instances. Never rejects. */
  readonly claim: (key: string) => Promise<Claim>;
  /** Default {@link MAX_TICKETS}. */
  readonly maxTickets?: number;
}

/**
 * The tickets that were used, as far as this process knows: all where it is alone, else those that need not be asked
 * about. Unlike a cache it never forgets one that is still good: when it is full, tickets are refused.
 */
export class UsedTickets {
  readonly #options: UsedTicketsOptions;
  readonly #max: number;
  readonly #complaints: Complaints;
  /** Until when each must be remembered, in milliseconds since the Unix epoch. */
  readonly #used = new Map<string, number>();
  #sweepAt = MIN_SWEEP;
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(options: UsedTicketsOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
    this.#max = options.maxTickets ?? MAX_TICKETS;
  }

  /** Remembered now, those included that have expired since they were last looked for. */
  get size(): number {
    return this.#used.size;
  }

  /** Takes a ticket for used from now on; says whether it was not before. Never rejects. */
  async redeem({ key, untilMs }: Ticket): Promise<Redemption> {
    // It was good when it came. Since then a backend was asked, perhaps, and the use of a ticket as old may be forgotten.
    if (untilMs <= this.#options.clock.wall()) return 'expired';
    if (this.#used.has(key)) return 'used';
    if (!this.#makeRoom()) return 'unavailable';
    // Before anything is waited for: of two requests at once the second finds it.
    this.#used.set(key, untilMs);
    const claim = await this.#options.claim(key);
    // Whoever comes back with it asks again: if it was taken after all, the others know.
    if (claim === 'unavailable') this.#used.delete(key);
    return claim === 'alone' ? 'first' : claim;
  }

  #makeRoom(): boolean {
    const nowMs = this.#options.clock.now();
    if (this.#used.size >= Math.min(this.#sweepAt, this.#max) && nowMs - this.#sweptMs >= SWEEP_INTERVAL_MS) {
      this.#sweptMs = nowMs;
      this.#sweep();
      this.#sweepAt = Math.max(MIN_SWEEP, this.#used.size * 2);
    }
    if (this.#used.size < this.#max) return true;
    const text = 'no more tickets can be remembered; they are refused until some expire';
    this.#complaints.warn('full', { tickets: this.#max }, text);
    return false;
  }

  #sweep(): void {
    const nowMs = this.#options.clock.wall();
    for (const [key, untilMs] of this.#used) if (untilMs <= nowMs) this.#used.delete(key);
  }
}
