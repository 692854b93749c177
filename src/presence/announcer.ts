import type { Clock } from '../clock.ts';
import { type Shown, SOMEBODY, shown } from './member.ts';
import type { Member } from './table.ts';

export interface AnnouncerOptions {
  readonly clock: Clock;
  /** Streams and polls on a channel here. */
  subscribers(channel: string): number;
  /** Members of a channel. */
  count(channel: string): number;
  /** Tells everybody who is on a channel here. */
  notice(channel: string, event: string, data: Announcement): void;
}

/** What a stream is told of who comes or goes. */
export interface Announcement {
  readonly channel: string;
  readonly members: readonly Shown[];
  /** Members there are now. */
  readonly count: number;
  /** How many more than are listed came, or went. */
  readonly more?: number;
}

/** Most members that one event lists… */
const MOST_LISTED = 100;
/** …and about the most bytes of them. */
const LISTED_BYTES = 4096;
/** A channel is told so often at most, for each of its members, in milliseconds… */
const INTERVAL_PER_MEMBER_MS = 1;
/** …up to this. */
const LONGEST_INTERVAL_MS = 30_000;

interface Pending {
  readonly joined: Map<string, Shown>;
  readonly left: Map<string, Shown>;
  /** When they may be told. */
  dueMs: number;
}

/**
 * Tells streams who comes and goes. Each event goes to all of a channel, so were each of n who join told to n, that would be n² events: they
 * are gathered instead, for a millisecond per member of the channel, and an event lists no more than some. What a channel is
 * sent in a second then does not depend on its size.
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #pending = new Map<string, Pending>();

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** Whether {@link flush} has something to do, now or later. */
  get isPending(): boolean {
    return this.#pending.size > 0;
  }

  joined(member: Member): void {
    const pending = this.#of(member);
    // Who was about to be told as gone has never been away, to who is told.
    if (pending === undefined || pending.left.delete(member.key)) return;
    pending.joined.set(member.key, shown(member.key, member.claims));
  }

  left(member: Member): void {
    const pending = this.#of(member);
    if (pending === undefined || pending.joined.delete(member.key)) return;
    pending.left.set(member.key, shown(member.key, undefined));
  }

  flush(): void {
    const nowMs = this.#options.clock.now();
    for (const [channel, pending] of this.#pending) {
      if (nowMs < pending.dueMs) continue;
      if (pending.joined.size + pending.left.size === 0) {
        this.#pending.delete(channel);
        continue;
      }
      const count = this.#options.count(channel);
      this.#tell('sidestream.join', channel, pending.joined, count);
      this.#tell('sidestream.leave', channel, pending.left, count);
      // The next who come wait for as long as it is too early for them.
      pending.dueMs = nowMs + Math.min(count * INTERVAL_PER_MEMBER_MS, LONGEST_INTERVAL_MS);
    }
  }

  #of({ key, channel: { name }, tracking: { presence } }: Member): Pending | undefined {
    if (key === SOMEBODY || presence?.events !== true || presence.access !== 'readers') return undefined;
    const known = this.#pending.get(name);
    if (known !== undefined) return known;
    // Nobody is there to be told.
    if (this.#options.subscribers(name) === 0) return undefined;
    const made = { joined: new Map(), left: new Map(), dueMs: 0 };
    this.#pending.set(name, made);
    return made;
  }

  #tell(event: string, channel: string, all: Map<string, Shown>, count: number): void {
    if (all.size === 0) return;
    const members = listed(all.values());
    const more = all.size - members.length;
    this.#options.notice(channel, event, { channel, members, count, ...(more > 0 && { more }) });
    all.clear();
  }
}

function listed(all: Iterable<Shown>): readonly Shown[] {
  const members: Shown[] = [];
  let bytes = 0;
  for (const member of all) {
    bytes += Buffer.byteLength(JSON.stringify(member)) + 1;
    if (members.length >= MOST_LISTED || (members.length > 0 && bytes > LISTED_BYTES)) break;
    members.push(member);
  }
  return members;
}
