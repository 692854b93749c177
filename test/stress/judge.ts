import type { Book } from './book.ts';

/** What a connection was told of a channel as it joined. */
export interface Told {
  readonly resume: string;
  readonly reason: string | undefined;
  readonly replayed: number;
}

export interface Joining extends Told {
  /** Whether a cursor was brought. */
  readonly isReturn: boolean;
  /** Whether the cursor was given by the same process. */
  readonly isSameProcess: boolean;
  /** Position of the channel's log at joining, where it is known. */
  readonly offset: number | undefined;
}

/** A source that cannot be read for a while may say so, whatever comes of it. */
const OUTAGES: ReadonlySet<string | undefined> = new Set(['unavailable', 'available']);

/**
 * One client's record of one channel, compared with what was published as it grows: nothing twice, nothing out of order,
 * nothing missing that was not said, and nothing said to be missing of what cannot be.
 * Each call gives what is wrong, if anything.
 */
export class Judge {
  readonly #book: Book;
  /** The newest publication that the client has; absent where any may be the first. */
  #last: number | undefined;
  /** The newest publication when a gap was said: whoever is told fetches anew what there is then, and misses nothing of it. */
  #excusedThrough = 0;
  /** The newest when it was sent the current values: a key that was deleted has none. */
  #valuesOf = 0;
  /** Where it joined without a cursor: it is owed what comes after, and after what was published when it was told so. */
  #joinedAt: number | undefined;
  #joinedAfter = 0;

  constructor(book: Book) {
    this.#book = book;
  }

  get last(): number | undefined {
    return this.#last;
  }

  /** The record so far, for a client that may be set back to it. */
  clone(): Judge {
    const copy = new Judge(this.#book);
    copy.#last = this.#last;
    copy.#excusedThrough = this.#excusedThrough;
    copy.#valuesOf = this.#valuesOf;
    copy.#joinedAt = this.#joinedAt;
    copy.#joinedAfter = this.#joinedAfter;
    return copy;
  }

  joined(joining: Joining): string | undefined {
    const { resume, reason, isReturn, isSameProcess } = joining;
    if (!isReturn) return this.#joinedAnew(joining);
    if (resume === 'live') return 'live was said to who brought a cursor';
    if (resume === 'recovered') {
      const isOfProcess = this.#book.spec.debt === 'memory';
      return isOfProcess && !isSameProcess ? 'recovered was said of what another process saw' : undefined;
    }
    return resume === 'reset' ? this.#reset(isSameProcess, reason) : this.gap(reason);
  }

  /** A gap was said. */
  gap(reason: string | undefined): string | undefined {
    const { debt } = this.#book.spec;
    if (debt === 'limited' || debt === 'memory') this.#excuse();
    else if (!OUTAGES.has(reason)) return `a gap was said where nothing can be missing (${reason})`;
    return undefined;
  }

  /** A publication came. `offset`: its position, where its log is a stream. */
  received(number: number, offset: number | undefined): string | undefined {
    const wrong =
      (offset === undefined ? undefined : this.#book.claim(number, offset)) ??
      (number > this.#book.begun ? `publication ${number} was never published` : undefined) ??
      this.#follows(number);
    // Also after something wrong: what comes next is judged by itself.
    this.#last = number;
    return wrong;
  }

  #excuse(): void {
    this.#excusedThrough = this.#book.begun;
  }

  #reset(isSameProcess: boolean, reason: string | undefined): string | undefined {
    this.#last = undefined;
    this.#joinedAt = undefined;
    this.#joinedAfter = this.#book.begun;
    this.#excuse();
    if (this.#book.spec.debt !== 'memory') return `reset was said of a stream that goes on (${reason})`;
    return isSameProcess ? 'reset was said by the process that gave the cursor' : undefined;
  }

  #joinedAnew({ resume, replayed, offset }: Joining): string | undefined {
    const { replay, debt } = this.#book.spec;
    this.#last = debt === 'values' ? 0 : undefined;
    this.#excusedThrough = 0;
    this.#valuesOf = this.#book.begun;
    // A bridge that is behind replays less, and delivers the rest as it comes.
    this.#joinedAfter = Math.max(0, this.#book.begun - (replay ?? 0));
    this.#joinedAt = offset;
    if (resume !== 'live') return `${resume} was said to who brought no cursor`;
    return replayed > (replay ?? Number.POSITIVE_INFINITY)
      ? `${replayed} were replayed, not ${replay}`
      : undefined;
  }

  #follows(number: number): string | undefined {
    const last = this.#last;
    if (last === undefined) return this.#followsFirst(number);
    if (number === last) return `publication ${number} came twice`;
    if (number < last) return `publication ${number} came after ${last}`;
    return this.#between(last, number);
  }

  #between(last: number, number: number): string | undefined {
    for (let missing = last + 1; missing < number; missing += 1) {
      if (!this.#mayBeMissing(missing))
        return `publication ${missing} is missing between ${last} and ${number}`;
    }
    return undefined;
  }

  #mayBeMissing(number: number): boolean {
    if (number <= this.#excusedThrough || this.#book.isDoubtful(number)) return true;
    if (this.#book.spec.debt !== 'values') return false;
    if (this.#book.isSuperseded(number)) return true;
    return this.#book.isDeletion(number) && number <= this.#valuesOf;
  }

  #followsFirst(number: number): string | undefined {
    const before = this.#book.offsetOf(number - 1);
    if (this.#joinedAt !== undefined && before !== undefined && before > this.#joinedAt)
      if (!this.#mayBeMissing(number - 1))
        return `publication ${number - 1} at ${before} is missing: joined at ${this.#joinedAt}`;
    return this.#between(this.#joinedAfter, number);
  }
}
