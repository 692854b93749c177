import type { Channel } from './channel.ts';
import { type Log, LogSet, viewCursor } from './log.ts';
import { lastBeforeHeld } from './view.ts';
import type { Walks } from './walks.ts';

/** Which channels, and how many of them. */
export interface ChannelsWanted {
  readonly matches: (name: string) => boolean;
  /** Name of the route; absent: any. */
  readonly route: string | undefined;
  /** Only those with subscribers here. */
  readonly isOccupied: boolean;
  /** Only names behind this one, in the order of UTF-16 code units; empty: all. */
  readonly after: string;
  readonly limit: number;
}

export interface ListedChannel {
  readonly channel: string;
  readonly route: string;
  /** Connections on it here. */
  readonly subscribers: number;
}

/** A part of what there is, in order. */
export interface Page<T> {
  readonly list: readonly T[];
  /** Whether more would come behind it. */
  readonly more: boolean;
}

/** Of a stream as JSON besides its names: field names, ids, times and numbers. */
const STREAM_BYTES = 340;
/** Of a character in JSON, at most: one that must be escaped. */
const CHARACTER_BYTES = 6;

/** Never less than what a listed stream takes as JSON. Writing a thousand to see takes longer than all else that a page takes. */
export function mostBytesOf(stream: {
  readonly user?: string | undefined;
  readonly address?: string | undefined;
  readonly channels: readonly string[];
}): number {
  const { user = '', address = '', channels } = stream;
  const names = channels.reduce((sum, { length }) => sum + length + 3, 0);
  return STREAM_BYTES + user.length * CHARACTER_BYTES + address.length + names;
}

/** A channel that is held here. Times are in milliseconds since the Unix epoch. */
export interface HeldChannel {
  readonly subscribers: number;
  readonly openedMs: number;
  /** Whether it has no subscribers, and is still fed for who comes back. */
  readonly isLingering: boolean;
  /** Whether its source has said that it cannot feed it. */
  readonly isUnavailable: boolean;
  /** The cursor of who has everything until now; empty while its log is not known. */
  readonly position: string;
  readonly history: {
    readonly events: number;
    readonly bytes: number;
    readonly oldestMs: number | undefined;
    readonly newestMs: number | undefined;
  };
}

/** The channels that are held here, told to those who ask: a page at a time, and by {@link Walks}, so that what is live does not wait. */
export class ChannelListing {
  readonly #channels: ReadonlyMap<string, Channel>;
  readonly #walks: Walks;
  readonly #logSets = new WeakMap<Log, LogSet>();

  constructor(channels: ReadonlyMap<string, Channel>, walks: Walks) {
    this.#channels = channels;
    this.#walks = walks;
  }

  /** The first of those wanted by name, never more than twice as many held on the way. */
  async list({ matches, route, isOccupied, after, limit }: ChannelsWanted): Promise<Page<ListedChannel>> {
    const firsts = new Firsts(limit);
    await this.#walks.through(this.#channels.values(), (channel) => {
      const { name, subscribers, destination } = channel;
      const isWanted =
        name > after &&
        (!isOccupied || subscribers.size > 0) &&
        (route === undefined || destination.route.name === route) &&
        matches(name);
      if (isWanted) firsts.offer(channel);
      return 'on';
    });
    const { list, more } = firsts.taken();
    return { list: list.map(listed), more };
  }

  describe(name: string): HeldChannel | undefined {
    const channel = this.#channels.get(name);
    if (channel === undefined) return undefined;
    const { subscribers, openedMs, unavailable, history } = channel;
    return {
      subscribers: subscribers.size,
      openedMs,
      isLingering: subscribers.size === 0,
      isUnavailable: unavailable,
      position: this.#position(channel),
      history: {
        events: history.size,
        bytes: history.bytes,
        oldestMs: history.oldest?.timeMs,
        newestMs: history.newest?.timeMs,
      },
    };
  }

  #position(channel: Channel): string {
    const { log } = channel.source;
    const logs = this.#logSets.get(log) ?? new LogSet([log]);
    this.#logSets.set(log, logs);
    return viewCursor({ logs, ahead: undefined }, (of) => lastBeforeHeld([channel], of));
  }
}

function listed({ name, subscribers, destination }: Channel): ListedChannel {
  return { channel: name, route: destination.route.name, subscribers: subscribers.size };
}

/** The first so many by name of what is offered in any order. */
class Firsts {
  readonly #limit: number;
  #held: Channel[] = [];
  #more = false;
  /** What comes behind it is not among them; absent while there is room. */
  #last: string | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(channel: Channel): void {
    if (this.#last !== undefined && channel.name > this.#last) return;
    this.#held.push(channel);
    if (this.#held.length >= this.#limit * 2) this.#cut();
  }

  taken(): Page<Channel> {
    this.#cut();
    return { list: this.#held, more: this.#more };
  }

  #cut(): void {
    this.#held.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (this.#held.length <= this.#limit) return;
    this.#more = true;
    this.#held = this.#held.slice(0, this.#limit);
    this.#last = this.#held.at(-1)?.name;
  }
}
