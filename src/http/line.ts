import type { Frame, Lane, Priority } from '../protocol/frame.ts';

/** So many places are not worth moving the others for. */
const FEW = 64;

/** A place in a line. With nothing in it it is empty, and passed over. */
export interface Item {
  /** Sequence of the frame that it was made for. What stands here now is not older. */
  readonly sequence: number;
  /** Of the line. What stands here now may have a lower one. */
  readonly priority: Priority;
  frame: Frame | undefined;
  /** Frames that were dropped from here on: to be told in this place. */
  gap: { readonly lane: Lane; skipped: number } | undefined;
  /** Whole events of this client's own, in the place of a frame. Nothing overtakes them. */
  readonly own?: readonly Uint8Array[];
}

/** What waits in one priority, in order. */
export class Line {
  #items: Item[] = [];
  #next = 0;
  /** Before it nothing may be dropped any more. */
  #dropFrom = 0;
  /** Places between those that are taken. */
  #empty = 0;

  /** How many places there are, empty ones included. */
  get places(): number {
    return this.#items.length;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    const item = this.#first();
    if (item === undefined) return undefined;
    this.#next += 1;
    this.#tidy();
    return item;
  }

  /** To be told when a place became empty: where nobody reads, that is how places go. */
  emptied(): void {
    this.#empty += 1;
    this.#tidy();
  }

  /** Nothing in the line is older; Infinity where nothing waits. */
  get sequence(): number {
    return this.#first()?.sequence ?? Infinity;
  }

  /** The oldest frame that may be dropped. */
  nextToDrop(): Item | undefined {
    for (let i = Math.max(this.#dropFrom, this.#next); i < this.#items.length; i += 1) {
      this.#dropFrom = i + 1;
      const item = this.#items[i];
      if (item?.frame?.lane?.policy === 'drop') return item;
    }
    return undefined;
  }

  #first(): Item | undefined {
    for (; this.#next < this.#items.length; this.#next += 1) {
      const item = this.#items[this.#next];
      if (item !== undefined && isTaken(item)) return item;
      this.#empty -= 1;
    }
    return undefined;
  }

  // At least half of the places are taken, but for a few.
  #tidy(): void {
    const gone = this.#next + this.#empty;
    if (gone < FEW || gone * 2 < this.#items.length) return;
    const before = this.#items.slice(this.#next, this.#dropFrom);
    const after = this.#items.slice(Math.max(this.#next, this.#dropFrom));
    const kept = before.filter(isTaken);
    this.#items = kept.concat(after.filter(isTaken));
    this.#dropFrom = kept.length;
    this.#next = 0;
    this.#empty = 0;
  }
}

function isTaken({ frame, gap, own }: Item): boolean {
  return frame !== undefined || gap !== undefined || own !== undefined;
}
