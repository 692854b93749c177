import { type IncomingMessage, request as requestPlain } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { request as requestTls } from 'node:https';
import type { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';

/** Whom to believe that they are who they say. */
export interface Trust {
  /** Certificates of authorities (PEM), beside those that Node knows. */
  readonly ca?: string | undefined;
  /** Believes everybody. */
  readonly insecure: boolean;
}

/** HTTP's version, as ALPN calls it (RFC 7301). */
export type Protocol = 'h2' | 'http/1.1';

export interface Ask {
  readonly url: URL;
  readonly protocol: Protocol;
  readonly trust: Trust;
  /** Default: GET. */
  readonly method?: string;
  /** Names in lower case, as HTTP/2 wants them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Opens it there, over HTTP/2, and leaves the session open. */
  readonly session?: ClientHttp2Session;
}

export interface Head {
  readonly status: number;
  /** By names in lower case; of several lines of one name, joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * How it came to its end: `complete` by the rules of HTTP; `cut` after the head, before its end; `failed` before the head. `code` is
 * Node's, or HTTP/2's.
 */
export interface Ending {
  readonly how: 'complete' | 'cut' | 'failed';
  readonly code?: string;
}

export interface ExchangeListener {
  head(head: Head, body: Readable): void;
  /** Once, and not where it was aborted from here. */
  end(ending: Ending): void;
}

export interface Exchange {
  /** Gives it up; nobody is told of anything any more. */
  abort(): void;
}

/** Asks, on a connection of its own unless a session is given. Node bounds what a head may be; time is for the caller to bound. */
export function exchange(ask: Ask, listener: ExchangeListener): Exchange {
  let isOver = false;
  const once: ExchangeListener = {
    head: (head, body) => {
      if (!isOver) listener.head(head, body);
    },
    end: (ending) => {
      if (isOver) return;
      isOver = true;
      release();
      listener.end(ending);
    },
  };
  const release = ask.protocol === 'h2' ? exchangeHttp2(ask, once) : exchangeHttp1(ask, once);
  return {
    abort: () => {
      isOver = true;
      release();
    },
  };
}

/** What TLS is told, over either version. Browsers ask for both; here the version was chosen before. */
export function tlsOptions({ ca, insecure }: Trust) {
  return { rejectUnauthorized: !insecure, ...(ca !== undefined && { ca: [...rootCertificates, ca] }) };
}

function exchangeHttp1(ask: Ask, listener: ExchangeListener): () => void {
  const { url, trust, method = 'GET', headers, body } = ask;
  const options = { method, headers, agent: false };
  const request =
    url.protocol === 'https:'
      ? requestTls(url, { ...options, ...tlsOptions(trust) })
      : requestPlain(url, options);
  let response: IncomingMessage | undefined;
  request.on('response', (incoming) => {
    response = incoming;
    incoming.on('error', () => undefined);
    incoming.once('close', () => listener.end({ how: incoming.complete ? 'complete' : 'cut' }));
    listener.head({ status: incoming.statusCode ?? 0, headers: joined(incoming.headers) }, incoming);
  });
  request.on('error', (error) => {
    // Of what breaks off behind the head the response tells.
    if (response === undefined) listener.end({ how: 'failed', code: codeOf(error) });
  });
  // Without an error too: where the server would have another protocol (101).
  request.once('close', () => {
    if (response === undefined) listener.end({ how: 'failed', code: 'CLOSED' });
  });
  request.end(body);
  return () => request.destroy();
}

function exchangeHttp2(ask: Ask, listener: ExchangeListener): () => void {
  const { url, trust, method = 'GET', headers, body } = ask;
  const session = ask.session ?? connectSession(url, trust);
  let hasHead = false;
  const fail = (code: string) => listener.end({ how: hasHead ? 'cut' : 'failed', code });
  session.once('error', (error) => fail(codeOf(error)));
  // Node makes the authority of the session's host, which it has taken the brackets of IPv6 from.
  const target = { ':method': method, ':authority': url.host, ':path': `${url.pathname}${url.search}` };
  const stream = session.request({ ...headers, ...target }, { endStream: body === undefined });
  stream.on('response', (received) => {
    hasHead = true;
    listener.head({ status: Number(received[':status'] ?? 0), headers: joined(received) }, stream);
  });
  stream.on('error', (error) => fail(codeOf(error)));
  // A connection that is lost below it ends a stream as if in good order, and is told by `aborted` alone.
  stream.once('aborted', () => fail('ABORTED'));
  stream.once('close', () => {
    const { rstCode = 0 } = stream;
    if (rstCode !== constants.NGHTTP2_NO_ERROR || !hasHead) fail(`HTTP2_${rstCode}`);
    else listener.end({ how: 'complete' });
  });
  if (body !== undefined) stream.end(body);
  return () => {
    stream.close(constants.NGHTTP2_CANCEL);
    if (ask.session === undefined) session.destroy();
  };
}

/** A session over HTTP/2, for several exchanges; the caller destroys it. */
export function connectSession(url: URL, trust: Trust): ClientHttp2Session {
  // Each exchange listens for its errors; Node takes more than ten for a leak, and says so on the terminal.
  return connectHttp2(url.origin, tlsOptions(trust))
    .setMaxListeners(0)
    .on('error', () => undefined);
}

function joined(
  headers: Readonly<Record<string, string | number | string[] | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : `${value ?? ''}`,
    ]),
  );
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
