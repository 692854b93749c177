import type { HttpResponse } from './uws.ts';

/** What came of reading a body: its bytes, or why there are none. */
export type ReadBody = Buffer | 'too-large' | 'aborted';

/**
 * Reads the body of a request. To be made while the request is being handled: what uWebSockets.js has before somebody listens is lost.
 * It keeps no more than `maxBytes`, whatever is sent.
 */
export class Body {
  /** Settles with the last of it, or as soon as it is too much or the request is gone. Never rejects. */
  readonly read: Promise<ReadBody>;
  #settle: (read: ReadBody) => void = () => {};
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(res: HttpResponse, maxBytes: number) {
    this.read = new Promise((resolve) => {
      this.#settle = resolve;
    });
    res.onData((chunk, isLast) => {
      this.#bytes += chunk.byteLength;
      if (this.#bytes > maxBytes) {
        this.#chunks = [];
        this.#settle('too-large');
        return;
      }
      // The chunk is the addon's, and void once this returns.
      this.#chunks.push(Buffer.from(Buffer.from(chunk)));
      if (isLast) this.#settle(Buffer.concat(this.#chunks));
    });
  }

  /** The request is gone. */
  abort(): void {
    this.#settle('aborted');
  }
}
