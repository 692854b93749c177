import type { PublicationRecord } from './record.ts';

const OPENING =
  /^retry: \d+\nid: \w+\.\d+\nevent: sidestream\.open\ndata: \{"connection":"[^"\n]+","channels":\[[^\n]*\]\}\n\n$/;
const CLOSING = /^retry: (\d+)\nevent: sidestream\.close\ndata: \{"reason":"draining","retry":(\d+)\}\n\n$/;
/** May stand between events: it is also what gets the rest out of uWebSockets.js when a reader has caught up. */
const HEARTBEAT = ':\n\n';
const [COLON, RETRY, LF] = Buffer.from(':r\n');

type Part = 'opening' | 'event' | 'id' | 'frame' | 'heartbeat' | 'closing';

/**
 * What a stream's body must be, to the byte: the opening, every publication of its channels, the farewell; between two of
 * them nothing but heartbeats.
 */
export class ExpectedBody {
  readonly #record: PublicationRecord;
  /** The channels' letters. */
  readonly #channels: string;
  #part: Part = 'opening';
  /** What has come of a part that is looked at when it is complete. */
  #text = '';
  #frame: Buffer = Buffer.alloc(0);
  #at = 0;
  #next = 0;
  #position = 0;

  constructor(record: PublicationRecord, channels: string) {
    this.#record = record;
    this.#channels = channels;
  }

  get isOpen(): boolean {
    return this.#part !== 'opening';
  }

  /** Whether everything that has been published is there. */
  get isComplete(): boolean {
    return this.#part === 'event' && this.#record.find(this.#channels, this.#next) === undefined;
  }

  /** @throws Error at the first byte that must not be there */
  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = this.#part === 'frame' ? this.#compare(bytes.subarray(at)) : this.#step(bytes[at] ?? 0);
      at += taken;
      this.#position += taken;
    }
  }

  /** @throws Error where the stream may not end here */
  end(): void {
    const [, line, data] = CLOSING.exec(this.#text) ?? [];
    if (this.#part !== 'closing' || line === undefined || line !== data)
      this.#fail(`an end in ${this.#part} ${JSON.stringify(this.#text)}`);
    const missing = this.#record.find(this.#channels, this.#next);
    if (missing !== undefined) this.#fail(`no publication ${missing}`);
  }

  #step(byte: number): number {
    if (this.#part === 'event') this.#begin(byte);
    this.#text += String.fromCharCode(byte);
    if (this.#part === 'opening' && this.#text.endsWith('}\n\n')) {
      if (!OPENING.test(this.#text)) this.#fail(`the opening ${JSON.stringify(this.#text)}`);
      this.#part = 'event';
    }
    if (this.#part === 'heartbeat') {
      if (!HEARTBEAT.startsWith(this.#text)) this.#fail(`the comment ${JSON.stringify(this.#text)}`);
      if (this.#text === HEARTBEAT) this.#part = 'event';
    }
    if (this.#part === 'id' && byte === LF) this.#beginFrame();
    return 1;
  }

  #begin(byte: number): void {
    this.#text = '';
    if (byte === COLON) this.#part = 'heartbeat';
    else this.#part = byte === RETRY ? 'closing' : 'id';
  }

  // The line has been taken already; that it is the right one is seen here, the rest byte by byte.
  #beginFrame(): void {
    const index = this.#record.find(this.#channels, this.#next);
    if (index === undefined) this.#fail(`an event that nobody published: ${this.#text}`);
    this.#record.learn(this.#text, index);
    this.#frame = this.#record.frame(index);
    this.#at = this.#text.length;
    if (this.#frame.toString('latin1', 0, this.#at) !== this.#text)
      this.#fail(`${JSON.stringify(this.#text)} where publication ${index} belongs`);
    this.#next = index + 1;
    this.#part = 'frame';
  }

  #compare(bytes: Buffer): number {
    const length = Math.min(bytes.length, this.#frame.length - this.#at);
    const wanted = this.#frame.subarray(this.#at, this.#at + length);
    if (!bytes.subarray(0, length).equals(wanted)) {
      const n = wanted.findIndex((byte, index) => byte !== bytes[index]);
      const near = bytes.toString('latin1', n, Math.min(length, n + 60));
      this.#fail(`${JSON.stringify(near)} ${this.#at + n} bytes into publication ${this.#next - 1}`);
    }
    this.#at += length;
    if (this.#at === this.#frame.length) this.#part = 'event';
    return length;
  }

  #fail(what: string): never {
    throw new Error(`${this.#position} bytes into the body: ${what}`);
  }
}
