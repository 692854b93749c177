import { durationMs } from '../duration.ts';
import { GOODBYE, MAX_CURSOR_LENGTH, type Position, parseCursor } from '../protocol/cursor.ts';
import type { RefusalCode } from '../reasons.ts';
import { isChannelName } from '../routing/template.ts';
import { readTraceContext, TRACEPARENT, type TraceContext, traceFields } from '../tracing/trace-context.ts';
import { negotiate } from './accept.ts';
import type { HttpRequest } from './uws.ts';

/** All that is kept of a request; uWebSockets.js's own object is dead once the handler returns. */
export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly origin: string;
  readonly accept: string;
  /** Empty unless compression is configured. */
  readonly acceptEncoding: string;
  readonly lastEventId: string;
  /** Secret, as are `cookie` and `query`: none of them is ever logged. */
  readonly authorization: string;
  /** Empty unless cookies may hold the token. */
  readonly cookie: string;
  readonly userAgent: string;
  readonly hasBody: boolean;
  /** As its head says it; of a POST, otherwise empty, as is `contentLength`. */
  readonly contentType: string;
  readonly contentLength: string;
  readonly forwarded: string;
  /** Anybody may say anything here that has the right form. */
  readonly trace: TraceContext | undefined;
}

/** What of a request is needed depends on the config; reading a header costs a call into the addon. */
export interface Wanted {
  readonly forwardedHeader: string | undefined;
  readonly cookie: boolean;
  readonly encoding: boolean;
  readonly userAgent: boolean;
}

export function copyRequest(req: HttpRequest, wanted: Wanted): Ask {
  const length = req.getHeader('content-length');
  const accept = req.getHeader('accept');
  const method = req.getMethod();
  const isPost = method === 'post';
  return {
    method,
    path: req.getUrl(),
    query: req.getQuery() ?? '',
    origin: req.getHeader('origin'),
    // What every EventSource sends needs no second line, whatever that may say.
    accept: accept === '' || accept === 'text/event-stream' ? accept : allOf(req, 'accept'),
    acceptEncoding: wanted.encoding ? allOf(req, 'accept-encoding') : '',
    lastEventId: req.getHeader('last-event-id'),
    authorization: req.getHeader('authorization'),
    cookie: wanted.cookie ? req.getHeader('cookie') : '',
    userAgent: wanted.userAgent ? req.getHeader('user-agent') : '',
    hasBody: (length !== '' && length !== '0') || req.getHeader('transfer-encoding') !== '',
    contentType: isPost ? req.getHeader('content-type') : '',
    contentLength: isPost ? length : '',
    forwarded: wanted.forwardedHeader === undefined ? '' : allOf(req, wanted.forwardedHeader),
    // Few bring one, so the others are to pay for a single look.
    trace: req.getHeader(TRACEPARENT) === '' ? undefined : readTraceContext((name) => req.getHeader(name)),
  };
}

/** What is logged of a request, with the trace that it is of. */
export function traced<F extends object>({ trace }: Pick<Ask, 'trace'>, fields: F): F {
  return trace === undefined ? fields : { ...fields, ...traceFields(trace) };
}

// `getHeader` knows the first line only. A proxy may add its word as a line of its own, below one that the client forged;
// several lines are one list, in their order (RFC 9110 5.3).
function allOf(req: HttpRequest, header: string): string {
  const lines: string[] = [];
  req.forEach((name, value) => {
    if (name === header) lines.push(value);
  });
  return lines.join(',');
}

/** What a request for a stream asks for, once its syntax is found good. */
export interface StreamRequest {
  /** Without repeats, in the order asked; may be empty. */
  readonly channels: readonly string[];
  readonly cursor: readonly Position[] | undefined;
}

/** What a request for one answer asks for besides. */
export interface PollRequest {
  /** How long it may wait for something to happen, in milliseconds. */
  readonly waitMs: number;
  /** Most events in the answer. */
  readonly limit: number;
}

const DEFAULT_WAIT_MS = 25_000;
/** What most proxies wait for an answer before they give up. */
const MAX_WAIT_MS = 60_000;
const DEFAULT_LIMIT = 100;

/** Reads `?wait=` and `?limit=`; or says what is wrong. */
export function readPollRequest({ query }: Ask, maxLimit: number): PollRequest | RefusalCode {
  const parameters = new URLSearchParams(query);
  const waitMs = readWait(parameters.get('wait'));
  if (waitMs === undefined || waitMs > MAX_WAIT_MS) return 'WAIT_MALFORMED';
  const limit = parameters.get('limit') ?? `${Math.min(DEFAULT_LIMIT, maxLimit)}`;
  if (!/^[1-9]\d{0,8}$/.test(limit) || Number(limit) > maxLimit) return 'LIMIT_MALFORMED';
  return { waitMs, limit: Number(limit) };
}

/** A duration as the config has them. */
function readWait(text: string | null): number | undefined {
  if (text === null) return DEFAULT_WAIT_MS;
  return text === '0' ? 0 : durationMs(text);
}

/** Reads `/events/{channel}`, `?channels=a,b`, `Last-Event-ID` and `?lastEventId=`; or says what is wrong. */
export function readStreamRequest(
  ask: Ask,
  basePath: string,
  maxChannels: number,
): StreamRequest | RefusalCode {
  const query = new URLSearchParams(ask.query);
  const names = query.getAll('channels').flatMap((list) => list.split(','));
  if (ask.path !== basePath) {
    const inPath = decode(ask.path.slice(basePath.length + 1));
    if (inPath === undefined) return 'CHANNEL_MALFORMED';
    names.unshift(inPath);
  }
  // None asked for: whether there are any without asking is not for the syntax to say.
  if (names.length === 1 && names[0] === '') names.pop();
  const channels = [...new Set(names)];
  if (channels.length > maxChannels) return 'CHANNELS_TOO_MANY';
  if (!channels.every(isChannelName)) return 'CHANNEL_MALFORMED';
  // DESIGN 2.2: the header wins. An empty one is what a client without a cursor may send.
  const given = ask.lastEventId !== '' ? ask.lastEventId : (query.get('lastEventId') ?? '');
  if (given === '') return { channels, cursor: undefined };
  if (given === GOODBYE) return 'STREAM_CLOSED';
  if (given.length > MAX_CURSOR_LENGTH) return 'CURSOR_MALFORMED';
  const cursor = parseCursor(given);
  return cursor === undefined ? 'CURSOR_MALFORMED' : { channels, cursor };
}

/** Whether the request's path is for a stream at all. */
export function isStreamPath(path: string, basePath: string): boolean {
  if (!path.startsWith(basePath)) return false;
  const rest = path.slice(basePath.length);
  return rest === '' || (rest.startsWith('/') && rest.length > 1 && !rest.includes('/', 1));
}

/** Whether the caller can read a status: then refusals are statuses. A native EventSource gives up at any but 200. DESIGN 2.3. */
export function wantsStatus(ask: Ask): boolean {
  return (
    ask.authorization !== '' ||
    negotiate(ask.accept)?.transport !== 'sse' ||
    new URLSearchParams(ask.query).get('errors') === 'http'
  );
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // URIError: a broken percent-encoding.
    return undefined;
  }
}
