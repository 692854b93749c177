import type { HttpResponse } from '../../src/http/uws.ts';

/** What uWebSockets.js 20.51 gathers in one cork without losing any. */
const CORK_BYTES = 16 * 1024;

/**
 * uWebSockets.js's response as a connection uses it, with its traps made loud: it throws where it is touched after its
 * end, written to while the socket is full or outside a cork, given an empty chunk (which would end it), ended by a call
 * that breaks the chunks, or left alone when it is writable again (then what it still holds would stay stuck).
 */
export class FakeResponse {
  /** All bytes written, in order. */
  readonly chunks: Buffer[] = [];
  readonly head: string[] = [];
  isEnded = false;
  /** Bytes of a whole body that the socket takes before it is full. */
  room = Infinity;
  isFull = false;
  /** Whether the connection under it was closed without an orderly end. */
  cutOff = false;
  /** Times that it was paused and resumed: what sets the time anew after which the socket would be given up. */
  rewinds = 0;
  #corks = 0;
  /** Bytes in this cork, each chunk with its size and line breaks. */
  #corked = 0;
  #isPaused = false;
  #answers: boolean[];
  /** Of a whole body, and how long that is said to be. */
  #offset = 0;
  #total: number | undefined;
  #onWritable: (() => boolean) | undefined;
  #onAborted: (() => void) | undefined;

  /** `answers`: what the next writes return; true once they are used up. */
  constructor(answers: readonly boolean[] = []) {
    this.#answers = [...answers];
  }

  /** As the type that a connection takes. */
  get asResponse(): HttpResponse {
    return this as unknown as HttpResponse;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  writeStatus(status: string): this {
    this.#touch('writeStatus');
    this.head.push(status);
    return this;
  }

  writeHeader(name: string, value: string): this {
    this.#touch('writeHeader');
    this.head.push(`${name}: ${value}`);
    return this;
  }

  write(chunk: Uint8Array | string): boolean {
    this.#touch('write');
    if (this.isFull) throw new Error('written to while the socket is full');
    if (this.#corks === 0) throw new Error('written to outside a cork');
    if (chunk.length === 0) throw new Error('an empty chunk ends the response');
    this.#corked += chunk.length + chunk.length.toString(16).length + 4;
    if (this.#corked > CORK_BYTES)
      throw new Error('more than a cork holds: it would be lost where the socket is full');
    this.chunks.push(Buffer.from(chunk));
    const taken = this.#answers.shift() ?? true;
    this.isFull = !taken;
    return taken;
  }

  cork(callback: () => void): this {
    this.#touch('cork');
    if (this.#corks === 0) this.#corked = 0;
    this.#corks += 1;
    callback();
    this.#corks -= 1;
    return this;
  }

  end(body?: string, closeConnection = false): this {
    this.#touch('end');
    if (closeConnection && this.chunks.length > 0)
      throw new Error('a header would be written between two chunks');
    if (body !== undefined) this.chunks.push(Buffer.from(body));
    this.isEnded = true;
    return this;
  }

  /** Takes what there is room for, and keeps nothing of the rest. */
  tryEnd(piece: Uint8Array, total: number): [ok: boolean, hasResponded: boolean] {
    this.#touch('tryEnd');
    if (this.isFull) throw new Error('written to while the socket is full');
    if (this.#corks === 0) throw new Error('written to outside a cork');
    this.#total ??= total;
    if (this.#total !== total) throw new Error('the length was another before');
    if (this.#offset + piece.length > total) throw new Error('more than was said');
    const taken = piece.subarray(0, this.room);
    this.room -= taken.length;
    this.#offset += taken.length;
    this.chunks.push(Buffer.from(taken));
    this.isFull = taken.length < piece.length;
    this.isEnded = this.#offset === total;
    return [!this.isFull, this.isEnded];
  }

  getWriteOffset(): number {
    this.#touch('getWriteOffset');
    return this.#offset;
  }

  close(): this {
    this.#touch('close');
    this.isEnded = true;
    this.cutOff = true;
    // uWebSockets.js tells of it as of any other closed connection.
    this.#onAborted?.();
    return this;
  }

  onWritable(handler: () => boolean): this {
    this.#touch('onWritable');
    this.#onWritable = handler;
    return this;
  }

  onAborted(handler: () => void): this {
    this.#touch('onAborted');
    this.#onAborted = handler;
    return this;
  }

  pause(): this {
    this.#touch('pause');
    this.#isPaused = true;
    return this;
  }

  resume(): this {
    this.#touch('resume');
    if (!this.#isPaused) throw new Error('resumed while not paused');
    this.#isPaused = false;
    this.rewinds += 1;
    return this;
  }

  /** Runs what uWebSockets.js would run as a request's handler: corked. */
  handle(handler: () => void): void {
    this.cork(handler);
  }

  /** What the next writes return. */
  answer(...answers: boolean[]): void {
    this.#answers = answers;
  }

  /** The socket has room again. */
  becomeWritable(): void {
    if (this.isEnded || !this.isFull) return;
    this.isFull = false;
    const written = this.chunks.length;
    this.#onWritable?.();
    if (this.chunks.length === written && !this.isEnded)
      throw new Error('nothing was written: the held bytes stay stuck');
  }

  /** The client goes. */
  becomeAborted(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#onAborted?.();
  }

  #touch(call: string): void {
    if (this.isEnded) throw new Error(`${call} after the end`);
  }
}
