import { bareBytes, type Frame, hasPosition, type Lane } from '../protocol/frame.ts';
import { encodeControl } from '../protocol/sse.ts';
import type { GapReason } from '../reasons.ts';
import { type Item, Line } from './line.ts';
import type { Waiting } from './waiting.ts';

/** What a place in a line takes besides its frame's bytes, about. */
const ITEM_BYTES = 100;

/** What is to be written next. */
export interface Next {
  /** Whole events; or bytes as they go out, where it is the rest of what had begun. */
  readonly bytes: Uint8Array;
  readonly isRest: boolean;
}

/**
 * What waits for one reader that is behind: references to shared frames, in a line for each priority.
 *
 * What had begun goes first, then the greeting, then frames, the highest priority first and in order within each. One rule
 * for cursors: a frame brings its `id:` only if nothing older still waits. So the cursor never passes what waits here; what
 * has overtaken it may come again after a reconnection.
 */
export class Outbox {
  readonly #waiting: Waiting;
  readonly #tells: boolean;
  #rest: Uint8Array[] = [];
  #first: Uint8Array[] = [];
  readonly #normal = new Line();
  readonly #high = new Line();
  readonly #urgent = new Line();
  /** The lowest first. */
  readonly #lines = [this.#normal, this.#high, this.#urgent] as const;
  /** Of lanes in which a later event takes the place of an earlier one: where each key waits. */
  readonly #latest = new Map<Lane, Map<string | undefined, Item>>();
  /** Of the same: how many were replaced since the client was last told. */
  readonly #superseded = new Map<Lane, number>();
  /** Of lanes that were dropped from: where that will be told. */
  readonly #gaps = new Map<Lane, Item>();
  #bytes = 0;
  /** Sequence of the newest frame that was taken out, or dropped. */
  #newest = 0;
  /** Sequence of the frame that was put in last. */
  #last = 0;
  /** Events of the client's own that keep their place: until they are out, what comes stays behind them. */
  #barriers = 0;
  #isCursorBehind = false;

  /** `tells`: whether the client is to know what it was spared. */
  constructor(waiting: Waiting, tells: boolean) {
    this.#waiting = waiting;
    this.#tells = tells;
  }

  /** Bytes that wait, those of shared frames included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Places in its lines, those that became empty included. */
  get places(): number {
    return this.#lines.reduce((sum, line) => sum + line.places, 0);
  }

  /** Whether the client's cursor is behind what it has been given. */
  get isCursorBehind(): boolean {
    return this.#isCursorBehind;
  }

  /** Bytes as they go out, before everything else. */
  unshift(rest: Uint8Array): void {
    this.#rest.unshift(rest);
    this.#count(rest.length);
  }

  /** Whole events, before all frames. */
  pushFirst(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.#first.push(part);
    this.#count(sizeOf(parts));
  }

  /** Whole events that keep their place: behind all that waits, and before all that comes, whatever its priority. */
  pushInOrder(parts: readonly Uint8Array[]): void {
    this.#barriers += 1;
    this.#normal.push({ sequence: this.#last, priority: 0, frame: undefined, gap: undefined, own: parts });
    // What comes must not take a place in front of them, nor its loss be told there.
    this.#latest.clear();
    this.#gaps.clear();
    this.#count(sizeOf(parts));
  }

  push(frame: Frame): void {
    const { lane, key, sequence } = frame;
    const priority = this.#barriers > 0 ? 0 : frame.priority;
    this.#last = sequence;
    const keyed = lane?.policy === 'latest' ? this.#keyed(lane) : undefined;
    const known = keyed?.get(key);
    if (lane !== undefined && known?.frame !== undefined) {
      lane.counts.superseded += 1;
      this.#superseded.set(lane, (this.#superseded.get(lane) ?? 0) + 1);
      const isHigher = priority > known.frame.priority;
      this.#release(known.frame);
      // In its place, or one that changes all the time would never get there.
      known.frame = isHigher ? undefined : frame;
      if (!isHigher) {
        this.#hold(frame);
        return;
      }
      if (known.gap === undefined) this.#lines[known.priority].emptied();
    }
    const item: Item = { sequence, priority, frame, gap: undefined };
    this.#lines[priority].push(item);
    keyed?.set(key, item);
    this.#hold(frame);
  }

  /** Lets go of the oldest frames of the lowest priority, where their routes allow it, until no more than `limit` bytes wait. */
  drop(limit: number): void {
    for (const line of this.#lines) {
      while (this.#bytes > limit) {
        const item = line.nextToDrop();
        if (item === undefined) break;
        this.#drop(item);
      }
    }
  }

  /** Takes out what is to be written next; `undefined` where nothing waits. */
  next(): Next | undefined {
    const rest = this.#rest.shift();
    if (rest !== undefined) return this.#out(rest, true);
    const first = this.#first.shift();
    if (first !== undefined) return this.#out(first, false);
    for (;;) {
      const item = this.#urgent.shift() ?? this.#high.shift() ?? this.#normal.shift();
      if (item === undefined) return undefined;
      if (item.own !== undefined) this.#begin(item.own);
      const own = this.#first.shift();
      if (own !== undefined) return this.#out(own, false);
      const bytes = this.#eventsOf(item);
      if (bytes !== undefined) return { bytes, isRest: false };
    }
  }

  /** Lets go of everything. */
  clear(): void {
    while (this.next() !== undefined);
  }

  /** From here on they go before everything else. */
  #begin(own: readonly Uint8Array[]): void {
    this.#barriers -= 1;
    this.#first.push(...own);
  }

  #eventsOf(item: Item): Uint8Array | undefined {
    const { frame, gap } = item;
    const told: Uint8Array[] = [];
    if (gap !== undefined) {
      this.#gaps.delete(gap.lane);
      this.#isCursorBehind = true;
      if (this.#tells) told.push(skipped('sidestream.gap', gap.lane, gap.skipped));
    }
    if (frame !== undefined) {
      const { lane } = frame;
      if (lane !== undefined) this.#tellSuperseded(lane, item, told);
      this.#release(frame);
      // Events of the client's own have the sequence of the frame in front of them.
      const isOldest = this.#lines.every((line) => frame.sequence <= line.sequence);
      this.#newest = Math.max(this.#newest, frame.sequence);
      // What had overtaken it is newer than its cursor.
      const isBehind = !isOldest || frame.sequence < this.#newest;
      // One without a cursor brings it no further.
      if (isBehind || hasPosition(frame)) this.#isCursorBehind = isBehind;
      told.push(isOldest ? frame.bytes : bareBytes(frame));
    }
    const [only] = told;
    return told.length > 1 ? Buffer.concat(told) : only;
  }

  #tellSuperseded(lane: Lane, item: Item, told: Uint8Array[]): void {
    const keyed = this.#latest.get(lane);
    const key = item.frame?.key;
    if (keyed?.get(key) === item) keyed.delete(key);
    const count = this.#superseded.get(lane);
    if (count === undefined) return;
    this.#superseded.delete(lane);
    if (this.#tells) told.push(skipped('sidestream.skipped', lane, count));
  }

  #drop(item: Item): void {
    const { frame } = item;
    if (frame?.lane === undefined) return;
    const { lane } = frame;
    lane.counts.dropped += 1;
    item.frame = undefined;
    this.#newest = Math.max(this.#newest, frame.sequence);
    this.#release(frame);
    const told = this.#gaps.get(lane);
    // Told no later than in this place: else a cursor beyond it might get there first.
    if (told?.gap !== undefined && told.sequence <= item.sequence) {
      told.gap.skipped += 1;
      this.#lines[item.priority].emptied();
    } else {
      item.gap = { lane, skipped: 1 };
      this.#gaps.set(lane, item);
    }
  }

  #keyed(lane: Lane): Map<string | undefined, Item> {
    const known = this.#latest.get(lane);
    if (known !== undefined) return known;
    const made = new Map<string | undefined, Item>();
    this.#latest.set(lane, made);
    return made;
  }

  #hold(frame: Frame): void {
    this.#bytes += frame.bytes.length;
    this.#waiting.held(frame);
    this.#waiting.taken(ITEM_BYTES);
  }

  #release(frame: Frame): void {
    this.#bytes -= frame.bytes.length;
    this.#waiting.released(frame);
    this.#waiting.freed(ITEM_BYTES);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#waiting.taken(bytes);
  }

  #out(bytes: Uint8Array, isRest: boolean): Next {
    this.#count(-bytes.length);
    return { bytes, isRest };
  }
}

function skipped(event: string, { channel }: Lane, count: number): Uint8Array {
  const reason: GapReason | undefined = event === 'sidestream.gap' ? 'slow' : undefined;
  return Buffer.from(encodeControl(event, { channel, reason, skipped: count }));
}

function sizeOf(parts: readonly Uint8Array[]): number {
  let size = 0;
  for (const { length } of parts) size += length;
  return size;
}
