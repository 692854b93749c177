import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { RefusalCode } from '../reasons.ts';
import { limitKey } from './address.ts';

/** Tokens that come back at a rate; one second's worth may be used at once. */
class TokenBucket {
  readonly #clock: Clock;
  readonly #perSecond: number;
  #tokens: number;
  #filledMs: number;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#tokens = Math.max(1, perSecond);
    this.#filledMs = clock.now();
  }

  take(): boolean {
    const nowMs = this.#clock.now();
    const back = ((nowMs - this.#filledMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(Math.max(1, this.#perSecond), this.#tokens + back);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** The limits on how many streams there are and how fast they come. What is admitted must be released once. */
export class Admission {
  readonly #limits: Config['limits'];
  readonly #rate: TokenBucket;
  readonly #perIp = new Map<string, number>();
  #connections = 0;

  constructor(clock: Clock, limits: Config['limits']) {
    this.#limits = limits;
    this.#rate = new TokenBucket(clock, limits.connectRatePerSecond);
  }

  get connections(): number {
    return this.#connections;
  }

  /** Addresses that hold a stream; returns to zero with the streams. */
  get addresses(): number {
    return this.#perIp.size;
  }

  /** Whether addresses are counted at all; they need not be worked out otherwise. */
  get countsAddresses(): boolean {
    return this.#limits.connectionsPerIp > 0;
  }

  /** Counts a stream from `address` in, or says which limit forbids it. */
  admit(address: string): RefusalCode | undefined {
    const { connections, connectionsPerIp } = this.#limits;
    if (this.#connections >= connections) return 'CONNECTION_LIMIT';
    const key = limitKey(address);
    const held = this.#perIp.get(key) ?? 0;
    if (this.countsAddresses && held >= connectionsPerIp) return 'CONNECTION_LIMIT_IP';
    if (!this.#rate.take()) return 'CONNECT_RATE';
    if (this.countsAddresses) this.#perIp.set(key, held + 1);
    this.#connections += 1;
    return undefined;
  }

  release(address: string): void {
    this.#connections -= 1;
    if (!this.countsAddresses) return;
    const key = limitKey(address);
    const held = (this.#perIp.get(key) ?? 0) - 1;
    if (held > 0) this.#perIp.set(key, held);
    else this.#perIp.delete(key);
  }
}
