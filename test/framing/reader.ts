import { ResponseReader } from '../support/http-response.ts';
import { ExpectedBody } from './expected-body.ts';
import type { Line, OpenLine } from './line.ts';
import type { PublicationRecord } from './record.ts';

export interface ReaderOptions {
  readonly name: string;
  readonly port: number;
  /** The channels' letters. */
  readonly channels: string;
  readonly record: PublicationRecord;
  readonly open: OpenLine;
}

/** One stream, each byte of which is checked as it comes: the chunks by RFC 9112 7.1, and what they hold. */
export class Reader {
  readonly #name: string;
  readonly #body: ExpectedBody;
  readonly #response: ResponseReader;
  readonly #line: Line;
  #failure: Error | undefined;
  #isClosed = false;

  constructor({ name, port, channels, record, open }: ReaderOptions) {
    this.#name = name;
    const body = new ExpectedBody(record, channels);
    this.#body = body;
    this.#response = new ResponseReader({
      head: ({ status }) => {
        if (status !== 200) throw new Error(`status ${status}`);
      },
      body: (bytes) => body.push(bytes),
      end: () => body.end(),
    });
    const topics = [...channels].map((letter) => `topic.${letter}`).join(',');
    const request = `GET /events?channels=${topics} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`;
    this.#line = open(port, request, {
      bytes: (bytes) => this.#watch(() => this.#response.push(bytes)),
      end: () => this.#watch(() => this.#close()),
      fail: (error) => this.#fail(error),
    });
  }

  /** @throws Error where anything was wrong so far */
  get isOpen(): boolean {
    this.#check();
    return this.#body.isOpen;
  }

  /** Whether everything that has been published has come. @throws Error where anything was wrong so far */
  get isComplete(): boolean {
    this.#check();
    return this.#body.isComplete;
  }

  /** Whether the stream came to its good end, and so did the connection. @throws Error where anything was wrong so far */
  get isOver(): boolean {
    this.#check();
    return this.#isClosed;
  }

  pause(): void {
    this.#line.pause();
  }

  resume(): void {
    this.#line.resume();
  }

  #close(): void {
    if (!this.#response.isDone) throw new Error('the connection ended within the response');
    this.#isClosed = true;
  }

  #watch(step: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      step();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= new Error(`${this.#name}: ${String(error)}`, { cause: error });
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
