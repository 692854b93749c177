import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { RefusalCode } from '../reasons.ts';
import { limitKey } from './address.ts';

/** Tokens that come back at a rate, up to `burst` of them. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledMs: number;

  constructor(clock: Clock, perSecond: number, burst: number = Math.max(1, perSecond)) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledMs = clock.now();
  }

  hasToken(): boolean {
    const nowMs = this.#clock.now();
    const back = ((nowMs - this.#filledMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + back);
    this.#filledMs = nowMs;
    return this.#tokens >= 1;
  }

  take(): boolean {
    if (!this.hasToken()) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** The limits on how many streams there are and how fast they come. What is admitted must be released once. */
export class Admission {
  readonly #limits: Config['limits'];
  readonly #rate: TokenBucket;
  readonly #perIp = new Map<string, number>();
  readonly #perUser = new Map<string, number>();
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

  /** Users that hold a stream; returns to zero with the streams. */
  get users(): number {
    return this.#perUser.size;
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

  /** Whether a user may have another stream. Nobody's streams are not counted. */
  hasRoomFor(user: string | undefined): boolean {
    const { connectionsPerUser } = this.#limits;
    if (user === undefined || connectionsPerUser === 0) return true;
    return (this.#perUser.get(user) ?? 0) < connectionsPerUser;
  }

  /** Counts an admitted stream towards its user. */
  countUser(user: string | undefined): void {
    if (user === undefined || this.#limits.connectionsPerUser === 0) return;
    this.#perUser.set(user, (this.#perUser.get(user) ?? 0) + 1);
  }

  /** Gives back what `admit` counted. */
  release(address: string): void {
    this.#connections -= 1;
    if (this.countsAddresses) decrement(this.#perIp, limitKey(address));
  }

  /** Gives back what `countUser` counted. */
  releaseUser(user: string | undefined): void {
    if (user !== undefined && this.#limits.connectionsPerUser > 0) decrement(this.#perUser, user);
  }
}

function decrement(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 0) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
