/**
 * Bounds what is under way for each client at a time: what a service takes, and what waits for it, is shared by all, and one
 * client that asks much must leave the others their part.
 */
export class Pending {
  readonly #max: number;
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Begins a task, unless so many of the client's are under way: `undefined`. Resolves and rejects as the task does. */
  run<T>(client: string, task: () => Promise<T>): Promise<T> | undefined {
    const count = this.#counts.get(client) ?? 0;
    if (count >= this.#max) return undefined;
    this.#counts.set(client, count + 1);
    return task().finally(() => this.#release(client));
  }

  #release(client: string): void {
    const left = (this.#counts.get(client) ?? 0) - 1;
    if (left > 0) this.#counts.set(client, left);
    else this.#counts.delete(client);
  }
}
