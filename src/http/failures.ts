import type { Clock } from '../clock.ts';
import { limitKey } from './address.ts';
import { TokenBucket } from './admission.ts';
import { ALONE, type Others } from './others.ts';

/** Addresses remembered at once; the one that failed longest ago gives way. */
const MAX_ADDRESSES = 10_000;
/** Failures that an address may have at once before the rate counts: a page with several tabs, an office behind one address. */
const BURST = 20;

/**
 * Slows down addresses whose tokens are bad. Only the checking of tokens that are not known is held back: who brings a
 * good one that was checked before is let in, whoever shares their address. What others on the port tell of counts too.
 */
export class Failures {
  readonly #clock: Clock;
  #perSecond: number;
  readonly #others: Others;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock, perSecond: number, others: Others = ALONE) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#others = others;
    if (others !== ALONE) others.onFailed = (client, times) => this.#spend(client, times);
  }

  /** Goes by another rate; what was held against anybody before is forgotten. */
  slowTo(perSecond: number): void {
    if (perSecond === this.#perSecond) return;
    this.#perSecond = perSecond;
    this.#buckets.clear();
  }

  get addresses(): number {
    return this.#buckets.size;
  }

  mayVerify(address: string): boolean {
    return this.#buckets.get(limitKey(address))?.hasToken() ?? true;
  }

  failed(address: string): void {
    const client = limitKey(address);
    this.#others.failed(client);
    this.#spend(client, 1);
  }

  #spend(client: string, times: number): void {
    const bucket = this.#buckets.get(client) ?? new TokenBucket(this.#clock, this.#perSecond, BURST);
    for (let i = 0; i < times && bucket.take(); i += 1);
    this.#buckets.delete(client);
    this.#buckets.set(client, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest);
  }
}
