import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock, TimerWheel } from '../clock.ts';
import type { Bus } from '../cluster/bus.ts';
import type { Channel, Subscriber } from '../hub/channel.ts';
import type { Publication, Source } from '../hub/source.ts';
import type { Logger } from '../log.ts';
import type { Destination, Route } from '../routing/router.ts';
import { Marks } from './marks.ts';
import { InboxMetrics } from './metrics.ts';
import { type Listing, PendingList, type PendingQuery } from './pending.ts';
import { type Mark, positionOf, wanted } from './position.ts';
import { type Counted, Reading } from './reading.ts';
import { InboxRefusal } from './refusal.ts';
import { compact, isRead, MAX_READ_SINGLY, merge, type ReadState, reachOf, toState } from './state.ts';
import { ReadStore } from './store.ts';
import { Tally, toCount, type UnreadCount } from './tally.ts';
import { watched } from './watched-source.ts';

export interface InboxOptions {
  /** Of which some have an inbox. */
  readonly routes: readonly Route[];
  /** What feeds one of them. */
  source(route: Route): Source;
  /** The bucket of what was read. */
  readonly bucket: string;
  /** Begins the subject by which instances tell each other what was read. */
  readonly prefix: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: Logger;
  /** Whether streams are told counts: `sse.control`. */
  readonly tells: boolean;
  /** How many are on a channel here. */
  subscribers(channel: string): number;
  /** Tells all who are on a channel here. */
  tell(channel: string, event: string, data: unknown): void;
  /** Tells one subscriber. */
  tellOne(subscriber: Subscriber, event: string, data: unknown): void;
}

type ObservedInbox = Readonly<InboxMetrics> & { readonly channels: number };

const EVENT = 'sidestream.unread';

/**
 * Messages that wait until their user has read them. They are in the stream; what was read is in a bucket; what is unread is counted
 * for the channels that are open here, and told to who is on them.
 */
export class Inbox {
  readonly metrics = new InboxMetrics();
  readonly #options: InboxOptions;
  readonly #store: ReadStore;
  readonly #reading: Reading;
  readonly #marks: Marks;
  readonly #sources = new WeakMap<Route, Source>();
  readonly #watched = new WeakMap<Route, Source>();
  readonly #tallies = new Map<string, Tally>();
  #deafen: () => void = () => {};

  constructor(options: InboxOptions) {
    const { bucket, clock, log, routes } = options;
    const { metrics } = this;
    this.#options = options;
    this.#store = new ReadStore({ name: bucket, clock, log, metrics });
    this.#reading = new Reading({ clock, metrics });
    this.#marks = new Marks({ clock, log, reading: this.#reading, store: this.#store });
    this.rerouted(routes);
  }

  /** There are these routes now, of which some have an inbox. */
  rerouted(routes: readonly Route[]): void {
    const { source: sourceOf, tells } = this.#options;
    for (const route of routes) {
      if (!route.config.inbox || this.#sources.has(route)) continue;
      const source = sourceOf(route);
      this.#sources.set(route, source);
      if (tells) this.#watched.set(route, watched(source, this));
    }
  }

  /** For the metrics. */
  get observed(): ObservedInbox {
    return { channels: this.#tallies.size, ...this.metrics };
  }

  /** What feeds a route, so that it is counted; absent where that is as it was. */
  sourceOf(route: Route): Source | undefined {
    return this.#watched.get(route);
  }

  serves({ route }: Destination): boolean {
    return this.#sources.has(route);
  }

  start(): void {
    const { bus, prefix } = this.#options;
    this.#deafen = bus.listen(`${prefix}.peer.inbox`, (payload) => this.#heard(payload));
  }

  connected(connection: NatsConnection): void {
    this.#store.connected(connection);
    this.#suspectAll();
  }

  disconnected(): void {
    this.#store.disconnected();
  }

  reconnected(): void {
    this.#store.reconnected();
    this.#suspectAll();
  }

  stop(): void {
    this.#deafen();
    for (const tally of this.#tallies.values()) tally.close();
    this.#tallies.clear();
    this.#store.stop();
  }

  /** Somebody was told where they are on these channels; now they may be told what is unread. */
  joined(subscriber: Subscriber, channels: readonly Channel[]): void {
    if (this.#tallies.size === 0) return;
    for (const { name } of channels) this.#tallies.get(name)?.joined(subscriber);
  }

  opened(destination: Destination, source: Source): void {
    const { clock, wheel, subscribers, tell, tellOne } = this.#options;
    const { channel } = destination;
    // Where its route became another one, that of before closes after this.
    this.#tallies.get(channel)?.close();
    const tally = new Tally({
      destination,
      source,
      clock,
      wheel,
      reading: this.#reading,
      marks: this.#marks,
      isRead: () => subscribers(channel) > 0,
      tell: (count) => {
        this.metrics.pushes += 1;
        tell(channel, EVENT, count);
      },
      tellOne: (subscriber, count) => tellOne(subscriber, EVENT, count),
    });
    this.#tallies.set(channel, tally);
  }

  arrived(channel: string, publication: Publication, offset: number): void {
    this.#tallies.get(channel)?.arrived(publication, offset);
  }

  broke(channel: string): void {
    this.#tallies.get(channel)?.broke();
  }

  closed(destination: Destination): void {
    const { channel } = destination;
    const tally = this.#tallies.get(channel);
    if (tally?.destination !== destination) return;
    tally.close();
    this.#tallies.delete(channel);
  }

  /** How much is unread. @throws InboxRefusal INBOX_UNAVAILABLE */
  async unread(destination: Destination): Promise<UnreadCount> {
    const { unread } = await this.#counted(destination, await this.#state(destination));
    return toCount(destination.channel, unread);
  }

  /** What is unread, in order. @throws InboxRefusal INBOX_UNAVAILABLE, INBOX_POSITION */
  async pending(destination: Destination, query: PendingQuery): Promise<UnreadCount & Listing> {
    const source = this.#source(destination);
    const state = await this.#state(destination);
    const after = query.after === undefined ? 0 : positionOf(query.after, source.log);
    const newest = await this.#reading.newest(source);
    if (after > newest) throw new InboxRefusal('INBOX_POSITION', 'nothing has come so far as `after` says');
    const list = new PendingList(query, after);
    const missedThrough = await this.#reading.run(destination, () =>
      this.#reading.unread(destination, source, { state, through: newest }, (unread) => list.show(unread)),
    );
    const answer = list.answer(destination.channel, state, missedThrough);
    if (answer.more === undefined) this.#compare(destination.channel, answer.unread, newest);
    return answer;
  }

  /** Marks messages as read; gives what is unread then. @throws InboxRefusal */
  async read(destination: Destination, mark: Mark): Promise<UnreadCount> {
    const source = this.#source(destination);
    const { channel } = destination;
    const newest = await this.#reading.newest(source);
    const asked = wanted(mark, source.log, newest);
    const counted = await this.#counted(destination, await this.#state(destination));
    await this.#check(destination, asked.read, counted);
    const { state = counted.unread.state, isNew } = await this.#store.change(channel, (stored) =>
      stored === undefined && wasNeverUsed(counted, newest)
        ? undefined
        : combined(stored, asked, { unread: counted.unread, through: Math.min(counted.through, newest) }),
    );
    this.metrics.marks[isNew ? 'written' : 'unchanged'] += 1;
    if (isNew) this.#options.bus.publish(this.#subject, JSON.stringify({ channel, ...state }));
    this.#tallies.get(channel)?.learned(state);
    const after = await this.#counted(destination, state);
    return toCount(channel, after.unread);
  }

  get #subject(): string {
    return `${this.#options.prefix}.peer.inbox`;
  }

  /**
   * That what is read singly are messages of the channel. What is not known to be unread may be read, ended or uncounted, or be
   * another's: one read of the stream tells of all, whatever somebody makes up. What may have been there and is gone, or lies before what was
   * read, passes: it is of no consequence to anybody else.
   */
  async #check(destination: Destination, offsets: readonly number[], { unread }: Counted): Promise<void> {
    const doubtful = offsets.filter((offset) => !unread.has(offset) && !isRead(unread.state, offset));
    const [first, last] = [doubtful[0], doubtful.at(-1)];
    if (first === undefined || last === undefined) return;
    const source = this.#source(destination);
    const { kept, after } = await this.#reading.run(destination, () =>
      this.#reading.page(destination, source, first - 1, last),
    );
    const found = new Set(kept.map(({ offset }) => offset));
    const stranger = doubtful.find((offset) => offset > after && !found.has(offset));
    if (stranger !== undefined)
      throw new InboxRefusal('INBOX_POSITION', `no message of this inbox has the offset ${stranger}`);
  }

  /** What its limits or a purge take from the stream, nobody is told of: a count that has more than was found up to there is made anew, and not from memory. */
  #compare(channel: string, found: number, through: number): void {
    const tally = this.#tallies.get(channel);
    const waiting = tally?.counted?.unread.waiting ?? [];
    if (waiting.filter(({ offset }) => offset <= through).length > found) tally?.misled();
  }

  /** What was read by now, of the log as it is. @throws InboxRefusal INBOX_UNAVAILABLE */
  async #state(destination: Destination): Promise<ReadState> {
    const { channel } = destination;
    const remembered = this.#tallies.get(channel)?.counted?.unread.state;
    const { state, isVoid } = await this.#marks.get(destination, this.#source(destination), remembered);
    const tally = this.#tallies.get(channel);
    if (isVoid) tally?.annulled(state);
    else tally?.learned(state);
    return merge(tally?.counted?.unread.state ?? state, state);
  }

  async #counted(destination: Destination, state: ReadState): Promise<Counted> {
    const tally = this.#tallies.get(destination.channel);
    const known = tally?.counted;
    if (known !== undefined) return known;
    return this.#reading.run(destination, () =>
      this.#reading.count(destination, this.#source(destination), state),
    );
  }

  #source({ route }: Destination): Source {
    const source = this.#sources.get(route);
    if (source === undefined) throw new TypeError(`route ${route.name} has no inbox`);
    return source;
  }

  #suspectAll(): void {
    for (const tally of this.#tallies.values()) tally.suspect();
  }

  #heard(payload: Uint8Array): void {
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      // SyntaxError: none of ours.
      return;
    }
    if (typeof value !== 'object' || value === null || !('channel' in value)) return;
    const { channel } = value;
    if (typeof channel !== 'string') return;
    const tally = this.#tallies.get(channel);
    const state = tally && toState(channel, value);
    if (tally === undefined || state === undefined) return;
    // What has not come here yet may be what the stream does not have: it is stored, and looked up.
    const isKnown = reachOf(state) <= tally.source.log.offset;
    if (isKnown || state.epoch !== tally.source.log.epoch) tally.learned(state);
    else tally.suspect();
  }
}

/** Absent where no route has an inbox: then nobody is asked for a bucket. */
export function createInbox({ routes, ...options }: InboxOptions): Inbox | undefined {
  const theirs = routes.filter(({ config }) => config.inbox);
  return theirs.length === 0 ? undefined : new Inbox({ ...options, routes: theirs });
}

/**
 * Whether nothing waits and nothing was read, as far as the newest that there is. Nothing is stored then: users make up as many names of channels as
 * a route with a parameter to spare takes.
 */
function wasNeverUsed({ unread, through }: Counted, newest: number): boolean {
  const { state, count, hasMore } = unread;
  return count === 0 && !hasMore && state.through === 0 && state.read.length === 0 && through >= newest;
}

/** What is read with what is asked for, in as few words as can be. @throws InboxRefusal INBOX_FULL */
function combined(stored: ReadState | undefined, asked: ReadState, { unread, through }: Counted): ReadState {
  const known = merge(stored ?? asked, merge(unread.state, asked));
  const left = unread.waiting.find(({ offset }) => !isRead(known, offset));
  const isSure =
    known.through >= unread.state.through && !(unread.hasMore && known.through < unread.uncountedThrough);
  const state = isSure ? compact(known, left?.offset ?? through + 1) : known;
  if (state.read.length > MAX_READ_SINGLY)
    throw new InboxRefusal(
      'INBOX_FULL',
      `${MAX_READ_SINGLY} messages are read singly: read up to a position first`,
    );
  return state;
}
