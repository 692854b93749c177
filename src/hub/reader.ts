/** Reads of the log at a time, over all channels; more would only queue up in the server. */
const CONCURRENT_READS = 16;

/** Bounds how many channels' backlogs are read at once; the others wait their turn. */
export class Reader {
  /** Reads begun, and those that failed. */
  reads = 0;
  failures = 0;
  #active = 0;
  readonly #waiting: (() => void)[] = [];

  /** Runs `read` when it is its turn, and gives what it gives; undefined where it `isWanted` no more by then. */
  async read<T>(isWanted: () => boolean, read: () => Promise<T>): Promise<T | undefined> {
    if (this.#active >= CONCURRENT_READS) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#active += 1;
    try {
      if (!isWanted()) return undefined;
      this.reads += 1;
      return await read();
    } catch (error) {
      this.failures += 1;
      throw error;
    } finally {
      // Whoever is next takes this one's place.
      const next = this.#waiting.shift();
      if (next === undefined) this.#active -= 1;
      else next();
    }
  }
}
