import type { Clock } from '../clock.ts';
import { keptName } from '../routing/own-copy.ts';

/** As long as JetStream's own default, `duplicate_window`. */
const WINDOW_MS = 120_000;
/** Messages of one generation; there are two, so the newest so many are always known: at some 200 bytes each, 2 MB at most. */
const GENERATION = 5_000;

/** The messages of one route that were seen lately, by subject and `Nats-Msg-Id`: JetStream looks no further back either. */
export class Duplicates {
  readonly #clock: Clock;
  // Whole generations are forgotten: taking the oldest off one map costs a walk over all that were taken off before.
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #youngSinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#youngSinceMs = clock.now();
  }

  /** Whether the message came before; notes that it came. */
  has(subject: string, id: string): boolean {
    const nowMs = this.#clock.now();
    if (this.#young.size >= GENERATION || nowMs - this.#youngSinceMs >= WINDOW_MS) this.#age(nowMs);
    // A subject holds no space.
    const name = keptName(`${subject} ${id}`);
    const seenMs = this.#young.get(name) ?? this.#old.get(name);
    if (seenMs !== undefined && nowMs - seenMs < WINDOW_MS) return true;
    this.#young.set(name, nowMs);
    return false;
  }

  #age(nowMs: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngSinceMs = nowMs;
  }
}
