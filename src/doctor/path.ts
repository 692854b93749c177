import type { Clock } from '../clock.ts';
import { type Answer, answerTo } from './answer.ts';
import type { ReadEvent } from './event-reader.ts';
import type { Ask, Protocol, Trust } from './exchange.ts';
import type { Ops } from './ops.ts';
import { Stream } from './stream.ts';

export interface PathOptions {
  readonly url: URL;
  /** What each request carries, by names in lower case: a token, a cookie, an origin. Secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trust: Trust;
  readonly protocol: Protocol;
  readonly clock: Clock;
  /** How long to wait for what should come at once, in milliseconds. */
  readonly patienceMs: number;
  /** Where the control plane may be asked. */
  readonly ops: Ops | undefined;
}

/** What a stream is asked for with, besides what all are. */
export interface Opening {
  readonly headers?: Readonly<Record<string, string>>;
  /** Which of its events is one of ours, and which. */
  readonly markOf?: (event: ReadEvent) => number | undefined;
  readonly session?: NonNullable<Ask['session']>;
  readonly url?: URL;
}

/** What a request's header may hold. RFC 9110 5.5. */
const HEADER_VALUE = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;

/** The header by which a browser brings a cursor, as UTF-8; `undefined` where a header cannot hold it. WHATWG HTML 9.2.3. */
export function cursorHeader(cursor: string): { readonly 'last-event-id': string } | undefined {
  const value = Buffer.from(cursor).toString('latin1');
  return HEADER_VALUE.test(value) ? { 'last-event-id': value } : undefined;
}

/** The real path to the bridge, as the checks walk it. */
export class Path {
  readonly options: PathOptions;
  readonly #streams = new Set<Stream>();

  constructor(options: PathOptions) {
    this.options = options;
  }

  get clock(): Clock {
    return this.options.clock;
  }

  get patienceMs(): number {
    return this.options.patienceMs;
  }

  get ops(): Ops | undefined {
    return this.options.ops;
  }

  /** Opens a stream, uncompressed unless it is asked for otherwise. */
  open({ headers = {}, markOf, session, url = this.options.url }: Opening = {}): Stream {
    const ask = {
      ...this.#ask(url, { accept: 'text/event-stream', 'accept-encoding': 'identity', ...headers }),
      ...(session !== undefined && { session }),
    };
    const stream = new Stream(ask, this.clock, markOf);
    this.#streams.add(stream);
    return stream;
  }

  /** Asks for something that is answered at once. */
  ask(url: URL, headers: Readonly<Record<string, string>>): Promise<Answer | string> {
    return answerTo(this.#ask(url, headers), this.clock, this.patienceMs);
  }

  /** As a browser does, without anything of what the request itself will carry. Fetch standard, "CORS-preflight fetch". */
  preflight(url: URL, headers: Readonly<Record<string, string>>): Promise<Answer | string> {
    const { protocol, trust } = this.options;
    return answerTo({ url, protocol, trust, method: 'OPTIONS', headers }, this.clock, this.patienceMs);
  }

  /** Gives up a stream that is not needed any more. */
  close(stream: Stream): void {
    stream.abort();
    this.#streams.delete(stream);
  }

  closeAll(): void {
    for (const stream of this.#streams) this.close(stream);
  }

  #ask(url: URL, headers: Readonly<Record<string, string>>): Ask {
    const { protocol, trust } = this.options;
    return {
      url,
      protocol,
      trust,
      headers: { 'user-agent': 'sidestream-doctor', ...this.options.headers, ...headers },
    };
  }
}
