import type { LogName } from './cursor.ts';

/** Which of what waits for a reader that is behind goes first: 0 normal, 1 high, 2 urgent. */
export type Priority = 0 | 1 | 2;

/** What a reader that is behind may be spared of one channel, and where that is counted. */
export interface Lane {
  readonly channel: string;
  /** `drop`: the oldest go. `latest`: a later event takes the place of the one with its key. */
  readonly policy: 'drop' | 'latest';
  readonly counts: { dropped: number; superseded: number };
}

/** A publication's bytes on the wire: encoded once, shared by all who receive it. Nobody may write to `bytes`. */
export interface Frame {
  /** Order of arrival in this process, over all channels. */
  readonly sequence: number;
  /** Begins with the `id:` line of the frame's position, where its log has an epoch. */
  readonly bytes: Uint8Array;
  /** How long that line is, its line break included. */
  readonly idLength: number;
  readonly log: LogName;
  /** -1: of no position. Such a frame has no `id:` of its own and none is made for it. */
  readonly offset: number;
  /** Whether it tells of its channel rather than being one of its publications: then it is for all, whatever they have. */
  readonly isNotice: boolean;
  readonly priority: Priority;
  /** Absent where nobody is spared anything: a reader that is too far behind is closed. */
  readonly lane: Lane | undefined;
  /** What it is the value of: a later frame of the same lane and key replaces it where that is asked for. */
  readonly key: string | undefined;
}

/** Whether a cursor may say that its owner has the frame. */
export function hasPosition({ offset }: Frame): boolean {
  return offset >= 0;
}

/** Whether two frames are of one position: one message that two channels of a connection have. */
export function isOneOf(frame: Frame, next: Frame | undefined): boolean {
  return next !== undefined && next.offset === frame.offset && next.log === frame.log && hasPosition(frame);
}

/** Frames in order, with the `id:` of a position only on the last of it: who has less must come back for the rest. */
export function oneIdEach(frames: readonly Frame[]): readonly Frame[] {
  if (!frames.some((frame, i) => isOneOf(frame, frames[i + 1]))) return frames;
  return frames.map((frame, i) => (isOneOf(frame, frames[i + 1]) ? withoutId(frame) : frame));
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

const bare = new WeakMap<Frame, Uint8Array>();

/** The frame's bytes without its `id:` line; the same object each time, so that what is made of them is made once. */
export function bareBytes(frame: Frame): Uint8Array {
  if (frame.idLength === 0) return frame.bytes;
  const known = bare.get(frame);
  if (known !== undefined) return known;
  const made = frame.bytes.subarray(frame.idLength);
  bare.set(frame, made);
  return made;
}

export function idLine(id: string): string {
  return id === '' ? '' : `id: ${id}\n`;
}
