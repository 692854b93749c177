import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { onTestFinished } from 'vitest';
import { EventStreamParser, type ReceivedEvent } from './event-stream.ts';
import { headerValues, type ResponseHead, ResponseReader } from './http-response.ts';
import { PATIENCE_MS } from './poll.ts';

export interface RequestOptions {
  readonly port: number;
  /** Path and query. */
  readonly target: string;
  readonly method?: string;
  /** Added to `Host` and, unless it is given here, `Accept: text/event-stream`; `undefined` leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** The certificate to trust, PEM; speaks TLS where it is given. */
  readonly ca?: string | Buffer;
}

/** How a response came to its end: complete, or cut off before. */
export type Ending = 'ended' | 'cut';

/** Longest part of a body that is kept as text. */
const KEPT_BODY_BYTES = 64 * 1024;

/**
 * One request on a socket of its own. The response's framing is checked byte by byte, and where it is an event
 * stream, so is that. Events wait here until the test takes them; so it can ask for them one after another.
 */
export class StreamClient {
  readonly #socket: Socket;
  readonly #parser = new EventStreamParser();
  readonly #reader: ResponseReader;
  readonly #watchers = new Set<() => void>();
  #head: ResponseHead | undefined;
  #body = '';
  #taken = 0;
  #ending: Ending | undefined;
  #closed = false;
  #failure: Error | undefined;

  constructor({ port, target, method = 'GET', headers = {}, ca }: RequestOptions) {
    const destination = { host: '127.0.0.1', port };
    this.#socket =
      ca === undefined
        ? connectPlain(destination)
        : connectTls({ ...destination, ca, servername: 'localhost' });
    this.#reader = new ResponseReader(
      {
        head: (head) => {
          this.#head = head;
        },
        body: (bytes) => this.#take(bytes),
        end: () => this.#end(),
      },
      { bodyless: method === 'HEAD' },
    );
    this.#socket.on('data', (bytes) => this.#watch(() => this.#reader.push(bytes)));
    this.#socket.on('error', () => {
      // ECONNRESET: the server cut the connection; `close` comes next.
    });
    this.#socket.on('close', () => this.#watch(() => this.#onClose()));
    const lines = Object.entries({ Host: 'localhost', Accept: 'text/event-stream', ...headers }).flatMap(
      ([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]),
    );
    this.#socket.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`);
  }

  get head(): ResponseHead {
    if (this.#head === undefined) throw new TypeError('there is no head yet');
    return this.#head;
  }

  get status(): number {
    return this.head.status;
  }

  header(name: string): string | undefined {
    return headerValues(this.head, name)[0];
  }

  /** The first 64 KiB of the body, as text. */
  get body(): string {
    return this.#body;
  }

  /** Comment lines so far: heartbeats. */
  get comments(): number {
    return this.#parser.comments.length;
  }

  /** What a browser would wait before it reconnects, in milliseconds. */
  get retryMs(): number | undefined {
    return this.#parser.retryMs;
  }

  /** What a browser would send as `Last-Event-ID`. */
  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** The port that the request came from. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** Waits for the head. */
  async answered(): Promise<ResponseHead> {
    return this.#wait('a response', () => this.#head);
  }

  /** The next event. @throws Error where it is another than `name`, or none comes */
  async next(name?: string): Promise<ReceivedEvent> {
    const event = await this.#wait(`the event ${name ?? ''}`, () => this.#parser.events[this.#taken]);
    this.#taken += 1;
    if (name !== undefined && event.event !== name)
      throw new Error(`expected ${name}, received ${JSON.stringify(event)}`);
    return event;
  }

  /** The next `count` events. */
  async take(count: number): Promise<ReceivedEvent[]> {
    await this.#wait(`${count} events`, () => this.#parser.events.length - this.#taken >= count || undefined);
    this.#taken += count;
    return this.#parser.events.slice(this.#taken - count, this.#taken);
  }

  /** The events up to the first one that `isLast` accepts, that one included. */
  async until(isLast: (event: ReceivedEvent) => boolean): Promise<ReceivedEvent[]> {
    const from = this.#taken;
    await this.#wait(
      'an event',
      () =>
        this.#parser.events.slice(this.#taken).some((event) => {
          this.#taken += 1;
          return isLast(event);
        }) || undefined,
    );
    return this.#parser.events.slice(from, this.#taken);
  }

  /** Waits until `check` holds of what has been received. */
  async saw(what: string, check: (client: this) => boolean): Promise<void> {
    await this.#wait(what, () => check(this) || undefined);
  }

  /** Waits for a complete response. @throws Error where it is cut off */
  async ended(): Promise<void> {
    const ending = await this.#wait('the end', () => this.#ending);
    if (ending !== 'ended') throw new Error('the response was cut off');
  }

  /** Waits until the response is cut off. @throws Error where it comes to a good end */
  async cut(): Promise<void> {
    const ending = await this.#wait('being cut off', () => this.#ending);
    if (ending !== 'cut') throw new Error('the response ended in good order');
  }

  /** Waits for the connection to be closed, by the server or on its word. */
  async closed(): Promise<void> {
    await this.#wait('the connection to be closed', () => this.#closed || undefined);
  }

  /** Stops reading. The kernels on both sides still take some MB before the server notices. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says that no more requests come, and goes on reading. */
  halfClose(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    if (this.#body.length < KEPT_BODY_BYTES)
      this.#body += bytes.toString('utf8', 0, KEPT_BODY_BYTES - this.#body.length);
    if (this.header('content-type') !== 'text/event-stream') return;
    this.#parser.push(bytes);
    const [unknown] = this.#parser.unknownFields;
    if (unknown !== undefined) throw new Error(`the stream has a field ${JSON.stringify(unknown)}`);
  }

  // RFC 9112 9.6: who receives `Connection: close` sends no more and closes, once the response is complete.
  #end(): void {
    this.#ending = 'ended';
    if (this.header('connection') === 'close') this.#socket.end();
  }

  #onClose(): void {
    this.#closed = true;
    this.#ending ??= 'cut';
  }

  #watch(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      this.#socket.destroy();
    }
    for (const watcher of this.#watchers) watcher();
  }

  async #wait<T>(what: string, ask: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(check);
        settle();
      };
      const check = () => {
        if (this.#failure !== undefined) return finish(() => reject(this.#failure));
        const answer = ask();
        if (answer !== undefined) finish(() => resolve(answer));
        else if (this.#closed) finish(() => reject(this.#inVain(`${what}, but the connection was closed`)));
      };
      const timer = setTimeout(() => finish(() => reject(this.#inVain(what))), PATIENCE_MS);
      this.#watchers.add(check);
      check();
    });
  }

  #inVain(what: string): Error {
    const latest = this.#parser.events.slice(-3).map((event) => JSON.stringify(event).slice(0, 300));
    return new Error(
      `waited for ${what}; ${this.#head?.status ?? 'no answer'}, ${this.#parser.events.length} events, last ${latest.join(' ')}`,
    );
  }
}

/** Sends a request and waits for the head of the answer. The connection is gone when the test is over. */
export async function request(options: RequestOptions): Promise<StreamClient> {
  const client = new StreamClient(options);
  onTestFinished(() => client.destroy());
  await client.answered();
  return client;
}
