import type { Revocation, Revocations } from '../auth/revocations.ts';
import type { Clock } from '../clock.ts';
import { covers, keyOf, merge } from './record.ts';

/** Most records held at once, as many as are refused in memory. Over it a tenth gives way, those that were added first. */
const MAX_RECORDS = 100_000;
/** Below this many, those that have ended are not looked for. */
const MIN_SWEEP = 1000;

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

  /** Takes a revocation; whether it says more than was known. One that has ended says nothing. */
  add(revocation: Revocation): boolean {
    if (revocation.untilMs <= this.#clock.wall()) return false;
    const key = keyOf(revocation.target);
    const known = this.#records.get(key);
    if (known !== undefined && covers(known, revocation)) return false;
    this.#revocations.add(revocation);
    this.#makeRoom();
    this.#records.set(key, known === undefined ? revocation : merge(known, revocation));
    return true;
  }

  /** Somebody deleted it from the bucket: it is not to be stored again. It is still refused here, until it ends. */
  forget(key: string): void {
    this.#records.delete(key);
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

  #makeRoom(): void {
    if (this.#records.size < this.#sweepAt) return;
    this.#sweep();
    if (this.#records.size >= MAX_RECORDS) {
      for (const key of [...this.#records.keys()].slice(0, MAX_RECORDS / 10)) this.#records.delete(key);
    }
    this.#sweepAt = Math.min(MAX_RECORDS, Math.max(MIN_SWEEP, this.#records.size * 2));
  }

  #sweep(): void {
    const nowMs = this.#clock.wall();
    for (const [key, { untilMs }] of this.#records) if (untilMs <= nowMs) this.#records.delete(key);
  }
}
