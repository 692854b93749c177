import type { Form } from './form.ts';
import type { PublicationRecord } from './record.ts';

const LF = 10;
/** That of two channels is half as long. */
const LONGEST_OPENING = 600;

/** `between`: of what comes next it is not yet clear which it is. */
type Part = 'opening' | 'between' | 'cursor' | 'event' | 'closing';

/**
 * What a stream's body must be, to the byte: the opening, every publication of its channels, the farewell; between two of
 * them nothing but heartbeats.
 */
export class ExpectedBody {
  readonly #record: PublicationRecord;
  /** The channels' letters. */
  readonly #channels: string;
  readonly #form: Form;
  #part: Part = 'opening';
  /** What has come of a part that is looked at when it is complete. */
  #text = '';
  #event: Buffer = Buffer.alloc(0);
  #at = 0;
  #next = 0;
  #position = 0;

  constructor(record: PublicationRecord, channels: string, form: Form) {
    this.#record = record;
    this.#channels = channels;
    this.#form = form;
  }

  get isOpen(): boolean {
    return this.#part !== 'opening';
  }

  /** Whether everything that has been published is there. */
  get isComplete(): boolean {
    return (
      this.#part === 'between' &&
      this.#text === '' &&
      this.#record.find(this.#channels, this.#next) === undefined
    );
  }

  /** @throws Error at the first byte that must not be there */
  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = this.#part === 'event' ? this.#compare(bytes.subarray(at)) : this.#step(bytes[at] ?? 0);
      at += taken;
      this.#position += taken;
    }
  }

  /** @throws Error where the stream may not end here */
  end(): void {
    const [, one, other] = this.#form.closing.exec(this.#text) ?? [];
    if (this.#part !== 'closing' || one === undefined || one !== other)
      this.#fail(`an end in ${this.#part} ${JSON.stringify(this.#text)}`);
    const missing = this.#record.find(this.#channels, this.#next);
    if (missing !== undefined) this.#fail(`no publication ${missing}`);
  }

  #step(byte: number): number {
    this.#text += String.fromCharCode(byte);
    const { opening, endOfCursor } = this.#form;
    if (this.#part === 'between') this.#recognise();
    else if (this.#part === 'opening' && byte === LF) {
      if (opening.test(this.#text)) this.#pass();
      else if (this.#text.length > LONGEST_OPENING) this.#fail(`the opening ${JSON.stringify(this.#text)}`);
    } else if (this.#part === 'cursor' && this.#text.endsWith(endOfCursor)) this.#beginEvent();
    return 1;
  }

  #recognise(): void {
    const { event, heartbeat, closing } = this.#form.begins;
    if (this.#text === heartbeat) this.#pass();
    else if (this.#text === event) this.#part = 'cursor';
    else if (this.#text === closing) this.#part = 'closing';
    else if (![event, heartbeat, closing].some((whole) => whole.startsWith(this.#text)))
      this.#fail(`${JSON.stringify(this.#text)} between two events`);
  }

  #pass(): void {
    this.#part = 'between';
    this.#text = '';
  }

  // The cursor has been taken already; that it is the right one is seen here, the rest byte by byte.
  #beginEvent(): void {
    const index = this.#record.find(this.#channels, this.#next);
    if (index === undefined) this.#fail(`an event that nobody published: ${this.#text}`);
    this.#record.learn(this.#form.cursor.exec(this.#text), index);
    this.#event = this.#form.event(this.#record.cursor(index), this.#record.payload(index));
    this.#at = this.#text.length;
    if (this.#event.toString('latin1', 0, this.#at) !== this.#text)
      this.#fail(`${JSON.stringify(this.#text)} where publication ${index} belongs`);
    this.#next = index + 1;
    this.#part = 'event';
  }

  #compare(bytes: Buffer): number {
    const length = Math.min(bytes.length, this.#event.length - this.#at);
    const wanted = this.#event.subarray(this.#at, this.#at + length);
    if (!bytes.subarray(0, length).equals(wanted)) {
      const n = wanted.findIndex((byte, index) => byte !== bytes[index]);
      const near = bytes.toString('latin1', n, Math.min(length, n + 60));
      this.#fail(`${JSON.stringify(near)} ${this.#at + n} bytes into publication ${this.#next - 1}`);
    }
    this.#at += length;
    if (this.#at === this.#event.length) this.#pass();
    return length;
  }

  #fail(what: string): never {
    throw new Error(`${this.#position} bytes into the body: ${what}`);
  }
}
