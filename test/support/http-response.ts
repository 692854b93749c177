/** The head of a response, as it came. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** In the order on the wire, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** The values of a header, in order. */
export function headerValues({ headers }: ResponseHead, name: string): string[] {
  return headers.filter(([other]) => other === name).map(([, value]) => value);
}

export interface ResponseEvents {
  head(head: ResponseHead): void;
  body(bytes: Buffer): void;
  /** The response is complete. */
  end(): void;
}

type State = 'head' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'last-chunk-end' | 'counted' | 'done';

const MAX_HEAD_BYTES = 64 * 1024;

/**
 * Reads one HTTP/1.1 response (RFC 9112) and forgives nothing: not a byte between two chunks, not one behind the last,
 * no body whose end would be the connection's.
 */
export class ResponseReader {
  readonly #events: ResponseEvents;
  readonly #bodyless: boolean;
  #state: State = 'head';
  /** What has been read of a head, a size line or a line end. */
  #line = '';
  #left = 0;

  /** `bodyless`: the request was a HEAD. */
  constructor(events: ResponseEvents, { bodyless = false }: { readonly bodyless?: boolean } = {}) {
    this.#events = events;
    this.#bodyless = bodyless;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** @throws Error where the bytes are not a response, or not one that ends by itself */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'chunk-data' || this.#state === 'counted') {
        const piece = bytes.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        this.#events.body(piece);
        if (this.#left === 0) this.#endOfData();
      } else {
        this.#readByte(String.fromCharCode(bytes[at] ?? 0));
        at += 1;
      }
    }
  }

  #readByte(byte: string): void {
    this.#line += byte;
    switch (this.#state) {
      case 'head':
        if (this.#line.length > MAX_HEAD_BYTES) throw violation('a head without end', this.#line);
        if (this.#line.endsWith('\r\n\r\n')) this.#readHead(this.#takeLine());
        return;
      case 'chunk-size':
        // RFC 9112 7.1: chunk-size is hexadecimal digits; extensions are allowed, but we send none.
        if (!/^[0-9a-fA-F]{1,8}(\r\n?)?$/.test(this.#line)) throw violation('chunk size', this.#line);
        if (this.#line.endsWith('\n')) this.#readChunkSize(this.#takeLine());
        return;
      case 'chunk-end':
      case 'last-chunk-end':
        if (!'\r\n'.startsWith(this.#line)) throw violation('line end behind a chunk', this.#line);
        if (this.#line.length < 2) return;
        this.#takeLine();
        if (this.#state === 'last-chunk-end') this.#finish();
        else this.#state = 'chunk-size';
        return;
      default:
        throw violation('nothing behind the response', this.#line);
    }
  }

  #takeLine(): string {
    const line = this.#line;
    this.#line = '';
    return line;
  }

  #readHead(text: string): void {
    const [statusLine = '', ...lines] = text.slice(0, -4).split('\r\n');
    const [, status, reason] = /^HTTP\/1\.1 (\d{3}) ([ -~]+)$/.exec(statusLine) ?? [];
    if (status === undefined || reason === undefined) throw violation('a status line', statusLine);
    const headers = lines.map((line): [string, string] => {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([ -~]*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) throw violation('a header', line);
      return [name.toLowerCase(), value];
    });
    const head = { status: Number(status), reason, headers };
    this.#events.head(head);
    this.#beginBody(head);
  }

  // RFC 9112 6.3.
  #beginBody(head: ResponseHead): void {
    const [coding] = headerValues(head, 'transfer-encoding');
    const [length] = headerValues(head, 'content-length');
    if (head.status === 204 && (coding ?? length) !== undefined)
      throw violation('204 without a length', `${coding ?? length}`);
    if (this.#bodyless || head.status === 204) this.#finish();
    else if (coding === 'chunked' && length === undefined) this.#state = 'chunk-size';
    else this.#expectBytes(length);
  }

  #expectBytes(length: string | undefined): void {
    if (length === undefined || !/^\d+$/.test(length))
      throw violation('a body with an end', `length ${length}`);
    this.#left = Number(length);
    this.#state = 'counted';
    if (this.#left === 0) this.#finish();
  }

  #readChunkSize(line: string): void {
    this.#left = Number.parseInt(line, 16);
    this.#state = this.#left === 0 ? 'last-chunk-end' : 'chunk-data';
  }

  #endOfData(): void {
    if (this.#state === 'counted') this.#finish();
    else this.#state = 'chunk-end';
  }

  #finish(): void {
    this.#state = 'done';
    this.#events.end();
  }
}

function violation(expected: string, received: string): Error {
  return new Error(`HTTP: expected ${expected}, received ${JSON.stringify(received.slice(-200))}`);
}
