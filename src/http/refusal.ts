import { encodeControl, retryLine } from '../protocol/sse.ts';
import type { RefusalCode } from '../reasons.ts';
import { REFUSAL_CODES } from '../reasons.ts';
import type { Ask } from './request.ts';
import type { HttpResponse } from './uws.ts';

/** The status that each refusal has where the caller can read one. DESIGN 2.3. */
const STATUS: Readonly<Record<RefusalCode, string>> = {
  CONNECTION_LIMIT: '503 Service Unavailable',
  CONNECTION_LIMIT_IP: '429 Too Many Requests',
  CONNECTION_LIMIT_CHANNEL: '503 Service Unavailable',
  CONNECTION_LIMIT_USER: '429 Too Many Requests',
  CHANNEL_LIMIT: '503 Service Unavailable',
  CONNECT_RATE: '503 Service Unavailable',
  DRAINING: '503 Service Unavailable',
  NATS_NOT_READY: '503 Service Unavailable',
  AUTH_UNAVAILABLE: '503 Service Unavailable',
  AUTH_RATE: '429 Too Many Requests',
  TOKEN_MISSING: '401 Unauthorized',
  TOKEN_INVALID: '401 Unauthorized',
  TOKEN_EXPIRED: '401 Unauthorized',
  TOKEN_REVOKED: '401 Unauthorized',
  TOKEN_USED: '401 Unauthorized',
  CHANNEL_FORBIDDEN: '403 Forbidden',
  CHANNEL_MALFORMED: '400 Bad Request',
  CHANNEL_UNKNOWN: '404 Not Found',
  CHANNEL_CLOSED: '204 No Content',
  CHANNELS_MISSING: '400 Bad Request',
  CHANNELS_TOO_MANY: '400 Bad Request',
  LOGS_TOO_MANY: '400 Bad Request',
  CURSOR_MALFORMED: '400 Bad Request',
  // To a native EventSource the end of its reconnecting. WHATWG HTML 9.2.3.
  STREAM_CLOSED: '204 No Content',
  WAIT_MALFORMED: '400 Bad Request',
  LIMIT_MALFORMED: '400 Bad Request',
  REQUEST_RATE: '503 Service Unavailable',
  REQUEST_LIMIT: '503 Service Unavailable',
  REQUEST_FAILED: '500 Internal Server Error',
  BODY_TOO_LARGE: '413 Content Too Large',
  BODY_TYPE: '415 Unsupported Media Type',
  BODY_MALFORMED: '400 Bad Request',
  NOT_ACCEPTABLE: '406 Not Acceptable',
  METHOD_NOT_ALLOWED: '405 Method Not Allowed',
  BODY_NOT_ALLOWED: '400 Bad Request',
  NOT_FOUND: '404 Not Found',
};

/** An answer, ready to be written. */
export interface Answer {
  readonly status: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** Whether the connection must not be used again. */
  readonly close: boolean;
}

export interface RefusalContext {
  /** Whether the caller can read a status. */
  readonly asStatus: boolean;
  readonly retryMs: number;
  /** `sse.control`. */
  readonly control: boolean;
  /** The channel or channels to blame, if any, and how many logs they are of; checked to be channel names. */
  readonly channel?: string;
  /** The methods that there are, of METHOD_NOT_ALLOWED. Default: a stream's. */
  readonly allow?: string;
}

/**
 * A refusal as the caller can understand it. What may be better later is, to a native EventSource, a stream that ends
 * at once and tells when to come back: any status but 200 would make it give up for good.
 */
export function refusal(
  code: RefusalCode,
  { asStatus, retryMs, control, channel, allow = 'GET, OPTIONS' }: RefusalContext,
): Answer {
  const status = STATUS[code];
  const passing = status.startsWith('503') || status.startsWith('429');
  const retryAfter: [string, string][] = passing ? [['Retry-After', String(Math.ceil(retryMs / 1000))]] : [];
  if (passing && !asStatus) {
    const close = control
      ? encodeControl('sidestream.close', { reason: 'overloaded', code, retry: retryMs })
      : '\n';
    return {
      status: '200 OK',
      headers: [['Content-Type', 'text/event-stream'], ...STREAM_HEADERS, ...retryAfter],
      body: retryLine(retryMs) + close,
      close: true,
    };
  }
  if (status.startsWith('204'))
    return { status, headers: [['Cache-Control', 'no-store']], body: '', close: false };
  const message = REFUSAL_CODES[code].replaceAll('`', '') + (channel === undefined ? '' : ` (${channel})`);
  const headers: [string, string][] = [
    ['Content-Type', 'application/json'],
    ['Cache-Control', 'no-store'],
    ...retryAfter,
  ];
  // RFC 6750 3.1: no error code where no token was brought.
  if (code === 'TOKEN_MISSING') headers.push(['WWW-Authenticate', 'Bearer']);
  else if (status.startsWith('401')) headers.push(['WWW-Authenticate', 'Bearer error="invalid_token"']);
  if (code === 'METHOD_NOT_ALLOWED') headers.push(['Allow', allow]);
  return { status, headers, body: JSON.stringify({ error: { code, message } }), close: passing };
}

/** Writes the whole answer to a request, and ends it. */
export function writeAnswer(
  res: HttpResponse,
  { method, hasBody, contentLength }: Ask,
  { status, headers, body, close }: Answer,
): void {
  res.writeStatus(status);
  for (const [name, value] of headers) res.writeHeader(name, value);
  // uWebSockets.js knows no trailers (RFC 9112 7.1.2): it takes what stands in them for the next request. A proxy that passes them on
  // must not find the answer to that on a connection which it then uses for somebody else.
  const isUnsure = hasBody && contentLength === '';
  // RFC 9110 9.3.2: what followed the head of an answer to HEAD would be taken for the next answer.
  // No arguments, not even `undefined`: given a length uWebSockets.js waits for that body, or ends the process.
  if (status.startsWith('204') || method === 'head') {
    if (isUnsure) res.writeHeader('Connection', 'close');
    res.endWithoutBody();
  }
  // With `close` uWebSockets.js writes `Connection: close` itself.
  else res.end(body, close || isUnsure);
}

/** Headers of every stream besides its type. */
export const STREAM_HEADERS: readonly (readonly [string, string])[] = [
  ['Cache-Control', 'private, no-cache, no-store, no-transform'],
  ['X-Accel-Buffering', 'no'],
];
