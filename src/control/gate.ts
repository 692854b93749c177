export interface GateOptions {
  /** Most that go on at once. */
  readonly underWay: number;
  /** Most that wait for their turn. */
  readonly waiting: number;
}

/** Lets few through at once, has some wait in order of arrival, and turns away the rest. */
export class Gate {
  readonly #options: GateOptions;
  readonly #queue: (() => void)[] = [];
  #underWay = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get underWay(): number {
    return this.#underWay;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** `undefined`, at once, where as many as may do wait. Rejects as `work` does. */
  pass<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.#underWay < this.#options.underWay) return this.#run(work);
    if (this.#queue.length >= this.#options.waiting) return undefined;
    return new Promise((resolve, reject) => {
      this.#queue.push(() => this.#run(work).then(resolve, reject));
    });
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#queue.shift()?.();
    }
  }
}
