import type { Metrics } from '../metrics.ts';

/** A connection whose reader is behind. */
export interface Debtor {
  /** What waits for it, in bytes. */
  readonly waitingBytes: number;
  /** Cuts it off; what waited for it is let go of. */
  abort(ending: 'slow'): void;
}

/** Bytes that wait for several connections: the same object for all of them. A frame is such. */
interface Held {
  readonly bytes: Uint8Array;
}

/** Once the bound is passed, so much of it is kept: not one connection at a time is cut off, with a search for each. */
const KEPT_SHARE = 0.9;

/**
 * The memory that waits for all readers that are behind together, and its bound: `limits.pendingTotal`. A frame that waits for
 * many is counted once, as it is there once.
 */
export class Waiting {
  #limitBytes: number;
  readonly #metrics: Metrics;
  /** Frames that wait somewhere: for how many. */
  readonly #frames = new Map<Held, number>();
  readonly #debtors = new Set<Debtor>();
  #bytes = 0;

  constructor(limitBytes: number, metrics: Metrics) {
    this.#limitBytes = limitBytes;
    this.#metrics = metrics;
  }

  /** Keeps to another bound from now on. */
  limitTo(bytes: number): void {
    this.#limitBytes = bytes;
    this.relieve();
  }

  /** Takes note of a reader that is behind. */
  joined(debtor: Debtor): void {
    this.#debtors.add(debtor);
  }

  left(debtor: Debtor): void {
    this.#debtors.delete(debtor);
  }

  /** Bytes that one connection alone holds. */
  taken(bytes: number): void {
    this.#add(bytes);
  }

  freed(bytes: number): void {
    this.#add(-bytes);
  }

  /** A frame waits for one connection more. */
  held(frame: Held): void {
    const count = this.#frames.get(frame) ?? 0;
    this.#frames.set(frame, count + 1);
    if (count === 0) this.#add(frame.bytes.length);
  }

  released(frame: Held): void {
    const count = this.#frames.get(frame) ?? 0;
    if (count > 1) {
      this.#frames.set(frame, count - 1);
      return;
    }
    if (this.#frames.delete(frame)) this.#add(-frame.bytes.length);
  }

  /** Cuts off those with the most waiting, where together it is more than may be. */
  relieve(): void {
    if (this.#bytes <= this.#limitBytes) return;
    const worstFirst = [...this.#debtors].sort((a, b) => b.waitingBytes - a.waitingBytes);
    for (const debtor of worstFirst) {
      if (this.#bytes <= this.#limitBytes * KEPT_SHARE) return;
      debtor.abort('slow');
    }
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    this.#metrics.pendingMemoryBytes = this.#bytes;
  }
}
