import { Queue } from '../queue.ts';

/** Reads of the log at a time, over all channels; more would only queue up in the server. */
const CONCURRENT_READS = 16;

/** Bounds how many channels' backlogs are read at once; the others wait their turn. */
export class Reader {
  /** Reads begun, and those that failed. */
  reads = 0;
  failures = 0;
  readonly #queue = new Queue(CONCURRENT_READS);

  /** Runs `read` when it is its turn, and gives what it gives; undefined where it `isWanted` no more by then. */
  read<T>(isWanted: () => boolean, read: () => Promise<T>): Promise<T | undefined> {
    return this.#queue.run(async () => {
      if (!isWanted()) return undefined;
      this.reads += 1;
      try {
        return await read();
      } catch (error) {
        this.failures += 1;
        throw error;
      }
    });
  }
}
