import { connect, type Socket } from 'node:net';
import { EventStreamParser, type ReceivedEvent } from '../support/event-stream.ts';
import { headerValues, ResponseReader } from '../support/http-response.ts';

export interface VisitOptions {
  readonly port: number;
  /** Path and query. */
  readonly target: string;
  /** What is sent as `Last-Event-ID`; empty: nothing. */
  readonly cursor: string;
  /** Bytes of the response after which the client is gone, wherever that is. */
  readonly leaveAfterBytes: number;
  onEvent(event: ReceivedEvent): void;
  /** The response breaks HTTP or the event stream's syntax, or its status would end a browser's EventSource. */
  onViolation(what: string): void;
}

/** One request for a stream, as a browser makes it, to its end. What is received is told event by event and not kept. */
export class Visit {
  /** How it ended. Never rejects. */
  readonly ended: Promise<'closed' | 'left' | 'violated'>;
  readonly #options: VisitOptions;
  readonly #socket: Socket;
  readonly #reader: ResponseReader;
  readonly #parser = new EventStreamParser();
  #leaveAfterBytes: number;
  #ending: 'closed' | 'left' | 'violated' = 'closed';

  constructor(options: VisitOptions) {
    const { port, target, cursor, leaveAfterBytes } = options;
    this.#options = options;
    this.#leaveAfterBytes = leaveAfterBytes;
    this.#socket = connect({ host: '127.0.0.1', port });
    this.#reader = new ResponseReader({
      head: ({ status, headers }) => {
        const type = headerValues({ status, reason: '', headers }, 'content-type')[0];
        if (status !== 200 || type !== 'text/event-stream') throw new Error(`status ${status}, ${type}`);
      },
      body: (bytes) => this.#take(bytes),
      end: () => this.#socket.end(),
    });
    this.ended = new Promise((resolve) => {
      this.#socket.on('close', () => resolve(this.#ending));
    });
    this.#socket.on('error', () => {
      // ECONNREFUSED, ECONNRESET: nobody is there, or not any more; `close` comes next.
    });
    this.#socket.on('data', (bytes) => this.#receive(bytes));
    const fields = cursor === '' ? '' : `Last-Event-ID: ${cursor}\r\n`;
    this.#socket.write(
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${fields}\r\n`,
    );
  }

  /** What a browser would wait before it reconnects, in milliseconds. */
  get retryMs(): number | undefined {
    return this.#parser.retryMs;
  }

  /** Whether it stands within an event. */
  get isWithinEvent(): boolean {
    return !this.#parser.isBetweenEvents;
  }

  /** Stops reading. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Leaves at once. */
  leave(): void {
    this.#ending = 'left';
    this.#socket.destroy();
  }

  /** Does not leave after some bytes any more. */
  stay(): void {
    this.#leaveAfterBytes = Number.POSITIVE_INFINITY;
  }

  #receive(bytes: Buffer): void {
    const taken = bytes.subarray(0, this.#leaveAfterBytes);
    this.#leaveAfterBytes -= taken.length;
    try {
      this.#reader.push(taken);
    } catch (error) {
      this.#ending = 'violated';
      this.#socket.destroy();
      this.#options.onViolation(String(error));
      return;
    }
    if (this.#leaveAfterBytes <= 0) this.leave();
  }

  #take(bytes: Buffer): void {
    this.#parser.push(bytes);
    const [unknown] = this.#parser.unknownFields;
    if (unknown !== undefined) throw new Error(`the stream has a field ${JSON.stringify(unknown)}`);
    for (const event of this.#parser.events.splice(0)) this.#options.onEvent(event);
  }
}
