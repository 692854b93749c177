import { isUtf8 } from 'node:buffer';
import type { Publication } from '../hub/source.ts';
import type { RouteMetrics } from '../metrics.ts';
import { isFieldValue } from '../protocol/sse.ts';
import { RESERVED_EVENT_PREFIX } from '../routing/event.ts';
import type { Destination } from '../routing/router.ts';
import { type KeyOperation, keyOf, MARKER_HEADER, operationOf } from './kv.ts';

/** What is used of a NATS message; its client's `Msg` is one. */
export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  /** May throw where the block is malformed. */
  readonly headers?: { get(name: string): string } | undefined;
}

/** When a message was published and, where a stream holds it, at which sequence. */
export interface Stamp {
  /** Milliseconds since the Unix epoch. */
  readonly timeMs: number;
  readonly offset?: number;
}

/** Header by which a publisher names the event. DESIGN 2.5. */
export const EVENT_HEADER = 'Sse-Event';
/** Header that says how long the event is worth replaying: `500ms`, `15s`, `10m`, `1h`, `2d`, or whole seconds. DESIGN 2.5. */
export const TTL_HEADER = 'Sse-Ttl';
/** Longest event name, in characters. */
const MAX_EVENT_LENGTH = 256;
const TTL = /^(\d{1,9})(ms|s|m|h|d)?$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Maps a message by its route. What is stored is mapped the same way wherever and whenever it is read, so that its frame
 * is the same in every process. Its data may be a view into the message's.
 */
export function toPublication(
  destination: Destination,
  message: Message,
  metrics: RouteMetrics,
  stamp: Stamp,
): Publication {
  const headers = readHeaders(message, metrics);
  const header = (name: string) => headers?.get(name);
  const key = keyOf(destination, message.subject);
  const operation = key === undefined ? undefined : operationOf(header);
  const event = eventName({ destination, message, metrics, header, operation });
  const ttlMs = headers === undefined ? undefined : ttl(header(TTL_HEADER), metrics);
  return {
    event,
    data: payload({ destination, message, metrics, stamp, event, key, operation }),
    ...(stamp.offset !== undefined && { timeMs: stamp.timeMs }),
    ...(ttlMs !== undefined && { ttlMs }),
    ...(key !== undefined && { key }),
  };
}

/** The value of a header, or `undefined` where it is missing or the block is malformed, which `toPublication` counts. */
export function headerOf(message: Message, name: string): string | undefined {
  try {
    return message.headers?.get(name);
  } catch {
    // InvalidArgumentError
    return undefined;
  }
}

/** Whether nobody published it: the server says that the last message of a subject is gone. Its payload is empty. */
export function isMarker(message: Message): boolean {
  return message.data.length === 0 && (headerOf(message, MARKER_HEADER) ?? '') !== '';
}

type Header = (name: string) => string | undefined;

interface Naming {
  readonly destination: Destination;
  readonly message: Message;
  readonly metrics: RouteMetrics;
  readonly header: Header;
  readonly operation: KeyOperation | undefined;
}

interface Wrapping {
  readonly destination: Destination;
  readonly message: Message;
  readonly metrics: RouteMetrics;
  readonly stamp: Stamp;
  readonly event: string | undefined;
  readonly key: string | undefined;
  readonly operation: KeyOperation | undefined;
}

// A page that reads values under an event of the route's must not be handed a deletion under it: that one is `delete`, always.
function eventName({ destination, message, metrics, header, operation }: Naming): string | undefined {
  if (operation === 'delete') return operation;
  const own = header(EVENT_HEADER);
  if (own !== undefined && own !== '') {
    if (isEventName(own)) return own;
    metrics.fieldsDropped.event += 1;
  }
  const template = destination.route.event;
  if (template === undefined) return operation;
  const { channel, params } = destination;
  const named = template({ channel, subject: message.subject, params, header });
  if (named === '') return operation;
  if (isEventName(named)) return named;
  metrics.fieldsDropped.event += 1;
  return operation;
}

function ttl(text: string | undefined, metrics: RouteMetrics): number | undefined {
  if (text === undefined || text === '') return undefined;
  const [, digits, unit = 's'] = TTL.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * (UNIT_MS[unit] ?? 1);
  metrics.fieldsDropped.ttl += 1;
  return undefined;
}

function payload(wrapping: Wrapping): Publication['data'] {
  const { destination, message, metrics, operation } = wrapping;
  const { binary, envelope } = destination.route.config;
  if (envelope) return wrap(wrapping);
  if (operation === 'delete') return '';
  if (binary) return base64(message.data);
  countRepair(message.data, metrics);
  return message.data;
}

// The NATS client parses the block only now, and throws at a CR or LF inside any value: the block is lost, the event is not.
function readHeaders(message: Message, metrics: RouteMetrics): Message['headers'] {
  try {
    return message.headers;
  } catch {
    // InvalidArgumentError
    metrics.fieldsDropped.event += 1;
    return undefined;
  }
}

// A publisher that could name its event `sidestream.close` could end other people's streams.
function isEventName(name: string): boolean {
  return name.length <= MAX_EVENT_LENGTH && isFieldValue(name) && !name.startsWith(RESERVED_EVENT_PREFIX);
}

function wrap(wrapping: Wrapping): string {
  const { destination, message, metrics, operation } = wrapping;
  const head = JSON.stringify(headOf(wrapping));
  const data = operation === 'delete' ? 'null' : envelopeData(destination, message.data, metrics);
  return `${head.slice(0, -1)},"data":${data}}`;
}

function headOf({ destination, message, stamp, event, key }: Wrapping): Record<string, unknown> {
  const { channel } = destination;
  const time = new Date(stamp.timeMs).toISOString();
  if (key !== undefined) return { channel, key, event, revision: stamp.offset, time };
  return { channel, subject: message.subject, event: event ?? 'message', time };
}

function envelopeData(destination: Destination, data: Uint8Array, metrics: RouteMetrics): string {
  if (destination.route.config.binary) return JSON.stringify(base64(data));
  countRepair(data, metrics);
  const text = view(data).toString('utf8');
  // The text goes in as it came, not parsed and written anew: numbers beyond 2^53 keep their digits.
  return isJson(text) ? text : JSON.stringify(text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // SyntaxError: not JSON, so it is sent as a string.
    return false;
  }
}

function countRepair(data: Uint8Array, metrics: RouteMetrics): void {
  if (!isUtf8(data)) metrics.invalidUtf8 += 1;
}

function base64(data: Uint8Array): string {
  return view(data).toString('base64');
}

function view(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
