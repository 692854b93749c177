import { headerValues, type ResponseHead, ResponseReader } from '../support/http-response.ts';
import { decoderOf } from './decoder.ts';
import { ExpectedBody } from './expected-body.ts';
import type { Way } from './form.ts';
import type { Line, OpenLine } from './line.ts';
import type { PublicationRecord } from './record.ts';

export interface ReaderOptions {
  readonly name: string;
  readonly port: number;
  /** The channels' letters. */
  readonly channels: string;
  readonly record: PublicationRecord;
  readonly way: Way;
  readonly open: OpenLine;
}

/** One stream, each byte of which is checked as it comes: the chunks by RFC 9112 7.1, and what they hold, decoded. */
export class Reader {
  readonly #name: string;
  readonly #body: ExpectedBody;
  readonly #response: ResponseReader;
  readonly #line: Line;
  #failure: Error | undefined;
  #hasEnded = false;
  #isClosed = false;

  constructor({ name, port, channels, record, way, open }: ReaderOptions) {
    this.#name = name;
    const body = new ExpectedBody(record, channels, way.form);
    this.#body = body;
    const decoder = decoderOf(way, {
      bytes: (bytes) => this.#watch(() => body.push(bytes)),
      end: () => this.#watch(() => this.#end()),
      fail: (error) => this.#fail(error),
    });
    this.#response = new ResponseReader({
      head: (head) => checkHead(head, way),
      body: (bytes) => decoder.push(bytes),
      end: () => decoder.end(),
    });
    this.#line = open(port, requestOf(channels, way), {
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
    return this.#isClosed && this.#hasEnded;
  }

  pause(): void {
    this.#line.pause();
  }

  resume(): void {
    this.#line.resume();
  }

  #end(): void {
    this.#body.end();
    this.#hasEnded = true;
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

function requestOf(channels: string, { form, coding }: Way): string {
  const topics = [...channels].map((letter) => `topic.${letter}`).join(',');
  const encoding = coding === undefined ? '' : `Accept-Encoding: ${coding}\r\n`;
  return `GET /events?channels=${topics} HTTP/1.1\r\nHost: localhost\r\nAccept: ${form.mediaType}\r\n${encoding}\r\n`;
}

function checkHead(head: ResponseHead, { form, coding }: Way): void {
  const [type, encoding] = ['content-type', 'content-encoding'].map((name) => headerValues(head, name)[0]);
  if (head.status !== 200 || type !== form.mediaType || encoding !== coding)
    throw new Error(`status ${head.status}, ${type}, ${encoding}`);
}
