import type { Frame, Lane } from '../protocol/frame.ts';

/** A place in a line. With neither a frame nor a gap it is empty, and passed over. */
export interface Item {
  /** Sequence of the frame that it was made for. What stands here now is not older. */
  readonly sequence: number;
  frame: Frame | undefined;
  /** Frames that were dropped from here on: to be told in this place. */
  gap: { readonly lane: Lane; skipped: number } | undefined;
}

/** What waits in one priority, in order. */
export class Line {
  #items: Item[] = [];
  #next = 0;
  /** Before it nothing may be dropped any more. */
  #dropFrom = 0;

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    const item = this.#first();
    if (item === undefined) return undefined;
    this.#next += 1;
    // Half of the places are taken up by what has gone.
    if (this.#next > 64 && this.#next * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#next);
      this.#dropFrom = Math.max(0, this.#dropFrom - this.#next);
      this.#next = 0;
    }
    return item;
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
      if (item?.frame !== undefined || item?.gap !== undefined) return item;
    }
    return undefined;
  }
}
