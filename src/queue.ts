/** Runs a few tasks at a time, the others in the order they came. Nobody is turned away: who waits is bounded elsewhere. */
export class Queue {
  readonly #concurrency: number;
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  /** @throws TypeError — a concurrency below 1 would let nobody through, ever */
  constructor(concurrency: number) {
    if (!(concurrency >= 1)) throw new TypeError(`concurrency is ${concurrency}, not 1 or more`);
    this.#concurrency = concurrency;
  }

  /** Resolves or rejects as the task does. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#underWay < this.#concurrency) this.#underWay += 1;
    else await new Promise<void>((start) => this.#waiting.push(start));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay -= 1;
      else next();
    }
  }
}
