import type { Revocation, Revocations } from '../../auth/revocations.ts';
import type { Clock } from '../../clock.ts';
import { covers, keyOf, merge } from './record.ts';

/** Below this many, those that have ended are not looked for. */
const MIN_SWEEP = 1000;

/** What came of a revocation: it says more than was known, or does not, or there is no room for it. */
export type Taken = 'news' | 'known' | 'full';

/**
 * What this instance knows to be revoked, in a form that can be stored, and stored again where a bucket was lost. All
 * that comes in is refused from then on: it goes on to `revocations`, which answers for every request and knows no keys.
 */
export class Ledger {
  readonly #revocations: Revocations;
  readonly #clock: Clock;
  readonly #records = new Map<string, Revocation>();
  #sweepAt = MIN_SWEEP;

  constructor(revocations: Revocations, clock: Clock) {
    this.#revocations = revocations;
    this.#clock = clock;
  }

  get size(): number {
    return this.#records.size;
  }

  get(key: string): Revocation | undefined {
    return this.#records.get(key);
  }

  /** Takes a revocation. One that has ended says nothing. */
  add(revocation: Revocation): Taken {
    if (revocation.untilMs <= this.#clock.wall()) return 'known';
    const key = keyOf(revocation.target);
    const known = this.#records.get(key);
    if (known !== undefined && covers(known, revocation)) return 'known';
    if (!this.#revocations.add(revocation)) return 'full';
    if (this.#records.size >= this.#sweepAt) {
      this.#sweep();
      this.#sweepAt = Math.max(MIN_SWEEP, this.#records.size * 2);
    }
    this.#records.set(key, known === undefined ? revocation : merge(known, revocation));
    return 'news';
  }

  /** Somebody deleted it from the bucket: it is not to be stored again. It is still refused here, until it ends. */
  forget(key: string): void {
    this.#records.delete(key);
  }

  /** Those that last for longer than `ms` from now. */
  lasting(ms: number): Revocation[] {
    const fromMs = this.#clock.wall() + ms;
    return [...this.#records.values()].filter(({ untilMs }) => untilMs > fromMs);
  }

  /** The keys of what has not ended and is not covered by `stored`, which has records by key. */
  missing(stored: ReadonlyMap<string, Revocation>): string[] {
    this.#sweep();
    const isMissing = ([key, known]: [string, Revocation]) => {
      const there = stored.get(key);
      return there === undefined || !covers(there, known);
    };
    return [...this.#records].filter(isMissing).map(([key]) => key);
  }

  #sweep(): void {
    const nowMs = this.#clock.wall();
    for (const [key, { untilMs }] of this.#records) if (untilMs <= nowMs) this.#records.delete(key);
  }
}
