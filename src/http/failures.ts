import type { Clock } from '../clock.ts';
import { limitKey } from './address.ts';
import { TokenBucket } from './admission.ts';

/** Addresses remembered at once; the one that failed longest ago gives way. */
const MAX_ADDRESSES = 10_000;
/** Failures that an address may have at once before the rate counts: a page with several tabs, an office behind one address. */
const BURST = 20;

/**
 * Slows down addresses whose tokens are bad. Only the checking of tokens that are not known is held back: who brings a
 * good one that was checked before is let in, whoever shares their address.
 */
export class Failures {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  get addresses(): number {
    return this.#buckets.size;
  }

  mayVerify(address: string): boolean {
    return this.#buckets.get(limitKey(address))?.hasToken() ?? true;
  }

  failed(address: string): void {
    const key = limitKey(address);
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#clock, this.#perSecond, BURST);
    bucket.take();
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest);
  }
}
