import type { Duplex, Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import { keep } from './answer.ts';
import { type Close, type Open, readClose, readOpen } from './control-event.ts';
import { createDecoder } from './decoder.ts';
import { EventReader, type ReadEvent } from './event-reader.ts';
import { type Ask, type Ending, type Exchange, exchange, type Head } from './exchange.ts';

/** Most heartbeats whose times are kept. */
const MAX_HEARTBEATS = 1000;
/** As long as the head of gzip is. */
const MAX_START_BYTES = 10;
/** Sidestream's own event in place of a heartbeat. */
const CURSOR_EVENT = 'sidestream.cursor';

/** Something that came, and when. Times are the clock's, in milliseconds. */
type Timed<T> = T & { readonly atMs: number };

/**
 * One open event stream, as it comes: what was seen of it and when. What is kept is bounded, however long it is open and whatever comes.
 */
export class Stream {
  readonly sentMs: number;
  head: Timed<Head> | undefined;
  /** When the first and the last byte of the body came, as they are on the wire. */
  firstByteMs: number | undefined;
  lastByteMs: number | undefined;
  /** The first bytes of the body, as they are on the wire: of a content coding its head. */
  start: Buffer | undefined;
  /** The newest `retry:`, and when the first came. */
  retryMs: number | undefined;
  retryAtMs: number | undefined;
  open: Timed<Open> | undefined;
  close: Timed<Close> | undefined;
  /** When each of the first heartbeats came; the most that came together. */
  readonly heartbeats: number[] = [];
  mostTogether = 0;
  /** Events that are not Sidestream's own. */
  events = 0;
  /** The cursor: the newest `id:`. */
  lastId = '';
  /** When each event that `markOf` knows came. */
  readonly marks = new Map<number, number>();
  /** The content coding is not what the head says, or unknown here. */
  isUndecodable = false;
  /** Of an answer that is no event stream. */
  body = '';
  ending: Timed<Ending> | undefined;
  readonly #clock: Clock;
  readonly #markOf: (event: ReadEvent) => number | undefined;
  readonly #exchange: Exchange;
  readonly #watchers = new Set<() => void>();
  #decoder: Duplex | undefined;
  #together = 0;

  constructor(ask: Ask, clock: Clock, markOf: (event: ReadEvent) => number | undefined = () => undefined) {
    this.#clock = clock;
    this.#markOf = markOf;
    this.sentMs = clock.now();
    this.#exchange = exchange(ask, {
      head: (head, body) => this.#begin(head, body),
      end: (ending) => this.#end(ending),
    });
  }

  /** Whether it is what was asked for: an event stream, with status 200. */
  get isStream(): boolean {
    const type = this.head?.headers['content-type'] ?? '';
    return this.head?.status === 200 && /^text\/event-stream\s*(;|$)/i.test(type);
  }

  get coding(): string {
    return this.head?.headers['content-encoding']?.trim().toLowerCase() || 'identity';
  }

  /** When it was known what it is: it has begun, or was refused. For {@link until}; what is no stream settles by its end. */
  readonly settledMs = (): number | undefined => this.open?.atMs ?? this.close?.atMs;

  /** Waits until there is something, or the stream has ended; `undefined` where that does not come within `patienceMs`. */
  async until<T>(ask: (stream: this) => T | undefined, patienceMs: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const finish = (answer: T | undefined) => {
        clearTimeout(timer);
        this.#watchers.delete(check);
        resolve(answer);
      };
      const check = () => {
        const answer = ask(this);
        if (answer !== undefined || this.ending !== undefined) finish(answer);
      };
      const timer = setTimeout(() => finish(undefined), patienceMs);
      this.#watchers.add(check);
      check();
    });
  }

  /** Gives it up: nothing more is seen of it, and `ending` stays empty, since it was not ended from there. */
  abort(): void {
    this.#exchange.abort();
    this.#decoder?.destroy();
  }

  #begin(head: Head, body: Readable): void {
    this.head = { ...head, atMs: this.#clock.now() };
    body.on('error', () => undefined);
    if (!this.isStream) keep(body, (text) => this.#saw(() => (this.body += text)));
    else this.#read(body);
    this.#saw();
  }

  #read(body: Readable): void {
    body.on('data', (bytes: Buffer) => {
      this.lastByteMs = this.#clock.now();
      this.firstByteMs ??= this.lastByteMs;
      this.start ??= Buffer.from(bytes.subarray(0, MAX_START_BYTES));
    });
    const decoder = createDecoder(this.coding);
    if (decoder === undefined) {
      this.isUndecodable = true;
      return;
    }
    this.#decoder = decoder;
    const reader = new EventReader({
      event: (event) => this.#onEvent(event),
      comment: () => this.#onHeartbeat(),
      retry: (ms) => {
        this.retryMs = ms;
        this.retryAtMs ??= this.#clock.now();
      },
    });
    decoder.on('error', () => this.#saw(() => (this.isUndecodable = true)));
    decoder.on('data', (bytes: Buffer) =>
      this.#saw(() => {
        this.#together = 0;
        reader.push(bytes);
      }),
    );
    body.pipe(decoder);
  }

  #onEvent(event: ReadEvent): void {
    const atMs = this.#clock.now();
    if (event.id !== '') this.lastId = event.id;
    if (event.event === CURSOR_EVENT) this.#onHeartbeat();
    else if (event.event === 'sidestream.open') this.open ??= { ...readOpen(event), atMs };
    else if (event.event === 'sidestream.close') this.close ??= { ...readClose(event), atMs };
    else if (!event.event.startsWith('sidestream.')) this.#onOthers(event, atMs);
  }

  #onOthers(event: ReadEvent, atMs: number): void {
    const mark = this.#markOf(event);
    if (mark === undefined) this.events += 1;
    else this.marks.set(mark, atMs);
  }

  #onHeartbeat(): void {
    this.#together += 1;
    this.mostTogether = Math.max(this.mostTogether, this.#together);
    if (this.heartbeats.length < MAX_HEARTBEATS) this.heartbeats.push(this.#clock.now());
  }

  #end(ending: Ending): void {
    const atMs = this.#clock.now();
    const tell = () =>
      this.#saw(() => {
        this.ending = { ...ending, atMs };
      });
    // What came is read to its end first: the farewell may be in it.
    if (this.#decoder === undefined || this.#decoder.destroyed) tell();
    else this.#decoder.once('close', tell).end();
  }

  #saw(change?: () => void): void {
    change?.();
    for (const watcher of [...this.#watchers]) watcher();
  }
}
