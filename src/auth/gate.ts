import type { Clock } from '../clock.ts';

export interface GateOptions {
  /** Tasks under way at the same time; 1 or more. */
  readonly concurrency: number;
  /** Tasks that may wait for a place; what comes beyond is turned away at once. */
  readonly maxWaiting: number;
  /** Milliseconds after which a waiting task is not worth starting any more. */
  readonly maxWaitMs: number;
}

interface Waiting {
  readonly sinceMs: number;
  readonly admit: (admitted: boolean) => void;
}

/**
 * Shields a service from a storm: equal tasks run once and share the outcome, few run at a time, some wait, and the rest
 * are turned away at once. A queue without a bound was rejected: it makes everybody wait for a service that is too slow,
 * and by the time it answers nobody is there any more.
 */
export class Gate<T> {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #options: GateOptions;
  readonly #flights = new Map<string, Promise<T | undefined>>();
  readonly #waiting: Waiting[] = [];
  #underWay = 0;

  /** @throws TypeError — a concurrency below 1 would let nobody through, ever */
  constructor(options: GateOptions, clock: Pick<Clock, 'now'>) {
    if (!(options.concurrency >= 1))
      throw new TypeError(`concurrency is ${options.concurrency}, not 1 or more`);
    this.#options = options;
    this.#clock = clock;
  }

  /** Tasks that run now. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Tasks that wait for a place. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Runs `task`, or joins the task of the same key that is waiting or under way. Resolves to `undefined` where the task
   * was turned away: never run, or not within `maxWaitMs`. Rejects as the task does.
   */
  run(key: string, task: () => Promise<T>): Promise<T | undefined> {
    const joined = this.#flights.get(key);
    if (joined !== undefined) return joined;
    const flight = this.#pass(task).finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  async #pass(task: () => Promise<T>): Promise<T | undefined> {
    if (!(await this.#enter())) return undefined;
    try {
      return await task();
    } finally {
      this.#leave();
    }
  }

  #enter(): boolean | Promise<boolean> {
    if (this.#underWay < this.#options.concurrency) {
      this.#underWay += 1;
      return true;
    }
    if (this.#waiting.length >= this.#options.maxWaiting) return false;
    return new Promise((admit) => this.#waiting.push({ sinceMs: this.#clock.now(), admit }));
  }

  // The place goes to the first who is still worth it; only when there is none is it free.
  #leave(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const admitted = this.#clock.now() - next.sinceMs <= this.#options.maxWaitMs;
      next.admit(admitted);
      if (admitted) return;
    }
    this.#underWay -= 1;
  }
}
