import { Queue } from '../queue.ts';

/** Runs work on channels: of each channel one piece at a time, in the order it came; of channels a few at a time. */
export class Turns {
  readonly #queue: Queue;
  readonly #onIdle: (channel: string) => void;
  /** What each channel's work that is under way is followed by. */
  readonly #waiting = new Map<string, (() => Promise<void>)[]>();

  /** `onIdle`: told when a channel has no more work for now. */
  constructor(concurrency: number, onIdle: (channel: string) => void) {
    this.#queue = new Queue(concurrency);
    this.#onIdle = onIdle;
  }

  /** Resolves or rejects as the work does. Work must not wait for more of its own channel. */
  run<T>(channel: string, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const turn = () => work().then(resolve, reject);
      const waiting = this.#waiting.get(channel);
      if (waiting !== undefined) {
        waiting.push(turn);
        return;
      }
      this.#waiting.set(channel, [turn]);
      void this.#queue.run(() => this.#work(channel));
    });
  }

  async #work(channel: string): Promise<void> {
    const turns = this.#waiting.get(channel);
    for (let turn = turns?.shift(); turn !== undefined; turn = turns?.shift()) await turn();
    this.#waiting.delete(channel);
    this.#onIdle(channel);
  }
}
