import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { Whole } from '../protocol/rendering.ts';
import type { HttpResponse } from './uws.ts';
import type { Debtor, Waiting } from './waiting.ts';

export interface ReplyOptions {
  readonly res: HttpResponse;
  /** Cut off where all that waits together is too much. */
  readonly owner: Debtor;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly waiting: Waiting;
  /** Called where the reader fell behind, once it has taken everything. Nothing of the response may be touched any more. */
  taken(): void;
}

/** Below it pieces are joined: another call costs more than copying them. What uWebSockets.js gathers in one cork. */
const JOINED_BYTES = 16 * 1024;

/**
 * One whole body on its way to a socket. `tryEnd` keeps nothing in uWebSockets.js of what the socket does not take, but for what
 * one cork gathers: the rest is asked for again when there is room (both 20.51 and 20.69, in pieces as well). What waits here
 * is counted as for a stream, and what others have as well is counted once.
 */
export class PollReply {
  readonly #options: ReplyOptions;
  readonly #pieces: readonly Uint8Array[];
  readonly #shared: Whole['shared'];
  readonly #totalBytes: number;
  #next = 0;
  /** Bytes of the pieces before that one. */
  #passedBytes = 0;
  /** What the socket has not taken. */
  #leftBytes = 0;
  #ownBytes = 0;
  /** When the reader fell behind; absent while it has not, and once it has taken everything. */
  #behindSinceMs: number | undefined;

  constructor(options: ReplyOptions, { head, shared, tail }: Whole) {
    this.#options = options;
    const pieces = [head, ...(shared === undefined ? [] : [shared.bytes]), tail];
    this.#totalBytes = pieces.reduce((sum, { length }) => sum + length, 0);
    const isSmall = this.#totalBytes <= JOINED_BYTES;
    this.#pieces = isSmall ? [Buffer.concat(pieces)] : pieces;
    this.#shared = isSmall ? undefined : shared;
  }

  /** Of the body, in bytes. */
  get length(): number {
    return this.#totalBytes;
  }

  /** What the reader has still to take. */
  get waitingBytes(): number {
    return this.#leftBytes;
  }

  /** Since when the reader is behind, by the clock that only grows. */
  get behindSinceMs(): number | undefined {
    return this.#behindSinceMs;
  }

  /** Sends the body behind a head that was written; to be called corked. True where all of it is on its way. */
  begin(): boolean {
    if (this.#write()) return true;
    this.#fallBehind();
    return false;
  }

  /** Sets uWebSockets.js's own clock for a reader that is behind anew. */
  rewind(): void {
    this.#options.res.pause();
    this.#options.res.resume();
  }

  /** Lets go of what waits; the response is not touched. */
  release(): void {
    if (this.#behindSinceMs === undefined) return;
    const { owner, metrics, waiting } = this.#options;
    this.#behindSinceMs = undefined;
    metrics.slowConnections -= 1;
    this.#count(0);
    waiting.freed(this.#ownBytes);
    if (this.#shared !== undefined) waiting.released(this.#shared);
    waiting.left(owner);
  }

  #write(): boolean {
    const { res, metrics } = this.#options;
    for (let piece = this.#pieces[this.#next]; piece !== undefined; piece = this.#pieces[this.#next]) {
      const before = res.getWriteOffset();
      const rest = piece.subarray(before - this.#passedBytes);
      const [isTaken, isDone] = res.tryEnd(rest, this.#totalBytes);
      if (isDone) metrics.sentBytes += this.#totalBytes - before;
      if (isDone) return true;
      metrics.sentBytes += res.getWriteOffset() - before;
      if (!isTaken) return false;
      this.#next += 1;
      this.#passedBytes += piece.length;
    }
    return false;
  }

  #fallBehind(): void {
    const { res, owner, clock, metrics, waiting } = this.#options;
    this.#behindSinceMs = clock.now();
    this.#ownBytes = this.#totalBytes - (this.#shared?.bytes.length ?? 0);
    metrics.slowConnections += 1;
    this.#count(this.#totalBytes - res.getWriteOffset());
    waiting.taken(this.#ownBytes);
    if (this.#shared !== undefined) waiting.held(this.#shared);
    waiting.joined(owner);
    res.onWritable(() => this.#onWritable());
  }

  #onWritable(): boolean {
    const { res, taken } = this.#options;
    let isDone = false;
    res.cork(() => {
      isDone = this.#write();
    });
    if (isDone) {
      this.release();
      taken();
    } else this.#count(this.#totalBytes - res.getWriteOffset());
    return true;
  }

  #count(leftBytes: number): void {
    this.#options.metrics.pendingBytes += leftBytes - this.#leftBytes;
    this.#leftBytes = leftBytes;
  }
}
