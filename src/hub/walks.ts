import type { Clock } from '../clock.ts';

/** How long one turn of the event loop may be spent on walking, in milliseconds: what is live must not wait longer. */
const SLICE_MS = 3;
/** Between two looks at the clock: so many things. */
const STRIDE = 16;

/** Sees one thing after the other; `enough`: it need not see more. */
export type Visit<T> = (thing: T) => 'on' | 'enough';

/**
 * Goes through the many streams or channels that there are, for whoever asks about them: each turn a slice
 * for one of those who ask, who has waited longest first. What comes or goes meanwhile may be seen or not; what is there throughout is.
 */
export class Walks {
  readonly #clock: Clock;
  readonly #waiting: Walk[] = [];
  #isServing = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when all were seen, or enough. Rejects with what `visit` throws. */
  through<T>(things: Iterable<T>, visit: Visit<T>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(new SomeWalk(things, visit, { resolve, reject }));
      if (this.#isServing) return;
      this.#isServing = true;
      setImmediate(this.#serve);
    });
  }

  readonly #serve = () => {
    // One a turn, however short: what is made of a page takes as long again, and it is made as soon as the walk is over.
    const walk = this.#waiting.shift();
    if (walk?.isOver(this.#clock, this.#clock.now() + SLICE_MS) === false) this.#waiting.push(walk);
    this.#isServing = this.#waiting.length > 0;
    if (this.#isServing) setImmediate(this.#serve);
  };
}

/** One way through. */
interface Walk {
  /** Goes on; false where the time was over before all were seen. */
  isOver(clock: Clock, endMs: number): boolean;
}

class SomeWalk<T> implements Walk {
  readonly #left: Iterator<T>;
  readonly #visit: Visit<T>;
  readonly #end: { resolve(): void; reject(error: unknown): void };

  constructor(things: Iterable<T>, visit: Visit<T>, end: { resolve(): void; reject(error: unknown): void }) {
    this.#left = things[Symbol.iterator]();
    this.#visit = visit;
    this.#end = end;
  }

  isOver(clock: Clock, endMs: number): boolean {
    try {
      if (!this.#goOn(clock, endMs)) return false;
      this.#end.resolve();
    } catch (error) {
      this.#end.reject(error);
    }
    return true;
  }

  #goOn(clock: Clock, endMs: number): boolean {
    for (let seen = 1; ; seen += 1) {
      const next = this.#left.next();
      if (next.done === true || this.#visit(next.value) === 'enough') return true;
      if (seen % STRIDE === 0 && clock.now() >= endMs) return false;
    }
  }
}
