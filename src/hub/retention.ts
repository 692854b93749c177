import type { Clock } from '../clock.ts';
import { type Budget, type History, Shelf } from './history.ts';

/** What `Retention` may drop before it evicts history: what was read again from a stream for those who return. */
export interface Droppable {
  readonly bytes: number;
  /** Gives everything back, by {@link Retention.release}. */
  drop(): void;
}

/** Somebody may be about to use what was used so short a while ago, in milliseconds. */
const IN_USE_MS = 1000;
/** What nobody has used for so long is let go, in milliseconds: those who return after a redeploy have returned by then. */
const IDLE_MS = 60_000;

/** The memory of all channels' history together: bounded, and given back when it is too old. */
export class Retention implements Budget {
  #maxBytes: number;
  readonly #clock: Clock;
  #bytes = 0;
  readonly #shelves = new Set<Shelf>();
  /** When each was last used; least recently used first. */
  readonly #droppable = new Map<Droppable, number>();
  #droppableBytes = 0;

  constructor(maxBytes: number, clock: Clock) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Keeps to another bound from now on; what is over it goes. */
  limitTo(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.taken(0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  shelf(): Shelf {
    const shelf = new Shelf(this);
    this.#shelves.add(shelf);
    return shelf;
  }

  /** The route of a shelf, which is empty, is gone. */
  remove(shelf: Shelf): void {
    this.#shelves.delete(shelf);
  }

  taken(bytes: number): void {
    this.#bytes += bytes;
    while (this.#bytes > this.maxBytes && this.#relieve());
  }

  freed(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Counts what a backlog holds, or holds now, and marks it as used. One that is larger than all there is stays alone. */
  use(droppable: Droppable, moreBytes: number): void {
    this.#droppable.delete(droppable);
    this.#droppable.set(droppable, this.#clock.now());
    this.#droppableBytes += moreBytes;
    this.taken(moreBytes);
  }

  release(droppable: Droppable): void {
    if (!this.#droppable.delete(droppable)) return;
    this.#droppableBytes -= droppable.bytes;
    this.freed(droppable.bytes);
  }

  /** Lets go of what is too old on every route, and of what was read again for nobody who is left. */
  sweep(nowMs: number): void {
    for (const shelf of this.#shelves) {
      for (let history = shelf.first; history?.isStale(nowMs); history = shelf.first) {
        while (history.size > 0) history.evict(nowMs);
        history.retire();
      }
    }
    const idleMs = this.#clock.now() - IDLE_MS;
    for (const [droppable, usedMs] of this.#droppable) {
      if (usedMs > idleMs) break;
      droppable.drop();
    }
  }

  /** Frees something, what is the least loss first; false where there is nothing left. */
  #relieve(): boolean {
    const [used] = this.#droppable;
    if (used !== undefined) {
      const [droppable, usedMs] = used;
      // What is in use would only be read once more, and those who wait for it would wait in vain in the end; but not
      // so that returning with old cursors costs everybody else's history.
      const isIdle = usedMs + IN_USE_MS <= this.#clock.now();
      const isTooMuch = this.#droppable.size > 1 && this.#droppableBytes * 2 > this.maxBytes;
      if (isIdle || isTooMuch) {
        droppable.drop();
        return true;
      }
    }
    return this.#evict();
  }

  #evict(): boolean {
    let oldest: History | undefined;
    for (const { first } of this.#shelves) {
      if (first === undefined) continue;
      // Where there is no choice, its newest entry needs not be fetched from far memory.
      if (oldest === undefined || newestMs(first) < newestMs(oldest)) oldest = first;
    }
    if (oldest === undefined) return false;
    oldest.evict(0);
    oldest.retire();
    return true;
  }
}

function newestMs({ newest }: History): number {
  return newest?.timeMs ?? 0;
}
