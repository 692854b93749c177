import { Timer } from '../clock.ts';
import { Held } from './held.ts';
import type { Passing, Stage, StageOptions } from './stage.ts';

/**
 * At most one publication of each key in an interval, the latest. The first passes at once and opens a window; what comes
 * within it waits for its end, and opens another one then. One window for all keys: with one for each, a key that may pass
 * would overtake one that has to wait.
 */
export class Throttler implements Stage {
  readonly #intervalMs: number;
  readonly #options: StageOptions;
  readonly #held = new Held();
  readonly #timer = new Timer({ onDue: () => this.release() });
  /** When the window ends. */
  #untilMs = -Infinity;

  constructor(intervalMs: number, options: StageOptions) {
    this.#intervalMs = intervalMs;
    this.#options = options;
  }

  get heldAt(): number {
    return this.#held.heldAt;
  }

  push(passing: Passing): void {
    const { clock, wheel, metrics, next } = this.#options;
    const nowMs = clock.now();
    if (this.#held.size === 0) {
      if (nowMs >= this.#untilMs) {
        this.#untilMs = nowMs + this.#intervalMs;
        next(passing);
        return;
      }
      wheel.schedule(this.#timer, this.#untilMs - nowMs);
    }
    if (this.#held.put(passing)) {
      metrics.publications += 1;
      metrics.shaped.throttled += 1;
    }
    if (this.#held.isFull) this.release();
  }

  release(): void {
    const { clock, wheel, next } = this.#options;
    if (this.#held.size === 0) return;
    wheel.cancel(this.#timer);
    this.#untilMs = clock.now() + this.#intervalMs;
    for (const passing of this.#held.takeAll()) next(passing);
  }
}
