import type { Clock } from '../clock.ts';
import { type Claims, SOMEBODY } from './member.ts';
import type { Tracking } from './tracking.ts';

/** A member's state on one instance, as that instance says it. */
export interface Change {
  readonly key: string;
  /** Streams that they have on the channel there; 0: they are gone from there. */
  readonly connections: number;
  /** Since when, in milliseconds since the Unix epoch. */
  readonly sinceMs: number;
  readonly claims: Claims | undefined;
}

/** What one instance says of one channel. */
export interface ChannelChanges {
  readonly channel: string;
  /** Members that the channel has on that instance. */
  readonly total: number;
  readonly changes: readonly Change[];
}

/** One change of what an instance says of a channel. */
export interface ChannelChange extends Pick<ChannelChanges, 'channel' | 'total'> {
  readonly change: Change;
}

/** What came to be known how. */
export interface Report extends ChannelChanges {
  readonly instance: string;
  /** Stamps what is said, so that {@link Table.sweep} knows what was not; grows. */
  readonly round: number;
  /** Whether it happened now, rather than being found out about now. */
  readonly isNews: boolean;
}

interface Share {
  readonly instance: string;
  connections: number;
  claims: Claims | undefined;
  round: number;
}

/** Somebody on a channel, on whatever instances. */
export interface Member {
  readonly key: string;
  readonly channel: TrackedChannel;
  /** By which they are followed, since somebody last said that they are there. */
  tracking: Tracking;
  sinceMs: number;
  claims: Claims | undefined;
  /** One for each instance, mostly one. Empty: away, and perhaps about to come back. */
  readonly shares: Share[];
  /** When they were last there, by this process's clock. */
  awaySinceMs: number;
  /** Away since the instance that had them is gone: whether they come back, nobody can say. */
  isLost: boolean;
}

export interface TrackedChannel {
  readonly name: string;
  /** By which those are followed of whom something is said from now on. */
  tracking: Tracking;
  readonly members: Map<string, Member>;
  /** How many of those are lost. */
  lost: number;
  /** One for each instance that has somebody there, mostly few. */
  readonly tallies: Tally[];
}

/** How many members one instance has on a channel. */
interface Tally {
  readonly instance: string;
  /** As it says… */
  total: number;
  /** …and how many of them are known by name. */
  listed: number;
  /** Whether that is less, as was last counted. */
  isShort: boolean;
  round: number;
}

/** Told as it happens. They must not throw. */
export interface TableListener {
  joined(member: Member, isNews: boolean): void;
  left(member: Member): void;
  /** Somebody is away, and {@link Table.expire} is to be called from now on. */
  wentAway(): void;
  occupied(channel: TrackedChannel, isNews: boolean): void;
  vacated(channel: TrackedChannel): void;
}

export interface TableOptions {
  readonly clock: Clock;
  /** Most members that are known by name. */
  readonly maxMembers: number;
  /** What is followed of a channel; `undefined`: nothing. */
  tracking(channel: string): Tracking | undefined;
  readonly listener: TableListener;
}

/** Members who leave at once, at most: a second of many must not hold up what is live. */
const MAX_LEAVING = 2000;
/** Members that are looked at in one step of a sweep. */
const MAX_SWEPT = 2000;

export interface Sweep {
  readonly round: number;
  readonly isGone: boolean;
}

/**
 * Who is on which channel, over all instances: each says what it has, and every instance puts that together in the same way. What is said is
 * how things are, not how they changed, so it may be said again. A member has joined when the first instance has them, and has
 * left when none has had them for `leaveAfter`: whoever reconnects in between, wherever, has never been away.
 */
export class Table {
  readonly #options: TableOptions;
  readonly #channels = new Map<string, TrackedChannel>();
  /** Members that are away, those who went first in front, by how long they may be. */
  readonly #away = new Map<number, Set<Member>>();
  /** Channels on which some members are not listed, by instance. */
  readonly #short = new Map<string, number>();
  #size = 0;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  /** Members that are known by name. */
  get size(): number {
    return this.#size;
  }

  /** Members that are counted only. */
  get hiddenCount(): number {
    let sum = 0;
    if (this.#short.size === 0) return 0;
    for (const channel of this.#channels.values()) sum += hiddenIn(channel);
    return sum;
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  /** Whether anybody is away, and {@link expire} is to be called. */
  get hasAway(): boolean {
    return this.#away.size > 0;
  }

  channel(name: string): TrackedChannel | undefined {
    return this.#channels.get(name);
  }

  /** Members of a channel; away ones count until they have left, lost ones do not. */
  count(name: string): number {
    const channel = this.#channels.get(name);
    if (channel === undefined) return 0;
    const somebody = channel.members.get(SOMEBODY);
    const unnamed = somebody === undefined || somebody.isLost ? 0 : 1;
    return channel.members.size - channel.lost - unnamed + hiddenIn(channel);
  }

  /** Channels may be followed otherwise now. Who is away leaves by what held before, and so does everybody where nothing is followed any more. */
  retrack(): void {
    for (const channel of this.#channels.values())
      channel.tracking = this.#options.tracking(channel.name) ?? channel.tracking;
  }

  /** Whether some of an instance's members are not listed, for which there is room now. */
  wants(instance: string): boolean {
    return this.#short.has(instance) && this.#size < this.#options.maxMembers * 0.9;
  }

  apply(report: Report): void {
    const { channel: name, total, changes, instance, round } = report;
    const known = this.#channels.get(name);
    const channel = known ?? this.#open(name, total);
    if (channel === undefined) return;
    if (known === undefined) this.#options.listener.occupied(channel, report.isNews);
    const tally = tallyOf(channel, instance);
    Object.assign(tally, { total, round });
    for (const change of changes) this.#set(tally, channel, change, report);
    this.#settle(channel, tally);
  }

  /**
   * Takes it that an instance has nobody but those who were stamped with `round` or later, some members in each step. `isGone`: it has not
   * said who went, so whom no other instance has does not count from now on.
   */
  *sweep(instance: string, { round, isGone }: Sweep): Generator<undefined> {
    let left = MAX_SWEPT;
    for (const [channel, tally] of this.#talliesOf(instance)) {
      if (tally.round < round) tally.total = 0;
      for (const member of channel.members.values()) {
        const share = member.shares.find((one) => one.instance === instance);
        if (share !== undefined && share.round < round && this.#remove(tally, member) && isGone)
          this.#lose(member);
        left -= 1;
        if (left > 0) continue;
        yield;
        left = MAX_SWEPT;
      }
      this.#settle(channel, tally);
    }
  }

  /** Lets those leave who have been away for too long. */
  expire(nowMs: number): void {
    let left = MAX_LEAVING;
    for (const [leaveAfterMs, away] of this.#away) {
      for (const member of away) {
        if (left === 0 || nowMs - member.awaySinceMs < leaveAfterMs) break;
        left -= 1;
        this.#leave(member);
      }
    }
  }

  #open(name: string, total: number): TrackedChannel | undefined {
    const tracking = total > 0 ? this.#options.tracking(name) : undefined;
    if (tracking === undefined) return undefined;
    const channel = { name, tracking, members: new Map(), lost: 0, tallies: [] };
    this.#channels.set(name, channel);
    return channel;
  }

  *#talliesOf(instance: string): Generator<[TrackedChannel, Tally]> {
    for (const channel of this.#channels.values()) {
      const tally = channel.tallies.find((one) => one.instance === instance);
      if (tally !== undefined) yield [channel, tally];
    }
  }

  #closeIfEmpty(channel: TrackedChannel): void {
    if (channel.members.size > 0 || channel.tallies.length > 0) return;
    // Somebody may have come since to another channel of that name.
    if (this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    this.#options.listener.vacated(channel);
  }

  #set(tally: Tally, channel: TrackedChannel, change: Change, { instance, round, isNews }: Report): void {
    const { key, connections, sinceMs, claims } = change;
    const known = channel.members.get(key);
    if (connections === 0) {
      if (known !== undefined) this.#remove(tally, known);
      return;
    }
    const member = known ?? this.#add(channel, change);
    if (member === undefined) return;
    const share = member.shares.find((one) => one.instance === instance);
    if (share === undefined) {
      member.shares.push({ instance, connections, claims, round });
      member.shares.sort((a, b) => (a.instance < b.instance ? -1 : 1));
      tally.listed += 1;
    } else Object.assign(share, { connections, claims, round });
    this.#isBack(member);
    const wasFollowed = known !== undefined && known.tracking.presence !== undefined;
    member.tracking = channel.tracking;
    member.sinceMs = Math.min(member.sinceMs, sinceMs);
    // Of one instance for all, or each would show others.
    member.claims = member.shares[0]?.claims;
    // Somebody known only for the channel to be occupied was told to nobody.
    if (known === undefined || (!wasFollowed && member.tracking.presence !== undefined))
      this.#options.listener.joined(member, isNews);
  }

  #add(channel: TrackedChannel, { key, sinceMs, claims }: Change): Member | undefined {
    if (this.#size >= this.#options.maxMembers) return undefined;
    const { tracking } = channel;
    const member = { key, channel, tracking, sinceMs, claims, shares: [], awaySinceMs: 0, isLost: false };
    channel.members.set(key, member);
    this.#size += 1;
    return member;
  }

  /** Whether they are away now, and were not. */
  #remove(tally: Tally, member: Member): boolean {
    const index = member.shares.findIndex(({ instance }) => instance === tally.instance);
    if (index < 0) return false;
    member.shares.splice(index, 1);
    tally.listed -= 1;
    const [first] = member.shares;
    if (first !== undefined) {
      member.claims = first.claims;
      return false;
    }
    member.awaySinceMs = this.#options.clock.now();
    const { leaveAfterMs } = member.tracking;
    const away = this.#away.get(leaveAfterMs);
    if (away === undefined) this.#away.set(leaveAfterMs, new Set([member]));
    else away.add(member);
    this.#options.listener.wentAway();
    return true;
  }

  #lose(member: Member): void {
    member.isLost = true;
    member.channel.lost += 1;
  }

  #isBack(member: Member): void {
    const { leaveAfterMs } = member.tracking;
    const away = this.#away.get(leaveAfterMs);
    if (away?.delete(member) && away.size === 0) this.#away.delete(leaveAfterMs);
    if (member.isLost) member.channel.lost -= 1;
    member.isLost = false;
  }

  #leave(member: Member): void {
    this.#isBack(member);
    member.channel.members.delete(member.key);
    this.#size -= 1;
    this.#options.listener.left(member);
    this.#closeIfEmpty(member.channel);
  }

  /** After what is known of an instance's members on a channel has changed. */
  #settle(channel: TrackedChannel, tally: Tally): void {
    const { instance, total, listed } = tally;
    const index = channel.tallies.indexOf(tally);
    if (total === 0 && listed === 0 && index >= 0) channel.tallies.splice(index, 1);
    const isShort = total > listed;
    if (isShort !== tally.isShort) {
      tally.isShort = isShort;
      const count = (this.#short.get(instance) ?? 0) + (isShort ? 1 : -1);
      if (count === 0) this.#short.delete(instance);
      else this.#short.set(instance, count);
    }
    this.#closeIfEmpty(channel);
  }
}

function tallyOf({ tallies }: TrackedChannel, instance: string): Tally {
  const known = tallies.find((one) => one.instance === instance);
  if (known !== undefined) return known;
  const made = { instance, total: 0, listed: 0, isShort: false, round: 0 };
  tallies.push(made);
  return made;
}

function hiddenIn({ tallies }: TrackedChannel): number {
  let sum = 0;
  for (const { total, listed } of tallies) sum += Math.max(0, total - listed);
  return sum;
}
