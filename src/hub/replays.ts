import { join, PART_BYTES } from '../protocol/batch.ts';
import type { Frame } from '../protocol/frame.ts';

/** About how large a part is: fewer writes cost less, and the ends of each replay are no one else's. */
const PIECE_BYTES = 32 * 1024;
/** A frame from this size on is a part of its own: copying it would cost more than a write. */
const APART_BYTES = 16 * 1024;
/** Parts that are kept at once, in bytes, twice: those used since they were last looked through, and those before. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** What a part takes besides its bytes, at least. */
const OVERHEAD_BYTES = 300;

interface Piece {
  readonly frames: readonly Frame[];
  readonly bytes: Uint8Array;
}

/**
 * Joins what is replayed into few parts, which are shared: thousands may come back to one channel in one moment, each with
 * a cursor of its own, and be slow to read. So where a part ends is the frames' own affair, not that of where the replay
 * begins; all but its first and its last part are then the same for everybody.
 */
export class Replays {
  #recent = new Map<Frame, Piece>();
  #before = new Map<Frame, Piece>();
  #bytes = 0;

  /** The bytes of the frames, in order. Nobody may write to them. */
  parts(frames: readonly Frame[]): readonly Uint8Array[] {
    const parts: Uint8Array[] = [];
    let start = 0;
    let size = 0;
    const end = (at: number) => {
      if (at > start) parts.push(this.#piece(frames, start, at, size));
      start = at;
      size = 0;
    };
    for (const [i, frame] of frames.entries()) {
      const { length } = frame.bytes;
      if (length >= APART_BYTES || size + length > PART_BYTES) end(i);
      size += length;
      if (length >= APART_BYTES || isLast(frame)) end(i + 1);
    }
    end(frames.length);
    return parts;
  }

  /** Lets go of what was not used since the last time. */
  age(): void {
    this.#before = this.#recent;
    this.#recent = new Map();
    this.#bytes = 0;
  }

  #piece(frames: readonly Frame[], start: number, end: number, size: number): Uint8Array {
    const first = frames[start];
    if (first === undefined) return new Uint8Array();
    if (end === start + 1) return first.bytes;
    const recent = this.#recent.get(first);
    if (recent !== undefined && isOf(recent, frames, start, end)) return recent.bytes;
    const known = this.#before.get(first);
    const piece =
      known !== undefined && isOf(known, frames, start, end) ? known : make(frames.slice(start, end), size);
    if (this.#bytes > KEPT_BYTES) this.age();
    this.#recent.set(first, piece);
    this.#bytes += size + OVERHEAD_BYTES;
    return piece.bytes;
  }
}

function make(frames: readonly Frame[], size: number): Piece {
  const pieces = frames.map(({ bytes }) => bytes);
  return { frames, bytes: join(pieces, size) };
}

function isOf(piece: Piece, frames: readonly Frame[], start: number, end: number): boolean {
  if (piece.frames.length !== end - start) return false;
  for (let i = start; i < end; i += 1) if (piece.frames[i - start] !== frames[i]) return false;
  return true;
}

/**
 * Whether a part ends with this frame: one in so many, in proportion to its length. Multiples of 2^32 / phi (Knuth, TAOCP
 * 6.4) are spread evenly, also where a channel has every thousandth frame only.
 */
function isLast({ sequence, bytes }: Frame): boolean {
  return Math.imul(sequence, 0x9e3779b1) >>> 0 < bytes.length * (2 ** 32 / PIECE_BYTES);
}
