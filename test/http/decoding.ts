import zlib from 'node:zlib';
import { gzip } from '../../src/protocol/gzip.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { zstd } from '../../src/protocol/zstd.ts';
import { EventStreamParser } from '../support/event-stream.ts';

const CODINGS = [undefined, gzip, ...(zstd === undefined ? [] : [zstd])];
/** One of each kind, as a server has them; absent where the shared bytes go out as they are. */
export const RENDERINGS = (['sse', 'ndjson'] as const).flatMap((format) =>
  CODINGS.map((coding) => ({
    format,
    coding: coding?.name,
    rendering: format === 'sse' && coding === undefined ? undefined : new Rendering(format, coding),
  })),
);
export type Way = (typeof RENDERINGS)[number];

/** In the place of a name: no event, but what moves the cursor all the same. */
export const NONE = '';

/** An event as a client has it. */
export interface Received {
  readonly event: string;
  readonly data: string;
  /** The newest id, not necessarily of this event. */
  readonly id: string;
}

/** What a response says to whoever takes it that way, as far as it has come. */
export function decode({ format, coding }: Way, bytes: Buffer, isWhole: boolean): readonly Received[] {
  const text = uncoded(coding, bytes, isWhole);
  if (format === 'sse') return eventsOf(text);
  let id = '';
  const lines = text.toString().split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    if (line === '') return [];
    const object = JSON.parse(line) as Partial<Received>;
    id = object.id ?? id;
    const event = object.data === undefined ? NONE : (object.event ?? 'message');
    return [{ event, data: object.data ?? '', id }];
  });
}

function eventsOf(text: Uint8Array): readonly Received[] {
  const parser = new EventStreamParser();
  parser.push(text);
  // An event without data moves the cursor and is not dispatched.
  const last = { event: NONE, data: '', id: parser.lastEventId };
  return [...parser.events, last];
}

function uncoded(coding: string | undefined, bytes: Buffer, isWhole: boolean): Buffer {
  if (bytes.length === 0) return bytes;
  if (coding === 'gzip')
    return isWhole
      ? zlib.gunzipSync(bytes)
      : zlib.gunzipSync(bytes, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
  return coding === 'zstd' ? unframed(bytes) : bytes;
}

/** Node's decoder takes the first of several frames only. What is cut off in the middle is no frame. */
function unframed(bytes: Buffer): Buffer {
  const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (bytes: Uint8Array) => Buffer };
  const magic = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = bytes.indexOf(magic, at + 1);
    const frame = bytes.subarray(at, next < 0 ? bytes.length : next);
    try {
      frames.push(zstdDecompressSync?.(frame) ?? frame);
    } catch (error) {
      // Only where it is the last, of which the rest still waits.
      if (next >= 0) throw error;
    }
    at = next < 0 ? bytes.length : next;
  }
  return Buffer.concat(frames);
}
