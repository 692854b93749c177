import type { Clock } from '../clock.ts';

/** How long one turn of the event loop may be spent on those in line, in milliseconds: what is live must not wait longer. */
const SLICE_MS = 3;

/** Lets many who became ready in one moment go ahead one after the other, with room for everything else between. */
export class Line {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  #next = 0;
  #running = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `go` soon, in order of arrival. It must not throw. */
  join(go: () => void): void {
    this.#waiting.push(go);
    if (this.#running) return;
    this.#running = true;
    setImmediate(this.#serve);
  }

  readonly #serve = () => {
    const endMs = this.#clock.now() + SLICE_MS;
    do {
      const go = this.#waiting[this.#next];
      this.#next += 1;
      go?.();
    } while (this.#next < this.#waiting.length && this.#clock.now() < endMs);
    if (this.#next < this.#waiting.length) {
      setImmediate(this.#serve);
      return;
    }
    this.#waiting = [];
    this.#next = 0;
    this.#running = false;
  };
}
