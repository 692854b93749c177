import { createHash } from 'node:crypto';
import { Random } from '../stress/random.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SMALLEST_BYTES = 100;
/** Where something changes in what is below us: uWebSockets.js's cork buffer, what the bridge joins into one write. */
const CORK_BYTES = 16 * KIB;
const EDGES = [CORK_BYTES, 64 * KIB, MIB];
/** What the fields around the data take, more or less, so that frames and not payloads meet the edges. */
const FIELDS_BYTES = 24;
const EDGE_CHANCE = 0.25;

/** One of each of those that alternate. */
export const PAIR_BYTES = 5 * CORK_BYTES;

export interface MixOptions {
  readonly seed: number;
  readonly largestBytes?: number;
  /** By turns one that fits into the cork buffer and one that does not, nor is it joined with others. */
  readonly alternating?: boolean;
}

export interface Publication {
  readonly channel: 'a' | 'b';
  readonly payload: Buffer;
}

/** Publications of 100 B to 1 MiB, each order of magnitude as often as the other, that a seed repeats. */
export class Mix {
  readonly #random: Random;
  /** Twice as long as a payload: each is cut out of it somewhere else, so that no two look alike anywhere. */
  readonly #text: Buffer;
  readonly #largestBytes: number;
  readonly #alternating: boolean;
  #isLarge = true;

  constructor({ seed, largestBytes = MIB, alternating = false }: MixOptions) {
    this.#alternating = alternating;
    this.#random = new Random(`framing ${seed}`);
    this.#largestBytes = largestBytes;
    const noise = createHash('shake256', { outputLength: 2 * largestBytes }).update(`${seed}`);
    this.#text = Buffer.from(noise.digest('base64').slice(0, 2 * largestBytes));
  }

  next(): Publication {
    const bytes = this.#nextBytes();
    const from = this.#random.below(this.#text.length - bytes);
    return {
      channel: this.#random.chance(0.5) ? 'a' : 'b',
      payload: this.#text.subarray(from, from + bytes),
    };
  }

  #nextBytes(): number {
    if (this.#alternating) {
      this.#isLarge = !this.#isLarge;
      return this.#isLarge
        ? 5 * CORK_BYTES
        : CORK_BYTES - 2 * FIELDS_BYTES - this.#random.below(CORK_BYTES / 2);
    }
    if (this.#random.chance(EDGE_CHANCE)) {
      const edge = this.#random.pick(EDGES) - this.#random.below(2 * FIELDS_BYTES);
      return Math.min(edge, this.#largestBytes);
    }
    const [from, to] = [Math.log(SMALLEST_BYTES), Math.log(this.#largestBytes)];
    return Math.floor(Math.exp(this.#random.between(from, to)));
  }
}
