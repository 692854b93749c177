import type { RouteConfig } from '../config/schema.ts';
import type { Frame } from '../protocol/frame.ts';
import type { GapReason } from '../reasons.ts';

/**
 * A publication that memory keeps: the very frame that was delivered, shared, not copied. Not an object beside it, since
 * of all that history does, what is kept costs the garbage collector the most.
 */
export interface Entry extends Frame {
  /** When it was published, in milliseconds since the Unix epoch. */
  readonly timeMs: number;
  /** From then on it is not worth replaying. Absent, not infinite, where nothing was said: a number would be an object more. */
  readonly expiresMs: number | undefined;
}

/** The memory of all channels' history together, as those who take from it see it. */
export interface Budget {
  taken(bytes: number): void;
  freed(bytes: number): void;
}

/** The log that a history is part of. */
export interface Chronicle {
  readonly epoch: string | undefined;
  readonly offset: number;
  floor: number;
  floorMs: number;
  readonly histories: Map<string, History>;
}

/** What an entry takes besides its frame's bytes: its objects, and its place in an array. Measured by `npm run bench`. */
const ENTRY_BYTES = 270;

/**
 * What a history with entries takes besides them and its channel's name: itself, its array, its place among the log's. Measured
 * with 200,000 of one entry each on Node 20, 22 and 24: 445 with names of 21.
 */
const HISTORY_BYTES = 420;

export function entryBytes({ bytes }: Entry): number {
  return bytes.length + ENTRY_BYTES;
}

/** Whether the time is over that its publisher gave it. */
export function hasEnded({ expiresMs }: Entry, nowMs: number): boolean {
  return expiresMs !== undefined && expiresMs <= nowMs;
}

/**
 * What memory keeps of one channel, bounded by count, age and bytes; and from which position on it is complete.
 * An entry that ended by its own time to live is no loss; any other that goes moves `evictedThrough` on.
 */
export class History {
  readonly log: Chronicle;
  readonly channel: string;
  /** That of its route. */
  shelf: Shelf;
  /** Neighbours on the shelf, least recently appended to first. The shelf's to write. */
  previous: History | undefined;
  next: History | undefined;
  onShelf = false;
  /** Whether a channel is open on it: it is kept then, entries or not. */
  held = false;
  /** After this position memory has all there was, but for what was not worth keeping. */
  evictedThrough: number;
  evictedReason: GapReason = 'evicted';
  /** When the newest of what is missing was published, in milliseconds since the Unix epoch. */
  evictedMs: number;
  /** What its entries take. */
  bytes = 0;
  #limits: RouteConfig['history'];
  /** Places before `#start` are empty: what is gone must not be held by its place. */
  #entries: (Entry | undefined)[] = [];
  /** Index of the oldest entry; those before it are gone. */
  #start = 0;
  /** Who joins to it now, each from where on; absent where nobody does, as almost always. */
  #holders: Map<object, number> | undefined;
  #heldAfter = Infinity;

  constructor(log: Chronicle, channel: string, shelf: Shelf, limits: RouteConfig['history']) {
    this.log = log;
    this.channel = channel;
    this.shelf = shelf;
    this.#limits = limits;
    // Where nothing is kept, what came before was not kept either.
    this.evictedThrough = limits.size === 0 ? log.offset : log.floor;
    this.evictedMs = limits.size === 0 ? Infinity : log.floorMs;
    log.histories.set(channel, this);
  }

  /** What it takes without its entries; counted as long as it is on the shelf. */
  get ownBytes(): number {
    return HISTORY_BYTES + this.channel.length;
  }

  get size(): number {
    return this.#entries.length - this.#start;
  }

  get oldest(): Entry | undefined {
    return this.#entries[this.#start];
  }

  get newest(): Entry | undefined {
    return this.size === 0 ? undefined : this.#entries[this.#entries.length - 1];
  }

  append(entry: Entry): void {
    if (this.#limits.size === 0 && this.#holders === undefined) {
      this.#lost(entry);
      return;
    }
    this.#entries.push(entry);
    const taken = entryBytes(entry);
    this.bytes += taken;
    this.shelf.appended(this, taken);
    this.#trim(entry.timeMs);
  }

  /**
   * What comes after `offset` stays, whatever the bounds say: what came before is being read again, and there must be no
   * hole between. Only the budget of all may still take it. Ended by {@link release}; each holder has one hold.
   */
  hold(holder: object, offset: number): void {
    this.#holders ??= new Map();
    this.#holders.set(holder, offset);
    this.#heldAfter = Math.min(...this.#holders.values());
  }

  isHeldBy(holder: object): boolean {
    return this.#holders?.has(holder) ?? false;
  }

  release(holder: object, nowMs: number): void {
    this.#holders?.delete(holder);
    if (this.#holders?.size === 0) this.#holders = undefined;
    this.#heldAfter = Math.min(Infinity, ...(this.#holders?.values() ?? []));
    this.refresh(nowMs);
    this.retire();
  }

  /** Lets go of the oldest entry. */
  evict(nowMs: number): void {
    const entry = this.oldest;
    if (entry === undefined) return;
    this.#entries[this.#start] = undefined;
    this.#start += 1;
    const freed = entryBytes(entry);
    this.bytes -= freed;
    this.shelf.freed(freed);
    if (!hasEnded(entry, nowMs)) this.#lost(entry);
    if (this.size === 0) this.shelf.remove(this);
    if (this.#start > 32 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  /** Whatever came up to `offset` and is not here was missed, for `reason`. */
  breaks(offset: number, reason: GapReason, nowMs: number): void {
    this.evictedThrough = offset;
    this.evictedReason = reason;
    this.evictedMs = nowMs;
  }

  /** The log begins anew after `offset`. */
  restart(offset: number, nowMs: number): void {
    this.drop();
    this.breaks(offset, 'evicted', nowMs);
  }

  /** Is another route's from now on. */
  adopt(limits: RouteConfig['history'], shelf: Shelf, nowMs: number): void {
    // Who kept nothing could not say since when.
    if (this.#limits.size === 0 && limits.size > 0) this.evictedMs = Math.min(this.evictedMs, nowMs);
    this.#limits = limits;
    this.shelf.remove(this);
    this.shelf = shelf;
    if (this.size > 0) shelf.appended(this, 0);
    this.#trim(nowMs);
  }

  /** Whether the newest entry is too old to be kept, or there is none. */
  isStale(nowMs: number): boolean {
    const { newest } = this;
    return newest === undefined || newest.timeMs + this.#limits.ageMs <= nowMs;
  }

  /** What is kept of what came after `offset`, oldest first; also what is no longer worth replaying. */
  after(offset: number): Entry[] {
    let from = this.#entries.length;
    while (from > this.#start && (this.#entries[from - 1]?.offset ?? 0) > offset) from -= 1;
    return this.#entries.slice(from).filter((entry) => entry !== undefined);
  }

  /** Lets go of entries that are too old to be replayed. */
  refresh(nowMs: number): void {
    this.#trim(nowMs);
  }

  /** Gives up the place in the log where nobody needs it: no entries, and no channel open on it. */
  retire(): void {
    if (this.held || this.size > 0) return;
    this.shelf.remove(this);
    const { log } = this;
    // It has been given up already; by now the log may be another one.
    if (log.histories.get(this.channel) !== this) return;
    log.histories.delete(this.channel);
    if (this.#limits.size === 0) return;
    log.floor = Math.max(log.floor, this.evictedThrough);
    log.floorMs = Math.max(log.floorMs, this.evictedMs);
  }

  /** Lets go of everything, and of the place on the shelf. */
  drop(): void {
    this.shelf.freed(this.bytes);
    this.shelf.remove(this);
    this.#entries = [];
    this.#start = 0;
    this.bytes = 0;
  }

  #trim(nowMs: number): void {
    const { size, bytes, ageMs } = this.#limits;
    const oldestMs = nowMs - ageMs;
    for (let entry = this.oldest; entry !== undefined; entry = this.oldest) {
      const isOver = this.size > size || (this.bytes > bytes && this.size > 1) || entry.timeMs <= oldestMs;
      if (!isOver || entry.offset > this.#heldAfter) return;
      this.evict(nowMs);
    }
  }

  #lost({ offset, timeMs }: Entry): void {
    // A break that came later already says so, and says why.
    if (offset <= this.evictedThrough) return;
    this.evictedThrough = offset;
    this.evictedReason = 'evicted';
    this.evictedMs = timeMs;
  }
}

/** The histories of one route, least recently appended to first. */
export class Shelf {
  readonly #budget: Budget;
  #first: History | undefined;
  #last: History | undefined;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  get first(): History | undefined {
    return this.#first;
  }

  /** `history` took in an entry of so many bytes. */
  appended(history: History, bytes: number): void {
    let taken = bytes;
    if (this.#last !== history) {
      if (history.onShelf) this.#unlink(history);
      else taken += history.ownBytes;
      this.#link(history);
    }
    this.#budget.taken(taken);
  }

  freed(bytes: number): void {
    this.#budget.freed(bytes);
  }

  remove(history: History): void {
    if (!history.onShelf) return;
    this.#unlink(history);
    history.onShelf = false;
    this.#budget.freed(history.ownBytes);
  }

  #link(history: History): void {
    history.previous = this.#last;
    if (this.#last === undefined) this.#first = history;
    else this.#last.next = history;
    this.#last = history;
    history.onShelf = true;
  }

  #unlink(history: History): void {
    const { previous, next } = history;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    history.previous = undefined;
    history.next = undefined;
  }
}
