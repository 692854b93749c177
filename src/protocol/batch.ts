import { bareBytes, type Frame, idLine, oneIdEach } from './frame.ts';

/** Frames are joined up to this size, about four writes: copying more costs more than another write. */
export const PART_BYTES = 4 * (16 * 1024 - 16);

/** Frames whose `id:` is exchanged are joined up to this size. */
const RECAST_BYTES = 16 * 1024;

/** What one connection is to be sent in one turn: the frames, and the same bytes in few parts, which all who receive it share. */
export interface Batch {
  readonly frames: readonly Frame[];
  /** Whole events each. */
  readonly parts: readonly Uint8Array[];
  /** For each part, how many frames are in it and those before it. */
  readonly ends: readonly number[];
}

const ONE: readonly number[] = [1];

/** Joins frames, in the order given, once for all who receive them. */
export function makeBatch(frames: readonly Frame[]): Batch {
  const [only] = frames;
  if (frames.length === 1 && only !== undefined) return { frames, parts: [only.bytes], ends: ONE };
  const parts: Uint8Array[] = [];
  const ends: number[] = [];
  let gathered: Uint8Array[] = [];
  let size = 0;
  for (const [i, { bytes }] of frames.entries()) {
    if (gathered.length > 0 && size + bytes.length > PART_BYTES) {
      parts.push(join(gathered, size));
      ends.push(i);
      gathered = [];
      size = 0;
    }
    gathered.push(bytes);
    size += bytes.length;
  }
  if (gathered.length > 0) {
    parts.push(join(gathered, size));
    ends.push(frames.length);
  }
  return { frames, parts, ends };
}

/** Several channels' batches as one, in order of arrival: a cursor must never be sent after a later one. */
export function mergeBatches(batches: readonly Batch[]): Batch {
  const frames = batches.flatMap((batch) => batch.frames);
  return makeBatch(oneIdEach(frames.sort((a, b) => a.sequence - b.sequence)));
}

/** A batch whose frames bring no cursor. */
export function withoutIds({ frames }: Batch): Batch {
  return makeBatch(frames.map((frame) => ({ ...frame, bytes: bareBytes(frame), idLength: 0 })));
}

/**
 * Replayed frames as parts, each frame with the `id:` that is given for it instead of its own. What is smaller than
 * `sharedBytes` is copied for each client: a reference would take as much, and each write costs. The rest is shared by all
 * clients, behind a part with the `id:` alone.
 */
export function recastParts(
  frames: readonly Frame[],
  ids: readonly string[],
  sharedBytes: number,
): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let gathered: Uint8Array[] = [];
  let size = 0;
  const gather = (bytes: Uint8Array) => {
    gathered.push(bytes);
    size += bytes.length;
  };
  const flush = () => {
    if (gathered.length > 0) parts.push(join(gathered, size));
    gathered = [];
    size = 0;
  };
  for (const [i, frame] of frames.entries()) {
    const line = idLine(ids[i] ?? '');
    if (line !== '') gather(Buffer.from(line, 'latin1'));
    const bytes = bareBytes(frame);
    if (bytes.length >= sharedBytes) {
      flush();
      parts.push(bytes);
    } else gather(bytes);
    if (size >= RECAST_BYTES) flush();
  }
  flush();
  return parts;
}

/** `size` bytes of pieces as one; not copied where there is but one. */
export function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  return Buffer.concat(pieces, size);
}
