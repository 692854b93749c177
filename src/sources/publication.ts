import { isUtf8 } from 'node:buffer';
import { durationMs } from '../duration.ts';
import type { Publication } from '../hub/source.ts';
import type { RouteMetrics } from '../metrics.ts';
import { isFieldValue } from '../protocol/sse.ts';
import { RESERVED_EVENT_PREFIX } from '../routing/event.ts';
import { isJson } from '../routing/json.ts';
import { keptName } from '../routing/own-copy.ts';
import type { Reading } from '../routing/payload.ts';
import type { Destination } from '../routing/router.ts';
import { readTraceContext, traceHeaders } from '../tracing/trace-context.ts';
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
/** Header that says which event goes first where several wait for a slow reader. DESIGN 2.5. */
export const PRIORITY_HEADER = 'Sse-Priority';
/** Header by which JetStream, and we on core routes, tell a message that was sent twice. DESIGN 2.5. */
export const ID_HEADER = 'Nats-Msg-Id';
/** What is logged where {@link toPublication} gave nothing. */
export const UNREDACTABLE = 'a payload that is not JSON cannot be redacted by pointers and was dropped';
const PRIORITIES: ReadonlyMap<string, 0 | 1 | 2> = new Map([
  ['normal', 0],
  ['high', 1],
  ['urgent', 2],
]);
/** Longest event name, in characters. */
const MAX_EVENT_LENGTH = 256;
/** Longest id that is taken from a payload, in characters: thousands of them are remembered. */
const MAX_ID_LENGTH = 256;
const TTL = /^\d{1,9}(ms|s|m|h|d)?$/;

/**
 * Maps a message by its route. What is stored is mapped the same way wherever and whenever it is read, so that its frame
 * is the same in every process. Its data may be a view into the message's. `undefined`, and counted, where nobody can tell what
 * of the payload may be seen.
 */
export function toPublication(
  destination: Destination,
  message: Message,
  metrics: RouteMetrics,
  stamp: Stamp,
): Publication | undefined {
  const mapping = read(destination, message, metrics, stamp);
  if (mapping === undefined) {
    metrics.dropped.unredactable += 1;
    return undefined;
  }
  const { config, isKeyed } = destination.route;
  const { hasHeaders } = mapping;
  const event = eventName(mapping);
  const id = config.map.id === undefined ? undefined : messageId(mapping);
  const ttlMs = hasHeaders ? ttl(mapping) : undefined;
  const priority = hasHeaders ? priorityOf(mapping) : config.priority;
  const key = mapping.key ?? (isKeyed ? groupOf(mapping) : undefined);
  return {
    event,
    data: payload(mapping, event, id?.shown),
    ...(stamp.offset !== undefined && { timeMs: stamp.timeMs }),
    ...(ttlMs !== undefined && { ttlMs }),
    ...(key !== undefined && { key }),
    ...(priority !== 0 && { priority }),
    ...(id !== undefined && { id: id.asItCame }),
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

/** One message, and what is known of it. */
interface Mapping {
  readonly destination: Destination;
  readonly message: Message;
  readonly metrics: RouteMetrics;
  readonly stamp: Stamp;
  readonly hasHeaders: boolean;
  readonly header: (name: string) => string | undefined;
  /** Of a key-value route. */
  readonly key: string | undefined;
  readonly operation: KeyOperation | undefined;
  /** Absent where the route asks for nothing of the payload. */
  readonly reading: Reading | undefined;
}

/** `undefined` where nobody can tell what of it may be seen. */
function read(
  destination: Destination,
  message: Message,
  metrics: RouteMetrics,
  stamp: Stamp,
): Mapping | undefined {
  const headers = readHeaders(message, metrics);
  const header = (name: string) => headers?.get(name);
  const key = keyOf(destination, message.subject);
  const operation = key === undefined ? undefined : operationOf(header);
  // A deletion has nothing to read, whatever was left in its payload.
  const reader = operation === 'delete' ? undefined : destination.route.payload;
  const reading = reader?.read(textOf(message.data));
  if (reader !== undefined && reading === undefined) return undefined;
  const hasHeaders = headers !== undefined;
  return { destination, message, metrics, stamp, hasHeaders, header, key, operation, reading };
}

// A page that reads values under an event of the route's must not be handed a deletion under it: that one is `delete`, always.
function eventName(mapping: Mapping): string | undefined {
  const { destination, message, metrics, header, operation, reading } = mapping;
  if (operation === 'delete') return operation;
  for (const own of [header(EVENT_HEADER), reading?.event]) {
    if (own === undefined || own === '') continue;
    if (own !== null && isEventName(own)) return own;
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

function ttl({ metrics, header }: Mapping): number | undefined {
  const text = header(TTL_HEADER);
  if (text === undefined || text === '') return undefined;
  const [given, unit] = TTL.exec(text) ?? [];
  // Seconds, where it has no unit.
  if (given !== undefined) return durationMs(unit === undefined ? `${given}s` : given);
  metrics.fieldsDropped.ttl += 1;
  return undefined;
}

function priorityOf({ destination, metrics, header }: Mapping): 0 | 1 | 2 {
  const own = header(PRIORITY_HEADER);
  if (own === undefined || own === '') return destination.route.config.priority;
  const priority = PRIORITIES.get(own);
  if (priority !== undefined) return priority;
  metrics.fieldsDropped.priority += 1;
  return destination.route.config.priority;
}

/** By which a message is known again: two that differ only in what is hidden of them are two. */
interface MessageId {
  readonly asItCame: string;
  readonly shown: string;
}

function messageId({ metrics, header, reading }: Mapping): MessageId | undefined {
  const own = header(ID_HEADER);
  if (own !== undefined && own !== '') return { asItCame: own, shown: own };
  const { id, shownId } = reading ?? {};
  if (id === undefined || id === '') return undefined;
  if (typeof id === 'string' && typeof shownId === 'string' && id.length <= MAX_ID_LENGTH)
    return { asItCame: id, shown: shownId };
  metrics.fieldsDropped.id += 1;
  return undefined;
}

/** Which events this one replaces. */
function groupOf({ message, metrics, reading }: Mapping): string {
  if (reading?.key === null) metrics.fieldsDropped.key += 1;
  // No subject begins so.
  return typeof reading?.key === 'string' ? ` ${keptName(reading.key)}` : message.subject;
}

function payload(mapping: Mapping, event: string | undefined, id: string | undefined): Publication['data'] {
  const { destination, message, metrics, operation, reading } = mapping;
  const { binary, envelope } = destination.route.config;
  if (envelope) return wrap(mapping, event, id);
  if (operation === 'delete') return '';
  if (binary) return base64(message.data);
  countRepair(message.data, metrics);
  return reading?.isRedacted ? reading.text : message.data;
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

function wrap(mapping: Mapping, event: string | undefined, id: string | undefined): string {
  const { trace } = mapping.destination.route.config;
  const told = headOf(mapping, event, id);
  const head = JSON.stringify(trace ? { ...told, ...traceShown(mapping) } : told);
  const data = mapping.operation === 'delete' ? 'null' : envelopeData(mapping);
  return `${head.slice(0, -1)},"data":${data}}`;
}

function headOf(
  { destination, message, stamp, key }: Mapping,
  event: string | undefined,
  id: string | undefined,
) {
  const { channel } = destination;
  const time = new Date(stamp.timeMs).toISOString();
  if (key !== undefined) return { channel, key, event, id, revision: stamp.offset, time };
  return { channel, subject: message.subject, event: event ?? 'message', id, time };
}

// As its publisher said it, and not the span that this process makes of it: what is read again from a stream is the same then.
function traceShown({ metrics, header }: Mapping): Readonly<Record<string, string>> {
  const dropped = () => {
    metrics.fieldsDropped.trace += 1;
  };
  return traceHeaders(readTraceContext(header, dropped));
}

function envelopeData({ destination, message: { data }, metrics, reading }: Mapping): string {
  if (destination.route.config.binary) return JSON.stringify(base64(data));
  countRepair(data, metrics);
  const text = reading?.text ?? textOf(data);
  // The text goes in as it came, not parsed and written anew: numbers beyond 2^53 keep their digits.
  return (reading?.isJson ?? isJson(text)) ? text : JSON.stringify(text);
}

function countRepair(data: Uint8Array, metrics: RouteMetrics): void {
  if (!isUtf8(data)) metrics.invalidUtf8 += 1;
}

function textOf(data: Uint8Array): string {
  return view(data).toString('utf8');
}

function base64(data: Uint8Array): string {
  return view(data).toString('base64');
}

function view(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
