/** One event as a browser would dispatch it. WHATWG HTML 9.2.6. */
export interface ReceivedEvent {
  /** `message` where the stream named none. */
  readonly event: string;
  /** The `data:` lines, joined by LF. */
  readonly data: string;
  /** `lastEventId`: the newest `id:` of the stream, not necessarily of this event. */
  readonly id: string;
  /** Milliseconds, where a `retry:` stood in this event's block. */
  readonly retry?: number;
}

/**
 * An event stream read as WHATWG HTML 9.2.5 and 9.2.6 say, sentence by sentence, and apart from `src/protocol/sse.ts`:
 * neither may be mended to suit the other. Stricter than a browser in one thing: bytes that are not UTF-8 throw.
 */
export class EventStreamParser {
  readonly events: ReceivedEvent[] = [];
  /** What followed the colon of each comment line. */
  readonly comments: string[] = [];
  /** Names of fields that the standard has no meaning for, and would ignore. */
  readonly unknownFields: string[] = [];
  /** The newest valid `retry:`, in milliseconds; a browser keeps it even where no event was dispatched. */
  retryMs: number | undefined;
  // Takes a BOM off the start of the stream, once (9.2.5).
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #line = '';
  #endedInCr = false;
  #data = '';
  #eventType = '';
  #idBuffer = '';
  #lastEventId = '';
  #retryOfBlock: number | undefined;

  /** The cursor that a browser would send as `Last-Event-ID`. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** Whether the stream stands between two blocks: nothing was begun that an end here would lose. */
  get isBetweenEvents(): boolean {
    return (
      this.#line === '' && this.#data === '' && this.#eventType === '' && this.#idBuffer === this.#lastEventId
    );
  }

  /** Takes the next bytes, cut anywhere. @throws TypeError where they are not UTF-8 */
  push(bytes: Uint8Array): void {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return;
    // CRLF is one line end, also where it was cut in two.
    if (this.#endedInCr && text.startsWith('\n')) text = text.slice(1);
    this.#endedInCr = text.endsWith('\r');
    const [first = '', ...rest] = text.split(/\r\n|\n|\r/);
    this.#line += first;
    for (const piece of rest) {
      this.#endLine(this.#line);
      this.#line = piece;
    }
  }

  // "Lines must be processed, in the order they are received, as follows".
  #endLine(line: string): void {
    const colon = line.indexOf(':');
    if (line === '') this.#dispatch();
    else if (colon === 0) this.comments.push(line.slice(1));
    else if (colon < 0) this.#field(line, '');
    else this.#field(line.slice(0, colon), line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1));
  }

  // "The steps to process the field given a field name and a field value".
  #field(name: string, value: string): void {
    switch (name) {
      case 'event':
        this.#eventType = value;
        return;
      case 'data':
        this.#data += `${value}\n`;
        return;
      case 'id':
        if (!value.includes('\0')) this.#idBuffer = value;
        return;
      case 'retry':
        if (!/^[0-9]+$/.test(value)) return;
        this.#retryOfBlock = Number(value);
        this.retryMs = this.#retryOfBlock;
        return;
      default:
        this.unknownFields.push(name);
    }
  }

  // "When the user agent is required to dispatch the event".
  #dispatch(): void {
    this.#lastEventId = this.#idBuffer;
    const [data, event, retry] = [this.#data, this.#eventType, this.#retryOfBlock];
    this.#data = '';
    this.#eventType = '';
    this.#retryOfBlock = undefined;
    if (data === '') return;
    this.events.push({
      event: event === '' ? 'message' : event,
      data: data.slice(0, -1),
      id: this.#lastEventId,
      ...(retry !== undefined && { retry }),
    });
  }
}

/** The events of a whole stream. @throws TypeError where it is not UTF-8 */
export function parseEventStream(bytes: Uint8Array): ReceivedEvent[] {
  const parser = new EventStreamParser();
  parser.push(bytes);
  return parser.events;
}
