export interface GateOptions {
  /** Most that go on at once. */
  readonly underWay: number;
  /** Most that wait for their turn. */
  readonly waiting: number;
  /** Most bytes that those which go on and those which wait hold together. Default: no bound. */
  readonly bytes?: number;
}

/** Lets few through at once, has some wait in order of arrival, and turns away the rest. */
export class Gate {
  readonly #options: GateOptions;
  readonly #queue: (() => void)[] = [];
  #underWay = 0;
  #bytes = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get underWay(): number {
    return this.#underWay;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** `undefined`, at once, where as many as may do wait, or hold as much as they may. Rejects as `work` does. */
  pass<T>(work: () => Promise<T>, bytes = 0): Promise<T> | undefined {
    const { underWay, waiting, bytes: most = Number.POSITIVE_INFINITY } = this.#options;
    const isFree = this.#underWay < underWay;
    if (this.#bytes + bytes > most || (!isFree && this.#queue.length >= waiting)) return undefined;
    this.#bytes += bytes;
    if (isFree) return this.#run(work, bytes);
    return new Promise((resolve, reject) => {
      this.#queue.push(() => this.#run(work, bytes).then(resolve, reject));
    });
  }

  async #run<T>(work: () => Promise<T>, bytes: number): Promise<T> {
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#bytes -= bytes;
      this.#queue.shift()?.();
    }
  }
}
