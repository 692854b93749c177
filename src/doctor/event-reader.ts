/** Longest line, and longest data of an event, that are kept, in UTF-16 units; of what is longer the rest is passed over. */
const MAX_LENGTH = 64 * 1024;

export interface ReadEvent {
  /** `message` where the stream names none. */
  readonly event: string;
  readonly data: string;
  /** The newest `id:` of the stream. */
  readonly id: string;
}

export interface EventListener {
  event(event: ReadEvent): void;
  /** A comment line: a heartbeat. */
  comment(): void;
  /** `retry:`, in milliseconds. */
  retry(ms: number): void;
}

/**
 * Reads an event stream (WHATWG HTML 9.2.5, 9.2.6) that may be anybody's: whatever comes, memory is bounded and the time grows
 * with what came.
 */
export class EventReader {
  readonly #listener: EventListener;
  readonly #decoder = new TextDecoder();
  #line = '';
  #endedInCr = false;
  #data = '';
  #event = '';
  #id = '';

  constructor(listener: EventListener) {
    this.#listener = listener;
  }

  /** Takes the next bytes, cut anywhere; what is not UTF-8 is read as U+FFFD. */
  push(bytes: Uint8Array): void {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return;
    if (this.#endedInCr && text.startsWith('\n')) text = text.slice(1);
    this.#endedInCr = text.endsWith('\r');
    const [first = '', ...rest] = text.split(/\r\n|\n|\r/);
    this.#extend(first);
    for (const piece of rest) {
      this.#endLine(this.#line);
      this.#line = '';
      this.#extend(piece);
    }
  }

  #extend(piece: string): void {
    this.#line += piece.slice(0, MAX_LENGTH - this.#line.length);
  }

  #endLine(line: string): void {
    const colon = line.indexOf(':');
    if (line === '') this.#dispatch();
    else if (colon === 0) this.#listener.comment();
    else if (colon < 0) this.#field(line, '');
    else this.#field(line.slice(0, colon), line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1));
  }

  #field(name: string, value: string): void {
    if (name === 'event') this.#event = value;
    else if (name === 'data')
      this.#data += `${value}\n`.slice(0, Math.max(0, MAX_LENGTH - this.#data.length));
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'retry' && /^[0-9]{1,15}$/.test(value)) this.#listener.retry(Number(value));
  }

  #dispatch(): void {
    const [event, data] = [this.#event, this.#data];
    this.#event = '';
    this.#data = '';
    if (data === '') return;
    this.#listener.event({
      event: event === '' ? 'message' : event,
      data: data.endsWith('\n') ? data.slice(0, -1) : data,
      id: this.#id,
    });
  }
}
