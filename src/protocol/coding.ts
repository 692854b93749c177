/** Content codings by their names in HTTP (IANA's registry, RFC 9110 8.4.1, RFC 8878). */
export type CodingName = 'gzip' | 'zstd';

/**
 * Bytes in a content coding, made alone: what comes before them in a response does not matter, so all responses in that coding
 * share them. Nobody may write to `bytes`. The numbers are int32 (V8 keeps those without a box).
 */
export interface Block {
  readonly bytes: Uint8Array;
  /** CRC-32 of what was encoded; 0 where no ending needs it. */
  readonly crc: number;
  /** How long that was, in bytes. */
  readonly length: number;
  /** What a block of that length does to the CRC of all before it (`shiftOf` in crc32.ts); 0 where no ending needs it. */
  readonly shift: number;
}

/** The end of one response, which says what was in it. */
export interface Ending {
  /** Takes note of a block that was sent; in the order of sending, each time it is sent. */
  add(block: Block): void;
  /** The last bytes of the response. */
  bytes(): Uint8Array;
}

/**
 * A content coding of blocks: `preamble`, any blocks from anywhere in any order, and the ending's bytes are one valid response.
 * A decoder has the whole of each block once it has the block's last byte: nothing is held back until the next one.
 */
export interface Coding {
  readonly name: CodingName;
  /** What a response begins with. */
  readonly preamble: Uint8Array | undefined;
  /** Synchronous: what it costs is in docs/compression.md. */
  encode(bytes: Uint8Array): Block;
  /** For one response; `undefined` where a response may end behind any block. */
  ending(): Ending | undefined;
}

/**
 * Bytes to give Node for its output at first (`chunkSize`); where they do not do it takes more, for 1–2 µs. No fewer than it
 * takes memory of their own for, apart from its pool: {@link BlockMemory} says why.
 */
export function firstChunkBytes(length: number): number {
  return Math.max(Buffer.poolSize >>> 1, Math.min(length, 512 + (length >>> 1)));
}

/**
 * Memory for the bytes of blocks. In Node's pool they would lie between those of events that history keeps, and would be there
 * as long: that was half of what a block took.
 */
export class BlockMemory {
  #slab = Buffer.allocUnsafeSlow(0);
  #used = 0;

  /** To be written to once, by who asks. */
  take(length: number): Buffer {
    if (length > SHARED_BELOW) return Buffer.allocUnsafeSlow(length);
    if (this.#used + length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const taken = this.#slab.subarray(this.#used, this.#used + length);
    this.#used += length;
    return taken;
  }

  /** As much as the bytes need; Node gives what it compressed as a part of a larger piece. */
  copy(bytes: Uint8Array): Uint8Array {
    const copied = this.take(bytes.length);
    copied.set(bytes);
    return copied;
  }
}

const SLAB_BYTES = 8192;
const SHARED_BELOW = 2048;
