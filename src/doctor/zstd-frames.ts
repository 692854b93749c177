/** RFC 8878 3.1.1 and 3.1.2: a frame's magic number; those of skippable frames are these but for four bits. */
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
/** A frame's head: magic, descriptor, window, dictionary of up to 4 bytes, content size of up to 8. */
const MAX_HEAD_BYTES = 4 + 1 + 1 + 4 + 8;
const BLOCK_HEAD_BYTES = 3;
const CHECKSUM_BYTES = 4;

type Part = 'frame' | 'block' | 'body' | 'checksum';

/**
 * Finds where the frames of a zstd stream end. Sidestream sends a frame for each event, and Node's decoder stops behind the
 * first without a word (nodejs/node#64741); so each is given a decoder of its own.
 */
export class ZstdFrames {
  #part: Part = 'frame';
  #head = Buffer.alloc(0);
  /** Bytes still to come of the body. */
  #remaining = 0;
  #isLastBlock = false;
  #hasChecksum = false;

  /** Cuts `bytes` at the ends of frames. @throws TypeError where they are not zstd */
  *cut(bytes: Buffer): Generator<{ readonly bytes: Buffer; readonly endsFrame: boolean }> {
    let start = 0;
    for (let at = 0; at < bytes.length; ) {
      at += this.#take(bytes.subarray(at));
      if (this.#part !== 'frame' || this.#head.length > 0) continue;
      yield { bytes: bytes.subarray(start, at), endsFrame: true };
      start = at;
    }
    if (start < bytes.length) yield { bytes: bytes.subarray(start), endsFrame: false };
  }

  /** Takes what is of the present part; gives how much that was. */
  #take(bytes: Buffer): number {
    if (this.#part === 'body' || this.#part === 'checksum') {
      const taken = Math.min(bytes.length, this.#remaining);
      this.#remaining -= taken;
      if (this.#remaining === 0) this.#endOfBody();
      return taken;
    }
    // Heads are short: byte by byte is simple, and costs nothing beside the body.
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, 1)]);
    if (this.#part === 'block') this.#readBlockHead();
    else this.#readFrameHead();
    return 1;
  }

  #readFrameHead(): void {
    const head = this.#head;
    if (head.length < 5) return;
    const magic = head.readUInt32LE(0);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      if (head.length === 8) this.#expect('body', head.readUInt32LE(4), { isLast: true, hasChecksum: false });
      return;
    }
    if (magic !== FRAME_MAGIC || head.length > MAX_HEAD_BYTES) throw new TypeError('this is no zstd frame');
    const descriptor = head[4] ?? 0;
    if (head.length < 5 + optionalHeadBytes(descriptor)) return;
    this.#hasChecksum = (descriptor & 4) !== 0;
    this.#begin('block');
  }

  // RFC 8878 3.1.1.2: the last one?, two bits of type, and the size; a run (type 1) is one byte, however long it is.
  #readBlockHead(): void {
    if (this.#head.length < BLOCK_HEAD_BYTES) return;
    const head = this.#head.readUIntLE(0, 3);
    const type = (head >> 1) & 3;
    if (type === 3) throw new TypeError('this is no zstd block');
    this.#expect('body', type === 1 ? 1 : head >> 3, {
      isLast: (head & 1) === 1,
      hasChecksum: this.#hasChecksum,
    });
  }

  #expect(
    part: Part,
    bytes: number,
    { isLast, hasChecksum }: { isLast: boolean; hasChecksum: boolean },
  ): void {
    this.#begin(part);
    this.#remaining = bytes;
    this.#isLastBlock = isLast;
    this.#hasChecksum = hasChecksum;
    if (bytes === 0) this.#endOfBody();
  }

  #endOfBody(): void {
    const isEnd = this.#part === 'checksum' || (this.#isLastBlock && !this.#hasChecksum);
    if (isEnd) this.#begin('frame');
    else if (!this.#isLastBlock) this.#begin('block');
    else {
      this.#begin('checksum');
      this.#remaining = CHECKSUM_BYTES;
    }
  }

  #begin(part: Part): void {
    this.#part = part;
    this.#head = Buffer.alloc(0);
  }
}

// RFC 8878 3.1.1.1: a window's byte unless it is one segment; the sizes of the dictionary's id and of the content's size.
function optionalHeadBytes(descriptor: number): number {
  const isOneSegment = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const size = [isOneSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isOneSegment ? 0 : 1) + dictionary + size;
}
