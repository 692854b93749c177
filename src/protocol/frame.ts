/** A publication's bytes on the wire: encoded once, shared by all who receive it. Nobody may write to `bytes`. */
export interface Frame {
  /** Order of arrival in this process, over all channels. */
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** Frames are joined into one write up to this many bytes; copying a larger one costs more than a second write. */
const JOIN_BYTES = 64 * 1024;

/** What one connection is to be sent in one turn: the frames, and the same bytes as few chunks. */
export interface Batch {
  readonly frames: readonly Frame[];
  readonly chunks: readonly Uint8Array[];
}

/** Joins frames, in the order given, once for all who receive them. */
export function makeBatch(frames: readonly Frame[]): Batch {
  const [only] = frames;
  if (frames.length === 1 && only !== undefined) return { frames, chunks: [only.bytes] };
  const chunks: Uint8Array[] = [];
  let gathered: Uint8Array[] = [];
  let size = 0;
  for (const { bytes } of frames) {
    if (gathered.length > 0 && size + bytes.length > JOIN_BYTES) {
      chunks.push(join(gathered, size));
      gathered = [];
      size = 0;
    }
    gathered.push(bytes);
    size += bytes.length;
  }
  if (gathered.length > 0) chunks.push(join(gathered, size));
  return { frames, chunks };
}

/** Several channels' batches as one, in order of arrival: a cursor must never be sent after a later one. */
export function mergeBatches(batches: readonly Batch[]): Batch {
  const frames = batches.flatMap((batch) => batch.frames);
  return makeBatch(frames.sort((a, b) => a.sequence - b.sequence));
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  return Buffer.concat(pieces, size);
}
