import type { Entry, ToWorker, Word } from './messages.ts';
import { WORDS_TO_SETTLE } from './shared-counts.ts';
import { WholeCounts } from './whole-counts.ts';

/** Who is asked and told. */
export interface Counting {
  /** `starting` ones hold nothing yet and cannot answer. */
  readonly state: 'starting' | 'listening' | 'draining' | 'gone';
  send(message: ToWorker): void;
}

/** From one round to the next, at least; in milliseconds. What limits count is known to all after that, and some milliseconds more. */
const ROUND_MS = 100;
/** A worker that has not answered by then, in milliseconds, is taken for holding what it held. */
const ANSWER_MS = 500;
/** Keys in one message to a worker. */
const MAX_KEYS = 5000;

/**
 * Lets workers know what the others hold. When something changed all are asked, and when all have answered all are told: of
 * the same moment, so that what each then lets in by itself adds up. Where nothing changes nothing is sent.
 */
export class Rounds<W extends Counting> {
  readonly #counts = new WholeCounts<W>();
  readonly #workers = new Set<W>();
  readonly #among: () => number;
  #failures: (readonly [W, readonly Entry[]])[] = [];
  #waiting: Set<W> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;
  #unsettled = 0;

  /** `among` says how many workers let streams in. */
  constructor(among: () => number) {
    this.#among = among;
  }

  /** A worker that will count, and first must know what is held already. */
  join(worker: W): void {
    this.#workers.add(worker);
    this.#tell(worker, this.#counts.wordFor(worker), []);
    this.changed();
  }

  leave(worker: W): void {
    this.#workers.delete(worker);
    this.#counts.forget(worker);
    this.changed();
    this.#answered(worker);
  }

  /** Somebody's counts changed, or who they are. */
  changed(): void {
    this.#isDue = true;
    this.#timer ??= setTimeout(() => this.#begin(), 0);
  }

  hear(worker: W, counts: readonly Entry[], failures: readonly Entry[]): void {
    this.#counts.hear(worker, counts);
    if (failures.length > 0) this.#failures.push([worker, failures]);
    if (this.#waiting?.has(worker)) this.#answered(worker);
    else this.changed();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#workers.clear();
  }

  #begin(): void {
    if (!this.#isDue) {
      this.#timer = undefined;
      return;
    }
    this.#isDue = false;
    this.#waiting = new Set([...this.#workers].filter(({ state }) => state !== 'starting'));
    this.#timer = setTimeout(() => this.#conclude(), ANSWER_MS);
    for (const worker of this.#waiting) worker.send({ kind: 'count' });
    if (this.#waiting.size === 0) this.#conclude();
  }

  #answered(worker: W): void {
    if (this.#waiting?.delete(worker) && this.#waiting.size === 0) this.#conclude();
  }

  #conclude(): void {
    clearTimeout(this.#timer);
    this.#waiting = undefined;
    const touched = this.#counts.takeTouched();
    // What a word leaves to a worker counts only when some more have come.
    this.#unsettled = touched.length > 0 ? WORDS_TO_SETTLE : Math.max(0, this.#unsettled - 1);
    if (this.#unsettled > 0) this.#isDue = true;
    const failures = this.#failures;
    this.#failures = [];
    for (const worker of this.#workers) {
      const elsewhere = failures.flatMap(([from, entries]) => (from === worker ? [] : entries));
      this.#tell(worker, this.#counts.wordFor(worker, touched), elsewhere);
    }
    this.#timer = setTimeout(() => this.#begin(), ROUND_MS);
  }

  #tell(worker: W, counts: Word['counts'], failures: readonly Entry[]): void {
    const among = this.#among();
    for (let at = 0; at === 0 || at < counts.length; at += MAX_KEYS) {
      const part = counts.slice(at, at + MAX_KEYS);
      const isFirst = at === 0;
      worker.send({ kind: 'word', counts: part, failures: isFirst ? failures : [], among, isFirst });
    }
  }
}
