import type { Clock } from '../../clock.ts';
import type { Destination, Router } from '../../routing/router.ts';
import { type ChannelRecord, type Metadata, standingOf } from './channel-record.ts';

/** Whether a channel may be read and published to. `loading`: that is not known yet. */
export type ChannelState = 'open' | 'closed' | 'unknown' | 'loading';

/** A channel in the book. */
export interface Entry {
  readonly record: ChannelRecord;
  /** Of the bucket's value; absent while the bucket has not got it. */
  readonly revision: number | undefined;
  /** When this was learned, in the clock's `now()`. */
  readonly learnedMs: number;
  /** Whether it was learned as the bucket was read, rather than as it was written. */
  readonly isOld: boolean;
}

/** What `describe` says of a channel. */
export interface Description {
  readonly created?: string;
  readonly timeoutMs?: number;
  readonly metadata?: Metadata;
}

export interface ChannelBookOptions {
  readonly clock: Clock;
  readonly router: Router;
  /** Called when a channel may no longer be read: its streams are to end. */
  readonly ended: (channel: string) => void;
}

/** As many channels are remembered at most, with at most 4 KiB of metadata each. */
export const MAX_CHANNELS = 20_000;
/** How long what has come to its end is listed, in milliseconds. */
export const LISTED_MS = 3_600_000;

/**
 * The channels that were made or closed at run time, as far as this instance knows. What is asked for each stream is one look
 * into a map; everything else is not there at all on a route that is not `dynamic` and of which nothing was made or closed.
 */
export class ChannelBook {
  readonly #options: ChannelBookOptions;
  readonly #entries = new Map<string, Entry>();
  /** Names in order, for pages. */
  readonly #names: string[] = [];
  /** Those that may expire. */
  readonly #timed = new Set<string>();
  #isLoaded = false;

  constructor(options: ChannelBookOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The first `count` names behind this one, in order. */
  namesAfter(name: string, count: number): readonly string[] {
    const place = this.#placeOf(name);
    const from = this.#names[place] === name ? place + 1 : place;
    return this.#names.slice(from, from + count);
  }

  /** Channels that have a time-out and are open, or will be. */
  get timed(): ReadonlySet<string> {
    return this.#timed;
  }

  get isFull(): boolean {
    return this.#entries.size >= MAX_CHANNELS;
  }

  /** From now on what is not in the book was not made. */
  loaded(): void {
    this.#isLoaded = true;
  }

  get(channel: string): Entry | undefined {
    return this.#entries.get(channel);
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  state({ channel, route }: Destination): ChannelState {
    const isDynamic = route.config.dynamic;
    const entry = this.#entries.get(channel);
    if (entry === undefined && !isDynamic) return 'open';
    const standing = entry === undefined ? 'absent' : standingOf(entry.record, this.#options.clock.wall());
    if (standing === 'closed' || standing === 'open') return standing;
    if (!isDynamic) return 'open';
    return this.#isLoaded ? 'unknown' : 'loading';
  }

  describe(channel: string): Description | undefined {
    const record = this.#entries.get(channel)?.record;
    if (record?.createdMs === undefined) return undefined;
    const { createdMs, timeoutMs, metadata } = record;
    return {
      created: new Date(createdMs).toISOString(),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(metadata !== undefined && { metadata }),
    };
  }

  /** Takes what the bucket has, or with no `revision` what it is still to have. False where there is no room. */
  take(record: ChannelRecord, revision: number | undefined, { isOld = false } = {}): boolean {
    const { channel } = record;
    const known = this.#entries.get(channel);
    if (known === undefined && this.isFull) return false;
    if (known?.revision !== undefined && revision !== undefined && revision === known.revision) return true;
    this.#change(channel, () => {
      if (known === undefined) this.#names.splice(this.#placeOf(channel), 0, channel);
      this.#entries.set(channel, { record, revision, learnedMs: this.#options.clock.now(), isOld });
      if (record.timeoutMs !== undefined && mayBeOpen(record)) this.#timed.add(channel);
      else this.#timed.delete(channel);
    });
    return true;
  }

  /** Somebody removed it from the bucket. */
  forget(channel: string): void {
    if (!this.#entries.has(channel)) return;
    this.#change(channel, () => {
      this.#entries.delete(channel);
      this.#timed.delete(channel);
      this.#names.splice(this.#placeOf(channel), 1);
    });
  }

  /** Lets go of what was listed long enough after its end, or is over; gives it. */
  sweep(): readonly Entry[] {
    const nowMs = this.#options.clock.wall();
    const over = [...this.#entries.values()].filter(({ record }) => this.#isOver(record, nowMs));
    for (const { record } of over) this.forget(record.channel);
    return over;
  }

  // What was closed on a route whose channels are there by themselves must be remembered for as long as it is closed.
  #isOver(record: ChannelRecord, nowMs: number): boolean {
    const standing = standingOf(record, nowMs);
    if (standing === 'absent') return true;
    if (standing === 'open' || nowMs < (record.end?.atMs ?? nowMs) + LISTED_MS) return false;
    if (standing === 'expired') return true;
    const isDynamic = this.#options.router.resolve(record.channel)?.route.config.dynamic ?? true;
    return isDynamic && record.end?.untilMs === undefined;
  }

  #change(channel: string, act: () => void): void {
    const destination = this.#options.router.resolve(channel);
    const isServed = (state: ChannelState | undefined) => state === 'open' || state === 'loading';
    const before = destination === undefined ? undefined : this.state(destination);
    act();
    if (destination === undefined || !isServed(before)) return;
    if (!isServed(this.state(destination))) this.#options.ended(channel);
  }

  /** Where a name stands, or would stand. */
  #placeOf(channel: string): number {
    let from = 0;
    let to = this.#names.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#names[middle] ?? '') < channel) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

/** Also one that is closed for a time. */
function mayBeOpen({ end }: ChannelRecord): boolean {
  return end === undefined || end.untilMs !== undefined;
}
