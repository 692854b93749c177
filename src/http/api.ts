import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Complaints, type Logger } from '../log.ts';
import { readTraceContext, type TraceContext, traceFields } from '../tracing/trace-context.ts';
import { readBody } from './api-body.ts';
import { type FieldSchema, readQuery } from './api-query.ts';
import { ApiRefusal } from './api-refusal.ts';

/** One operation, as HTTP offers it. */
export interface ApiOperation {
  readonly name: string;
  /** `read` is GET, with its fields in the query; the others are POST. */
  readonly kind: 'read' | 'act' | 'publish';
  /** JSON Schema of each field. */
  readonly fields: Readonly<Record<string, FieldSchema>>;
  /** Longest body. */
  readonly maxBytes: number;
}

export interface ApiCaller {
  readonly via: 'http';
  readonly address?: string;
  readonly name?: string;
  readonly trace?: TraceContext;
}

/** Bytes are a body, still to be read. */
export type ApiPayload = Uint8Array | Readonly<Record<string, unknown>>;

export type ApiOutcome =
  | { readonly ok: true; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

/** Never rejects. */
export type ApiCall = (operation: string, payload: ApiPayload, caller: ApiCaller) => Promise<ApiOutcome>;

export interface ApiOptions {
  /** What each request must bring. Without one all are refused. */
  readonly token: string | undefined;
  readonly operations: readonly ApiOperation[];
  readonly call: ApiCall;
  /** The status of each code of a refusal. */
  readonly statusOf: (code: string) => number;
  readonly log: Logger;
  readonly clock: { now(): number };
  /** How long a body may take to come, in milliseconds. Default: 10 s. */
  readonly bodyTimeoutMs?: number;
}

export const API_PATH = '/api/';

/** Requests that are read and answered at once; an operation's bodies are bounded too, so this bounds the memory they take. */
const MAX_UNDER_WAY = 64;
/** A body that was refused and is said to be no longer than this is read to its end and dropped, which spares the connection. */
const MAX_DROPPED_BYTES = 1024 * 1024;
/** Seconds until a client may come again that was turned away. */
const RETRY_AFTER = '1';
/** RFC 9110 15.6.4, RFC 6585 4: statuses that `Retry-After` goes with. */
const RETRIED: ReadonlySet<number> = new Set([429, 503]);

/** The control plane over HTTP: `/api/<operation>` on the ops port, for who brings the token. */
export class Api {
  /** Requests that got no further than HTTP, by code. */
  readonly refused = new Map<string, number>();
  readonly #options: ApiOptions;
  readonly #operations: ReadonlyMap<string, ApiOperation>;
  #tokenHash: Buffer | undefined;
  readonly #complaints: Complaints;
  #underWay = 0;

  constructor(options: ApiOptions) {
    const { token, operations, log, clock } = options;
    this.#options = options;
    this.#operations = new Map(operations.map((operation) => [operation.name, operation]));
    this.#tokenHash = token === undefined ? undefined : hashOf(token);
    this.#complaints = new Complaints(log, clock);
  }

  /** Goes by another token from now on; none: all are refused. */
  setToken(token: string | undefined): void {
    this.#tokenHash = token === undefined ? undefined : hashOf(token);
  }

  /** Answers a request below {@link API_PATH}. Never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#authorise(request);
      const operation = this.#operationOf(request);
      const outcome = await this.#take(operation, request, response);
      if (outcome.ok) send(response, 200, outcome.answer);
      else send(response, this.#options.statusOf(outcome.error.code), { error: outcome.error });
    } catch (error) {
      // `undefined`: the client has gone.
      if (error !== undefined) this.#refuse(error, request, response);
    }
  }

  #authorise({ headers, socket }: IncomingMessage): void {
    if (this.#tokenHash === undefined)
      throw new ApiRefusal(
        'CONTROL_DISABLED',
        'the API is off: set ops.token, or ops.tokenFile, in the config',
      );
    const [, token] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
    // Hashes are of one length, and compared in a time that tells nothing of where they differ.
    if (token !== undefined && timingSafeEqual(hashOf(token), this.#tokenHash)) return;
    const { remoteAddress: address } = socket;
    const fields = { address, ...traceFields(traceOf(headers)) };
    this.#complaints.warn('token', fields, 'calls without the token of ops.token are refused');
    // RFC 6750 3: no error is named to who brought nothing.
    const challenge = `Bearer realm="sidestream"${token === undefined ? '' : ', error="invalid_token"'}`;
    throw new ApiRefusal('CONTROL_UNAUTHORIZED', 'send Authorization: Bearer with the token of ops.token', {
      'WWW-Authenticate': challenge,
    });
  }

  #operationOf({ url = '', method = '' }: IncomingMessage): ApiOperation {
    const [path = ''] = url.split('?');
    const operation = this.#operations.get(path.slice(API_PATH.length));
    if (operation === undefined) {
      const names = [...this.#operations.keys()].join(', ');
      throw new ApiRefusal('CONTROL_UNKNOWN', `there is no such operation; there are ${names}`);
    }
    const methods = operation.kind === 'read' ? ['GET', 'HEAD'] : ['POST'];
    if (methods.includes(method)) return operation;
    const Allow = methods.join(', ');
    throw new ApiRefusal('CONTROL_METHOD', `${operation.name} wants ${Allow}`, { Allow });
  }

  async #take(
    operation: ApiOperation,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<ApiOutcome> {
    if (this.#underWay >= MAX_UNDER_WAY)
      throw new ApiRefusal('CONTROL_BUSY', `${MAX_UNDER_WAY} calls are under way; try again in a moment`);
    this.#underWay += 1;
    // Before the body: a socket that has gone by then tells no address, and the log has to have one.
    const caller = callerOf(request);
    try {
      const payload = await this.#payloadOf(operation, request, response);
      return await this.#options.call(operation.name, payload, caller);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #payloadOf(
    { kind, fields, maxBytes }: ApiOperation,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<ApiPayload> {
    const { url = '' } = request;
    const query = url.includes('?') ? url.slice(url.indexOf('?') + 1) : '';
    if (kind === 'read') return readQuery(query, fields);
    if (query !== '')
      throw new ApiRefusal('CONTROL_INVALID', 'the fields stand in the body, and nothing in the query');
    return readBody(request, response, { maxBytes, timeoutMs: this.#options.bodyTimeoutMs });
  }

  #refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    if (!(error instanceof ApiRefusal)) {
      const fields = { error: String(error), ...traceFields(traceOf(request.headers)) };
      this.#complaints.error('failed', fields, 'a request to the API failed');
      const failed = { code: 'CONTROL_FAILED', message: 'see the log' };
      send(response, this.#options.statusOf(failed.code), { error: failed });
      return;
    }
    const { code, message, headers } = error;
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
    const closing = isWorthReading(request) ? headers : { ...headers, Connection: 'close' };
    send(response, this.#options.statusOf(code), { error: { code, message } }, closing);
  }
}

/** Whether what is still to come of a request is short, or nothing. */
function isWorthReading({ complete, headers }: IncomingMessage): boolean {
  if (complete || (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined))
    return true;
  return Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) <= MAX_DROPPED_BYTES;
}

function callerOf({ headers, socket }: IncomingMessage): ApiCaller {
  const { remoteAddress: address } = socket;
  const { 'sidestream-caller': name } = headers;
  const trace = traceOf(headers);
  return {
    via: 'http',
    ...(address !== undefined && { address }),
    // Bytes, which node has for Latin-1; over NATS they are UTF-8.
    ...(typeof name === 'string' && name !== '' && { name: Buffer.from(name, 'latin1').toString() }),
    ...(trace !== undefined && { trace }),
  };
}

// Several lines are one list by now (RFC 9110 5.3): as it should be with `tracestate`, and with `traceparent` of no use.
function traceOf(headers: IncomingMessage['headers']): TraceContext | undefined {
  return readTraceContext((name) => headers[name]?.toString());
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(RETRIED.has(status) && { 'Retry-After': RETRY_AFTER }),
    ...headers,
  });
  response.end(text);
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
