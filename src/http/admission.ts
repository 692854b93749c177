import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { RefusalCode } from '../reasons.ts';
import { limitKey } from './address.ts';
import { ALONE, type Others } from './others.ts';

/** Tokens that come back at a rate, up to `burst` of them. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledMs: number;

  constructor(clock: Clock, perSecond: number, burst: number = Math.max(1, perSecond)) {
    this.#clock = clock;
    this.perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledMs = clock.now();
  }

  hasToken(): boolean {
    const nowMs = this.#clock.now();
    const back = ((nowMs - this.#filledMs) / 1000) * this.perSecond;
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

/** Who has a stream, or is about to. */
export interface Holder {
  /** Empty where it is not known. */
  readonly address: string;
  /** Of an open stream that has one. */
  readonly user: string | undefined;
  /** Names that it is on, as far as they are counted here. */
  readonly channels: readonly string[];
}

export interface AdmissionOptions {
  /** Streams that this process has files for. Default: no bound. */
  readonly seats?: number;
  /** Who else counts towards the limits. Default: nobody. */
  readonly others?: Others;
}

/**
 * The limits on how many streams there are and how fast they come. What is admitted must be released once. Where others
 * share the port, what they hold counts too.
 */
export class Admission {
  readonly #clock: Clock;
  readonly #limits: Config['limits'];
  #seats: number;
  readonly #others: Others;
  #rate: TokenBucket;
  readonly #perIp: Counts;
  readonly #perUser: Counts;
  readonly #perChannel: Counts;
  #connections = 0;

  constructor(
    clock: Clock,
    limits: Config['limits'],
    { seats = Number.POSITIVE_INFINITY, others = ALONE }: AdmissionOptions = {},
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#seats = seats;
    this.#others = others;
    this.#rate = new TokenBucket(clock, limits.connectRatePerSecond);
    this.#perIp = new Counts('address', limits.connectionsPerIp, others);
    this.#perUser = new Counts('user', limits.connectionsPerUser, others);
    // Alone, the hub knows how many are on a channel.
    this.#perChannel = new Counts('channel', others === ALONE ? 0 : limits.connectionsPerChannel, others);
  }

  /** The limits have other values now. Who is there stays, above a limit too; what was not counted before is counted now. */
  reconfigured(seats: number, holders: readonly Holder[]): void {
    const { connectRatePerSecond, connectionsPerIp, connectionsPerUser, connectionsPerChannel } =
      this.#limits;
    this.#seats = seats;
    if (this.#rate.perSecond !== connectRatePerSecond)
      this.#rate = new TokenBucket(this.#clock, connectRatePerSecond);
    const addresses = () => holders.flatMap(({ address }) => (address === '' ? [] : [limitKey(address)]));
    this.#perIp.limitTo(connectionsPerIp, addresses);
    this.#perUser.limitTo(connectionsPerUser, () =>
      holders.flatMap(({ user }) => (user === undefined ? [] : [user])),
    );
    this.#perChannel.limitTo(this.#others === ALONE ? 0 : connectionsPerChannel, () =>
      holders.flatMap(({ channels }) => channels),
    );
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
    const { connections } = this.#limits;
    if (this.#connections >= this.#seats) return 'CONNECTION_LIMIT';
    if (!this.#others.leaveRoom('connections', this.#connections, connections)) return 'CONNECTION_LIMIT';
    const key = this.countsAddresses ? limitKey(address) : '';
    if (!this.#perIp.hasRoom(key)) return 'CONNECTION_LIMIT_IP';
    if (!this.#rate.take()) return 'CONNECT_RATE';
    this.#perIp.add(key);
    this.#count(1);
    return undefined;
  }

  /** Whether a user may have another stream. Nobody's streams are not counted. */
  hasRoomFor(user: string | undefined): boolean {
    return user === undefined || this.#perUser.hasRoom(user);
  }

  /** The first of these channels that has as many streams as it may, those of other processes included, if there are any. */
  fullChannel<C extends { readonly channel: string }>(asked: readonly C[]): C | undefined {
    return this.#perChannel.isLimited
      ? asked.find(({ channel }) => !this.#perChannel.hasRoom(channel))
      : undefined;
  }

  /** Counts an admitted stream towards its user. */
  countUser(user: string | undefined): void {
    if (user !== undefined) this.#perUser.add(user);
  }

  /** Counts a stream towards its channels. */
  countChannels(on: readonly { readonly channel: string }[]): void {
    for (const { channel } of on) this.#perChannel.add(channel);
  }

  /** Gives back what `admit` counted. */
  release(address: string): void {
    // What was not known was not counted.
    if (this.countsAddresses && address !== '') this.#perIp.remove(limitKey(address));
    this.#count(-1);
  }

  /** Gives back what `countUser` counted. */
  releaseUser(user: string | undefined): void {
    if (user !== undefined) this.#perUser.remove(user);
  }

  /** Gives back what `countChannels` counted. */
  releaseChannels(on: readonly { readonly channel: string }[]): void {
    for (const { channel } of on) this.#perChannel.remove(channel);
  }

  #count(change: number): void {
    this.#connections += change;
    this.#others.tell('connections', this.#connections);
  }
}

/** Streams by address, by user or by channel; nothing is counted where there is no limit (0). */
class Counts {
  readonly #kind: string;
  #limit: number;
  readonly #others: Others;
  readonly #counts = new Map<string, number>();

  constructor(kind: string, limit: number, others: Others) {
    this.#kind = kind;
    this.#limit = limit;
    this.#others = others;
  }

  get isLimited(): boolean {
    return this.#limit > 0;
  }

  get size(): number {
    return this.#counts.size;
  }

  /** Keeps to another limit. Where there was none, `names` are those to be counted; where there is none any more, none is. */
  limitTo(limit: number, names: () => readonly string[]): void {
    const wasLimited = this.isLimited;
    if (wasLimited && limit === 0) for (const [name, count] of [...this.#counts]) this.#change(name, -count);
    this.#limit = limit;
    if (!wasLimited && limit > 0) for (const name of names()) this.add(name);
  }

  hasRoom(name: string): boolean {
    if (!this.isLimited) return true;
    return this.#others.leaveRoom(`${this.#kind} ${name}`, this.#counts.get(name) ?? 0, this.#limit);
  }

  add(name: string): void {
    this.#change(name, 1);
  }

  remove(name: string): void {
    this.#change(name, -1);
  }

  #change(name: string, by: number): void {
    if (!this.isLimited) return;
    const count = (this.#counts.get(name) ?? 0) + by;
    if (count > 0) this.#counts.set(name, count);
    else this.#counts.delete(name);
    this.#others.tell(`${this.#kind} ${name}`, Math.max(0, count));
  }
}
