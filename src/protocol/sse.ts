import { isUtf8 } from 'node:buffer';

const LF = 10;
const CR = 13;
const DATA = Buffer.from('data: ');
const END = Buffer.from('\n\n');

/** Keeps proxies and NATs from taking a quiet stream for a dead one: an empty comment. WHATWG HTML 9.2.7 suggests 15 s. */
export const HEARTBEAT: Uint8Array = Buffer.from(':\n\n');

/** The fields of one event. `id` and `event` must be free of CR, LF and NUL (see {@link isFieldValue}); `data` may be anything. */
export interface EventFields {
  readonly id?: string;
  /** Left out on the wire where it is `message`, the default of EventSource. */
  readonly event?: string;
  /** Bytes of UTF-8 are taken as they are; other bytes are decoded with U+FFFD for what is not UTF-8. */
  readonly data: Uint8Array | string;
}

/** Whether `text` can stand in `id:` or `event:` without ending the line or the field. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === LF || code === CR || code === 0) return false;
  }
  return true;
}

/** `retry:` in whole milliseconds; digits only, or the browser ignores it. WHATWG HTML 9.2.6. */
export function retryLine(retryMs: number): string {
  return `retry: ${Math.max(0, Math.round(retryMs))}\n`;
}

/**
 * One event's bytes. The caller owns them; `data` is copied.
 * Every line of `data`, however it ends (LF, CR or CRLF), becomes a `data:` line of its own: a bare CR would otherwise
 * end the line in the browser and let a payload forge fields. WHATWG HTML 9.2.5.
 */
export function encodeEvent({ id, event, data }: EventFields): Uint8Array {
  let head = '';
  if (id !== undefined) head += `id: ${id}\n`;
  if (event !== undefined && event !== 'message') head += `event: ${event}\n`;
  const bytes = toUtf8(data);
  if (!bytes.includes(LF) && !bytes.includes(CR)) return singleLine(head, bytes);
  return Buffer.concat([Buffer.from(head), ...dataLines(bytes), Buffer.from('\n')]);
}

/** A control event: always one line of JSON. */
export function encodeControl(event: string, data: unknown, id?: string): string {
  const head = id === undefined ? '' : `id: ${id}\n`;
  return `${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Moves the browser's cursor on. Firefox and WebKit take an `id:` only from an event with data, if empty. FACTS, EventSource. */
export function encodeCursor(cursor: string): string {
  return `id: ${cursor}\nevent: sidestream.cursor\ndata:\n\n`;
}

// Most payloads are one line of JSON: one allocation, one copy.
function singleLine(head: string, data: Buffer): Uint8Array {
  const headLength = Buffer.byteLength(head);
  const out = Buffer.allocUnsafe(headLength + DATA.length + data.length + END.length);
  out.write(head, 0, 'utf8');
  DATA.copy(out, headLength);
  data.copy(out, headLength + DATA.length);
  END.copy(out, out.length - END.length);
  return out;
}

function dataLines(data: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let i = 0; i <= data.length; i += 1) {
    const byte = data[i];
    if (i < data.length && byte !== LF && byte !== CR) continue;
    pieces.push(DATA, data.subarray(start, i), END.subarray(0, 1));
    if (byte === CR && data[i + 1] === LF) i += 1;
    start = i + 1;
  }
  return pieces;
}

function toUtf8(data: Uint8Array | string): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  // A stream must be UTF-8 throughout (WHATWG HTML 9.2.5); a compressing proxy or a strict client may break off otherwise.
  return isUtf8(view) ? view : Buffer.from(view.toString('utf8'));
}
