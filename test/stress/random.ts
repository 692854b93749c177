import { createHash } from 'node:crypto';

/** Bytes that one number is made of, and that one digest gives. */
const NUMBER_BYTES = 4;
const DIGEST_BYTES = 32;

/** Choices that a seed repeats. Whoever chooses has a generator of their own, so that one's pace is not another's luck. */
export class Random {
  readonly #seed: string;
  #block = 0;
  #digest: Buffer = Buffer.alloc(0);
  #at = DIGEST_BYTES;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** Another generator, whose numbers tell nothing of this one's. */
  fork(name: string): Random {
    return new Random(`${this.#seed}/${name}`);
  }

  /** From 0 up to, but not including, 1. */
  next(): number {
    if (this.#at >= DIGEST_BYTES) {
      this.#digest = createHash('sha256').update(`${this.#seed}:${this.#block}`).digest();
      this.#block += 1;
      this.#at = 0;
    }
    const number = this.#digest.readUInt32BE(this.#at);
    this.#at += NUMBER_BYTES;
    return number / 2 ** 32;
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  /** A whole number from 0 up to, but not including, `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws TypeError where there is nothing to pick from */
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new TypeError('nothing to pick from');
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, place: this.next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ item }) => item);
  }
}
