import type { Entry, Word } from './messages.ts';

/** What all workers hold, by key, and each of them of it. `W` is whatever stands for a worker. */
export class WholeCounts<W> {
  readonly #byWorker = new Map<W, Map<string, number>>();
  readonly #totals = new Map<string, number>();
  readonly #touched = new Set<string>();

  /** Keys that anybody holds; returns to zero with the streams. */
  get size(): number {
    return this.#totals.size;
  }

  /** Takes what a worker holds now. */
  hear(worker: W, counts: readonly Entry[]): void {
    const held = this.#byWorker.get(worker) ?? new Map<string, number>();
    this.#byWorker.set(worker, held);
    for (const [key, count] of counts) this.#set(held, key, count);
  }

  /** A worker is gone, and its streams with it. */
  forget(worker: W): void {
    const held = this.#byWorker.get(worker);
    if (held === undefined) return;
    for (const key of [...held.keys()]) this.#set(held, key, 0);
    this.#byWorker.delete(worker);
  }

  /** The keys that changed since they were last taken. */
  takeTouched(): readonly string[] {
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched;
  }

  /** What a worker is to know of these keys; of all, where none are named. */
  wordFor(worker: W, keys: Iterable<string> = this.#totals.keys()): Word['counts'] {
    const held = this.#byWorker.get(worker);
    return Array.from(keys, (key) => {
      const own = held?.get(key) ?? 0;
      return [key, (this.#totals.get(key) ?? 0) - own, own] as const;
    });
  }

  #set(held: Map<string, number>, key: string, count: number): void {
    const total = (this.#totals.get(key) ?? 0) + count - (held.get(key) ?? 0);
    if (count > 0) held.set(key, count);
    else held.delete(key);
    if (total > 0) this.#totals.set(key, total);
    else this.#totals.delete(key);
    this.#touched.add(key);
  }
}
