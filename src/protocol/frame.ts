import type { LogName } from './cursor.ts';

/** A publication's bytes on the wire: encoded once, shared by all who receive it. Nobody may write to `bytes`. */
export interface Frame {
  /** Order of arrival in this process, over all channels. */
  readonly sequence: number;
  /** Begins with the `id:` line of the frame's position, where its log has an epoch. */
  readonly bytes: Uint8Array;
  /** How long that line is, its line break included. */
  readonly idLength: number;
  readonly log: LogName;
  readonly offset: number;
  /** Whether it tells of its channel rather than being one of its publications: then it is for all, whatever they have. */
  readonly isNotice: boolean;
}

/**
 * Largest chunk: frames are joined up to it (copying more costs more than a second write), and a larger frame is cut
 * into slices of it, since what the kernel does not take of a chunk is copied into a buffer that nobody bounds.
 */
export const CHUNK_BYTES = 64 * 1024;

/** Frames whose `id:` is exchanged are joined up to this size… */
const RECAST_BYTES = 16 * 1024;
/** …but for those from this size on: for a slow reader they wait as references to what all share. */
const SHARED_BYTES = 1024;

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
  return makeBatch(oneIdEach(frames.sort((a, b) => a.sequence - b.sequence)));
}

/** Whether two frames are of one position: one message that two channels of a connection have. */
export function isOneOf(frame: Frame, next: Frame | undefined): boolean {
  return next !== undefined && next.offset === frame.offset && next.log === frame.log;
}

/** Frames in order, with the `id:` of a position only on the last of it: who has less must come back for the rest. */
export function oneIdEach(frames: readonly Frame[]): readonly Frame[] {
  if (!frames.some((frame, i) => isOneOf(frame, frames[i + 1]))) return frames;
  return frames.map((frame, i) => (isOneOf(frame, frames[i + 1]) ? withoutId(frame) : frame));
}

/**
 * Replayed frames as chunks, each frame with the `id:` that is given for it instead of its own. What is small is copied for
 * each client: a reference would take as much, and each write costs.
 */
export function recastChunks(frames: readonly Frame[], ids: readonly string[]): readonly Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let gathered: Uint8Array[] = [];
  let size = 0;
  const gather = (bytes: Uint8Array) => {
    gathered.push(bytes);
    size += bytes.length;
  };
  const flush = () => {
    if (gathered.length > 0) chunks.push(join(gathered, size));
    gathered = [];
    size = 0;
  };
  for (const [i, frame] of frames.entries()) {
    const line = idLine(ids[i] ?? '');
    const { bytes } = withoutId(frame);
    if (line !== '') gather(Buffer.from(line, 'latin1'));
    if (bytes.length >= SHARED_BYTES) {
      flush();
      chunks.push(...slices(bytes));
    } else gather(bytes);
    if (size >= RECAST_BYTES) flush();
  }
  flush();
  return chunks;
}

/** The frame with another `id:` line in the place of its own, or with none. Copies its bytes. */
export function withOtherId(frame: Frame, id: string): Frame {
  const line = idLine(id);
  const { bytes } = withoutId(frame);
  const out = Buffer.allocUnsafe(line.length + bytes.length);
  out.write(line, 'latin1');
  out.set(bytes, line.length);
  return { ...frame, bytes: out, idLength: line.length };
}

/** The frame without its `id:` line. Shares its bytes. */
export function withoutId(frame: Frame): Frame {
  return { ...frame, bytes: frame.bytes.subarray(frame.idLength), idLength: 0 };
}

function idLine(id: string): string {
  return id === '' ? '' : `id: ${id}\n`;
}

/** Bytes as chunks, without copying them. */
export function slices(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length <= CHUNK_BYTES) return [bytes];
  const cut: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) cut.push(bytes.subarray(at, at + CHUNK_BYTES));
  return cut;
}

/** `size` bytes of pieces as one; not copied where there is but one. */
export function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  return Buffer.concat(pieces, size);
}
