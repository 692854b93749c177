/** A publication's bytes on the wire: encoded once, shared by all who receive it. Nobody may write to `bytes`. */
export interface Frame {
  /** Order of arrival in this process, over all channels. */
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/**
 * Largest chunk: frames are joined up to it (copying more costs more than a second write), and a larger frame is cut
 * into slices of it, since what the kernel does not take of a chunk is copied into a buffer that nobody bounds.
 */
const CHUNK_BYTES = 64 * 1024;

/** What one connection is to be sent in one turn: the frames, and the same bytes as few chunks. */
export interface Batch {
  readonly frames: readonly Frame[];
  readonly chunks: readonly Uint8Array[];
}

/** Joins frames, in the order given, once for all who receive them. */
export function makeBatch(frames: readonly Frame[]): Batch {
  const [only] = frames;
  if (frames.length === 1 && only !== undefined) return { frames, chunks: slices(only.bytes) };
  const chunks: Uint8Array[] = [];
  let gathered: Uint8Array[] = [];
  let size = 0;
  for (const { bytes } of frames) {
    if (gathered.length > 0 && size + bytes.length > CHUNK_BYTES) {
      chunks.push(...slices(join(gathered, size)));
      gathered = [];
      size = 0;
    }
    gathered.push(bytes);
    size += bytes.length;
  }
  if (gathered.length > 0) chunks.push(...slices(join(gathered, size)));
  return { frames, chunks };
}

/** Several channels' batches as one, in order of arrival: a cursor must never be sent after a later one. */
export function mergeBatches(batches: readonly Batch[]): Batch {
  const frames = batches.flatMap((batch) => batch.frames);
  return makeBatch(frames.sort((a, b) => a.sequence - b.sequence));
}

function slices(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length <= CHUNK_BYTES) return [bytes];
  const cut: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) cut.push(bytes.subarray(at, at + CHUNK_BYTES));
  return cut;
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  return Buffer.concat(pieces, size);
}
