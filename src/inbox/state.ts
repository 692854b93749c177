import { createHash } from 'node:crypto';

/** What a user has read of one channel. Positions are offsets in the log of that epoch; of another one they mean nothing. */
export interface ReadState {
  readonly epoch: string;
  /** All up to here is read. */
  readonly through: number;
  /** Read besides, in ascending order, each after `through`. */
  readonly read: readonly number[];
}

/** Most that may be read singly, behind something that is unread. */
export const MAX_READ_SINGLY = 1000;

export function nothingRead(epoch: string): ReadState {
  return { epoch, through: 0, read: [] };
}

export function isRead({ through, read }: ReadState, offset: number): boolean {
  return offset <= through || includes(read, offset);
}

/** The last position that it has for read. */
export function reachOf({ through, read }: ReadState): number {
  return read.at(-1) ?? through;
}

/** What is read by either, of the same epoch; where they are of two, the second is what counts. Nothing that was read becomes unread. */
export function merge(a: ReadState, b: ReadState): ReadState {
  if (a.epoch !== b.epoch) return b;
  const through = Math.max(a.through, b.through);
  const read = [...new Set([...a.read, ...b.read])].filter((offset) => offset > through);
  return { epoch: a.epoch, through, read: read.sort((x, y) => x - y) };
}

/** Whether `a` says all that `b` does, in no more words: then there is nothing new in `b`. */
export function covers(a: ReadState, b: ReadState): boolean {
  if (a.epoch !== b.epoch || a.through < b.through) return false;
  return b.read.every((offset) => isRead(a, offset));
}

/**
 * The same in fewer words, where it is known that nothing that is unread lies before `before`: all up to there is read, or is no
 * message of the channel.
 */
export function compact({ epoch, through, read }: ReadState, before: number): ReadState {
  const reached = Math.max(through, before - 1);
  return { epoch, through: reached, read: read.filter((offset) => offset > reached) };
}

/** Names a channel in the bucket: hashed, since a key holds fewer characters than a channel's name. */
export function keyOf(channel: string): string {
  return `channel.${createHash('sha256').update(channel).digest('hex')}`;
}

/** A bucket's value. Public: instances of other versions read it, and so may people. */
export function encodeState(channel: string, { epoch, through, read }: ReadState): string {
  return JSON.stringify({ channel, epoch, through, read });
}

/** Reads a bucket's value; `undefined` where it is none of ours for this channel. */
export function decodeState(channel: string, bytes: Uint8Array): ReadState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // SyntaxError: somebody else wrote into the bucket.
    return undefined;
  }
  return toState(channel, value);
}

/** The same of what was parsed. */
export function toState(channel: string, value: unknown): ReadState | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { channel: named, epoch, through, read }: Partial<Record<string, unknown>> = { ...value };
  if (named !== channel || typeof epoch !== 'string' || !isOffset(through)) return undefined;
  if (!Array.isArray(read) || read.length > MAX_READ_SINGLY || !read.every(isOffset)) return undefined;
  return merge(nothingRead(epoch), { epoch, through, read });
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function includes(sorted: readonly number[], wanted: number): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted;
}
