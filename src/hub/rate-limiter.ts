import { Timer } from '../clock.ts';
import type { RateLimitConfig } from '../config/schema.ts';
import { Held } from './held.ts';
import type { Passing, Stage, StageOptions } from './stage.ts';

/** Sums of fractions come out a little below the whole that they are. */
const ONE = 1 - 1e-9;

/** A token bucket. What is over the rate is dropped, or held until the rate lets it pass, of each key the latest. */
export class RateLimiter implements Stage {
  readonly #config: RateLimitConfig;
  readonly #options: StageOptions;
  readonly #held = new Held();
  readonly #timer = new Timer({ onDue: () => this.#pass() });
  /** What may pass now; may be a fraction. */
  #allowance: number;
  #filledMs: number;

  constructor(config: RateLimitConfig, options: StageOptions) {
    this.#config = config;
    this.#options = options;
    this.#allowance = config.burst;
    this.#filledMs = options.clock.now();
  }

  get heldAt(): number {
    return this.#held.heldAt;
  }

  push(passing: Passing): void {
    const { over, burst } = this.#config;
    if (this.#held.size > 0) {
      this.#hold(passing);
      return;
    }
    this.#fill();
    this.#allowance = Math.min(this.#allowance, burst);
    if (this.#allowance >= ONE) {
      this.#allowance -= 1;
      this.#options.next(passing);
    } else if (over === 'drop') this.#count();
    else this.#hold(passing);
  }

  release(): void {
    this.#options.wheel.cancel(this.#timer);
    for (const passing of this.#held.takeAll()) this.#options.next(passing);
  }

  #hold(passing: Passing): void {
    if (this.#held.size === 0) this.#schedule();
    if (this.#held.put(passing)) this.#count();
    // Let go early, it would pass the rate.
    if (this.#held.isFull && this.#held.takeFirst() !== undefined) this.#count();
  }

  // While something waits, what the rate gives is not bounded by the burst: a tick of the wheel may be worth more.
  #pass(): void {
    this.#fill();
    while (this.#allowance >= ONE) {
      const first = this.#held.takeFirst();
      if (first === undefined) return;
      this.#allowance -= 1;
      this.#options.next(first);
    }
    if (this.#held.size > 0) this.#schedule();
  }

  #fill(): void {
    const nowMs = this.#options.clock.now();
    this.#allowance += ((nowMs - this.#filledMs) / 1000) * this.#config.ratePerSecond;
    this.#filledMs = nowMs;
  }

  #schedule(): void {
    const delayMs = ((1 - this.#allowance) / this.#config.ratePerSecond) * 1000;
    this.#options.wheel.schedule(this.#timer, Math.max(0, delayMs));
  }

  #count(): void {
    this.#options.metrics.publications += 1;
    this.#options.metrics.shaped['rate-limited'] += 1;
  }
}
