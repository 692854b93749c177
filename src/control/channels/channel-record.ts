import { createHash } from 'node:crypto';
import { isChannelName } from '../../routing/template.ts';

/** What is remembered of a channel that was made, or closed, at run time. Times are in milliseconds since the Unix epoch. */
export interface ChannelRecord {
  readonly channel: string;
  /** Absent where it was only closed, and never made. */
  readonly createdMs?: number;
  /** How long nobody may be on it, and nothing be published, until it expires. Absent: as long as one likes. */
  readonly timeoutMs?: number;
  readonly metadata?: Metadata;
  /** When it was last written down that it is in use. */
  readonly activeMs?: number;
  readonly end?: ChannelEnd;
}

export type Metadata = Readonly<Record<string, unknown>>;

/** How a channel came to its end. */
export interface ChannelEnd {
  readonly as: 'closed' | 'expired';
  readonly atMs: number;
  /** When it is open again. Absent: not until it is made anew. */
  readonly untilMs?: number;
}

/** Longest metadata, in bytes of its JSON. */
export const MAX_METADATA_BYTES = 4096;
/** How deep it may be nested: it is compared, and written again. */
export const MAX_METADATA_DEPTH = 32;
/** The longest of any duration: a year and a day. */
export const LONGEST_MS = 366 * 86_400_000;
/** Longest value that is read: metadata, names and times as we write them take no more. */
const MAX_BYTES = 2 * MAX_METADATA_BYTES;
/** 9999-12-31T23:59:59Z, the last second of RFC 3339, in which times are told. */
const MAX_TIME_MS = 253_402_300_799_000;

/** Names a channel in the bucket: its name has characters that a key may not. `printf %s chat-1 | sha256sum` finds a channel's. */
export function keyOfChannel(channel: string): string {
  return createHash('sha256').update(channel).digest('hex');
}

/** A bucket's value. Public: other instances, of other versions too, read it. */
export function encodeChannel(record: ChannelRecord): string {
  return JSON.stringify(record);
}

/** Reads a bucket's value under `key`; `undefined` where it is none of ours. */
export function decodeChannel(key: string, bytes: Uint8Array): ChannelRecord | undefined {
  const value = bytes.length > MAX_BYTES ? undefined : readObject(bytes);
  if (value === undefined) return undefined;
  const { channel, createdMs, timeoutMs, metadata, activeMs, end } = value;
  if (typeof channel !== 'string' || !isChannelName(channel) || keyOfChannel(channel) !== key)
    return undefined;
  if (![createdMs, timeoutMs, activeMs].every(isTimeOrAbsent)) return undefined;
  if (isTime(timeoutMs) && !isTimeout(timeoutMs)) return undefined;
  const ending = end === undefined ? undefined : readEnd(end);
  if (ending === null || !(metadata === undefined || (isObject(metadata) && isShallow(metadata))))
    return undefined;
  return {
    channel,
    ...(isTime(createdMs) && { createdMs }),
    ...(isTime(timeoutMs) && { timeoutMs }),
    ...(metadata !== undefined && { metadata }),
    ...(isTime(activeMs) && { activeMs }),
    ...(ending !== undefined && { end: ending }),
  };
}

/** `null` where it is none. */
function readEnd(value: unknown): ChannelEnd | null {
  if (!isObject(value)) return null;
  const { as, atMs, untilMs } = value;
  if ((as !== 'closed' && as !== 'expired') || !isTime(atMs) || !isTimeOrAbsent(untilMs)) return null;
  return { as, atMs, ...(isTime(untilMs) && { untilMs }) };
}

function readObject(bytes: Uint8Array): Partial<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    // SyntaxError: somebody else wrote into the bucket.
    return undefined;
  }
}

/** Whether a value is nested no deeper than metadata may be. */
export function isShallow(value: unknown, depth = MAX_METADATA_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1));
}

function isObject(value: unknown): value is Metadata {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIME_MS;
}

/** What is shorter would have to be written down all the time. */
function isTimeout(ms: number): boolean {
  return ms >= 1000 && ms <= LONGEST_MS;
}

function isTimeOrAbsent(value: unknown): boolean {
  return value === undefined || isTime(value);
}

/** Whether a channel is there now: `absent` also where it was only closed, for a time that is over. */
export type Standing = 'open' | 'closed' | 'expired' | 'absent';

export function standingOf({ end, createdMs }: ChannelRecord, nowMs: number): Standing {
  if (end?.as === 'expired') return 'expired';
  if (end !== undefined && nowMs < (end.untilMs ?? Infinity)) return 'closed';
  return createdMs === undefined ? 'absent' : 'open';
}
