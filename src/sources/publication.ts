import { isUtf8 } from 'node:buffer';
import type { Publication } from '../hub/source.ts';
import type { RouteMetrics } from '../metrics.ts';
import { isFieldValue } from '../protocol/sse.ts';
import { RESERVED_EVENT_PREFIX } from '../routing/event.ts';
import type { Destination } from '../routing/router.ts';

/** What is used of a NATS message; its client's `Msg` is one. */
export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  /** May throw where the block is malformed. */
  readonly headers?: { get(name: string): string } | undefined;
}

/** Header by which a publisher names the event. DESIGN 2.5. */
export const EVENT_HEADER = 'Sse-Event';
/** Longest event name, in characters. */
const MAX_EVENT_LENGTH = 256;

/** Maps a message by its route. `timeMs` (Unix epoch) goes into the envelope where the route has one. */
export function toPublication(
  destination: Destination,
  message: Message,
  metrics: RouteMetrics,
  timeMs: number,
): Publication {
  const event = eventName(destination, message, metrics);
  const { binary, envelope } = destination.route.config;
  if (envelope) return { event, data: wrap(destination, message, event, timeMs, metrics) };
  if (binary) return { event, data: base64(message.data) };
  countRepair(message.data, metrics);
  return { event, data: message.data };
}

function eventName(destination: Destination, message: Message, metrics: RouteMetrics): string | undefined {
  const headers = readHeaders(message, metrics);
  const own = headers?.get(EVENT_HEADER);
  if (own !== undefined && own !== '') {
    if (isEventName(own)) return own;
    metrics.fieldsDropped.event += 1;
  }
  const template = destination.route.event;
  if (template === undefined) return undefined;
  const { channel, params } = destination;
  const named = template({ channel, subject: message.subject, params, header: (name) => headers?.get(name) });
  if (named === '') return undefined;
  if (isEventName(named)) return named;
  metrics.fieldsDropped.event += 1;
  return undefined;
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

function wrap(
  destination: Destination,
  message: Message,
  event: string | undefined,
  timeMs: number,
  metrics: RouteMetrics,
): string {
  const head = JSON.stringify({
    channel: destination.channel,
    subject: message.subject,
    event: event ?? 'message',
    time: new Date(timeMs).toISOString(),
  });
  return `${head.slice(0, -1)},"data":${envelopeData(destination, message.data, metrics)}}`;
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
