import type { IncomingMessage } from 'node:http';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { onTestFinished } from 'vitest';
import { EventStreamParser, type ReceivedEvent } from '../support/event-stream.ts';
import { poll } from '../support/poll.ts';
import type { RunningProxy } from './proxy.ts';

export type Protocol = 'h2' | 'http/1.1';

export interface Ask {
  /** Default: `h2`. */
  readonly protocol?: Protocol;
  readonly method?: string;
  /** Beside `Accept: text/event-stream`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The loopback address to come from. Default: 127.0.0.1, the proxy's own. */
  readonly from?: string;
}

/** An answer as it arrives: decoded, and read as what its media type says. */
export class Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly #bytes: Readable;
  readonly #close: () => void;
  readonly #parser = new EventStreamParser();
  /** Lines of NDJSON. */
  readonly #lines: ReceivedEvent[] = [];
  #text = '';
  #taken = 0;
  #ending: 'ended' | 'cut' | undefined;

  constructor(status: number, headers: Answer['headers'], raw: Readable, close: () => void) {
    this.status = status;
    this.headers = headers;
    this.#bytes = raw;
    this.#close = close;
    const decoder = decoderOf(String(headers['content-encoding'] ?? ''));
    const decoded = decoder === undefined ? raw : raw.pipe(decoder);
    decoded.on('data', (bytes: Buffer) => this.#take(bytes));
    decoded.on('end', () => {
      this.#ending ??= 'ended';
    });
    const cut = () => {
      this.#ending ??= 'cut';
    };
    for (const stream of [raw, decoded]) for (const name of ['error', 'aborted']) stream.on(name, cut);
    // A reset stream is closed without an end of its body.
    raw.on('close', () => setImmediate(cut));
  }

  get text(): string {
    return this.#text;
  }

  /** Comment lines so far: heartbeats. */
  get comments(): number {
    return this.#parser.comments.length;
  }

  get retryMs(): number | undefined {
    return this.#parser.retryMs;
  }

  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** How it came to its end, if it did. */
  get ending(): 'ended' | 'cut' | undefined {
    return this.#ending;
  }

  /** The next event. @throws Error where it is another than `name`, or none comes */
  async next(name?: string): Promise<ReceivedEvent> {
    const event = await poll(`the event ${name ?? ''}`, () => this.nextOrEnd());
    if (event === 'end')
      throw new Error(`it was ${this.#ending} before ${name}: ${this.status} ${this.#text.slice(-300)}`);
    if (name !== undefined && event.event !== name)
      throw new Error(`expected ${name}, received ${JSON.stringify(event).slice(0, 300)}`);
    return event;
  }

  /** The next event if it is there, `end` where none comes any more. */
  nextOrEnd(): ReceivedEvent | 'end' | undefined {
    const found = this.#events[this.#taken];
    if (found === undefined) return this.#ending === undefined ? undefined : 'end';
    this.#taken += 1;
    return found;
  }

  /** Waits for its end, and says how it came. */
  async ended(): Promise<'ended' | 'cut'> {
    return poll('the end', () => this.#ending);
  }

  /** Stops reading. */
  pause(): void {
    this.#bytes.pause();
  }

  resume(): void {
    this.#bytes.resume();
  }

  /** Goes, as a browser does whose tab is closed. */
  leave(): void {
    this.#close();
  }

  get #events(): readonly ReceivedEvent[] {
    return this.#isLines ? this.#lines : this.#parser.events;
  }

  get #isLines(): boolean {
    return this.headers['content-type'] === 'application/x-ndjson';
  }

  #take(bytes: Buffer): void {
    if (this.#text.length < 1 << 20) this.#text += bytes;
    if (this.headers['content-type'] === 'text/event-stream') this.#parser.push(bytes);
    if (!this.#isLines) return;
    this.#lines.length = 0;
    for (const line of this.#text.split('\n').slice(0, -1))
      if (line.includes('"event"'))
        this.#lines.push({ event: 'message', data: '', id: '', ...JSON.parse(line) });
  }
}

function decoderOf(coding: string) {
  if (coding === 'gzip') return zlib.createGunzip();
  // Node 22.15; the types are Node 20's.
  const make: unknown = Reflect.get(zlib, 'createZstdDecompress');
  if (coding === 'zstd' && typeof make === 'function') return make() as zlib.Gunzip;
  return undefined;
}

/** Asks something of a proxy, over TLS, on a connection of its own that is gone when the test is over; resolves with the answer's head. */
export async function ask(proxy: RunningProxy, target: string, options: Ask = {}): Promise<Answer> {
  const answer = await (options.protocol === 'http/1.1' ? askHttps : askHttp2)(proxy, target, options);
  onTestFinished(() => answer.leave());
  return answer;
}

function askHttp2({ tlsPort, ca }: RunningProxy, target: string, given: Ask): Promise<Answer> {
  const { method = 'GET', headers = {}, body, from } = given;
  const session = connectHttp2(`https://localhost:${tlsPort}`, {
    ca,
    host: '127.0.0.1',
    ...(from !== undefined && { localAddress: from }),
  });
  const lower = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return new Promise((resolve, reject) => {
    session.once('error', reject);
    const stream: ClientHttp2Stream = session.request({
      ':method': method,
      ':path': target,
      accept: 'text/event-stream',
      ...lower,
    });
    stream.once('error', reject);
    stream.once('response', ({ ':status': status = 0, ...rest }) =>
      resolve(new Answer(status, rest, stream, () => session.destroy())),
    );
    stream.end(body);
  });
}

function askHttps({ tlsPort, ca }: RunningProxy, target: string, given: Ask): Promise<Answer> {
  const { method = 'GET', headers = {}, body, from } = given;
  return new Promise((resolve, reject) => {
    const request = requestHttps({
      host: '127.0.0.1',
      servername: 'localhost',
      port: tlsPort,
      path: target,
      method,
      ca,
      agent: false,
      headers: { Host: 'localhost', Accept: 'text/event-stream', ...headers },
      ...(from !== undefined && { localAddress: from }),
    });
    request.once('error', reject);
    request.once('response', (message: IncomingMessage) => {
      request.on('error', () => {
        // ECONNRESET as it was cut; the answer says so.
      });
      resolve(new Answer(message.statusCode ?? 0, message.headers, message, () => request.destroy()));
    });
    request.end(body);
  });
}
