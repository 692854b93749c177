import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { Batch } from '../protocol/batch.ts';
import type { Ending } from '../protocol/coding.ts';
import type { Frame } from '../protocol/frame.ts';
import type { Rendering } from '../protocol/rendering.ts';
import { HEARTBEAT } from '../protocol/sse.ts';
import { Outbox } from './outbox.ts';
import type { HttpResponse } from './uws.ts';
import type { Debtor, Waiting } from './waiting.ts';

/**
 * What uWebSockets.js gathers between two system calls, in one cork. In 20.51 what does not fit beside what was gathered is
 * lost where the socket takes only a part of that: the size of the chunk goes out, its bytes never do. So no cork gets more.
 */
const CORK_BYTES = 16 * 1024;
/** The size of a chunk in hexadecimal, and two line breaks. RFC 9112 7.1. */
const CHUNK_OVERHEAD = 16;
/** What a farewell may need of a cork. */
const FAREWELL_BYTES = 1024;
const NOTHING: readonly Uint8Array[] = [];
const NO_FRAMES: readonly Frame[] = [];

/** Whose response it is. */
export interface WireOwner extends Debtor {
  /** The reader fell behind, or keeps up again. */
  paceChanged(): void;
  /** Everything was written, and the response is about to end in good order. */
  ending(): void;
  /** Whether it may stay behind as long as it reads at all: what it is too slow for is left out. */
  readonly isSpared: boolean;
}

export interface WireOptions {
  readonly res: HttpResponse;
  readonly owner: WireOwner;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly waiting: Waiting;
  /** Absent where the shared bytes go out as they are. */
  readonly rendering: Rendering | undefined;
  /** Bytes that may wait. */
  readonly pendingBytes: number;
  /** Whether the client is told what it was spared. */
  readonly tells: boolean;
}

/**
 * From batches to one socket. As long as it takes everything, batches are written straight through. Once a write returns
 * false, uWebSockets.js holds the rest of it without bound, so nothing more is written until `onWritable`: references to
 * shared frames wait in an {@link Outbox}.
 */
export class Wire {
  readonly #options: WireOptions;
  readonly #res: HttpResponse;
  readonly #rendering: Rendering | undefined;
  readonly #ending: Ending | undefined;
  /** Whole milliseconds: a fraction would be an object of its own at each write. */
  lastWriteMs: number;
  /** When the reader fell behind; where it is spared, when it last took something. */
  behindSinceMs = 0;
  /** Whether what was written last came without its cursor, since it had overtaken what waited. */
  isCursorBehind = false;
  /** What waits while the reader is behind; absent while it keeps up. */
  #outbox: Outbox | undefined;
  /** What of that is counted in `pendingBytes`. */
  #countedBytes = 0;
  /** The last chunk, of which uWebSockets.js holds what the socket did not take. */
  #handedBytes = 0;
  /**
   * Of what waits, what is left of the turn in which the reader fell behind. It does not count against the limit: one event
   * larger than that must not cost a reader its stream who would have taken it a moment later.
   */
  #excusedBytes = 0;
  #listensForWritable = false;
  /** The last events, once they have been said. */
  #farewell: Uint8Array | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
    this.#res = options.res;
    this.#rendering = options.rendering;
    this.#ending = options.rendering?.ending();
    this.lastWriteMs = Math.trunc(options.clock.now());
  }

  get isBehind(): boolean {
    return this.#outbox !== undefined;
  }

  /** Bytes that wait for the reader. */
  get waitingBytes(): number {
    return this.#outbox?.bytes ?? 0;
  }

  /** What comes before all events, if anything. To be called corked, behind the head. */
  begin(): void {
    const preamble = this.#rendering?.preamble;
    if (preamble === undefined) return;
    this.#res.write(preamble);
    this.#options.metrics.sentBytes += preamble.length;
  }

  /** Writes events that are the client's own: before whatever waits, and not held against it alone; the owner may be aborted over it. */
  writeOwn(parts: readonly Uint8Array[]): void {
    if (this.#outbox === undefined) this.#write({ frames: NO_FRAMES, parts, ends: [] });
    else {
      this.#wait(this.#outbox, parts, NO_FRAMES);
      this.#excusedBytes = this.waitingBytes;
    }
    // One reader may be owed more than all of them may hold together.
    this.#options.waiting.relieve();
  }

  /** As {@link writeOwn}, but behind whatever waits, and before whatever comes. */
  writeInOrder(parts: readonly Uint8Array[]): void {
    if (this.#outbox === undefined) this.#write({ frames: NO_FRAMES, parts, ends: [] });
    else if (this.#farewell === undefined) {
      const beforeBytes = this.waitingBytes;
      this.#outbox.pushInOrder(parts);
      this.#count();
      this.#excusedBytes += this.waitingBytes - beforeBytes;
    }
    this.#options.waiting.relieve();
  }

  /** Writes a batch, or keeps it; the owner may be aborted over it. */
  deliver(batch: Batch): void {
    if (this.#outbox === undefined) this.#write(batch);
    else this.#wait(this.#outbox, NOTHING, batch.frames);
    if (this.#outbox !== undefined) this.#holdToBounds(this.#outbox);
  }

  /** Ends the response with these events once all that waits is written. */
  end(events: Uint8Array): void {
    this.#farewell = events;
    if (this.#outbox === undefined) this.#end(events);
  }

  /** Sets uWebSockets.js's own clock for a reader that is behind anew. The socket stays readable throughout. */
  rewind(): void {
    if (this.#outbox === undefined) return;
    // The one call that does so without a write.
    this.#res.pause();
    this.#res.resume();
  }

  /** Lets go of what waits; the response is not touched. */
  release(): void {
    this.#caughtUp();
  }

  // Several writes outside a cork cost several system calls. `cork` wants a function: one for all connections,
  // with its arguments in static fields, so that nothing is allocated per delivery.
  static #corking: Wire;
  static #batch: Batch;
  /** The part that is written now, and what is left of it where it has begun. */
  static #part = 0;
  static #left: Uint8Array | undefined;
  /** What the cork still holds. */
  static #room = 0;
  static readonly #corked = () => Wire.#corking.#writeCorked(Wire.#batch);

  #write(batch: Batch): void {
    Wire.#corking = this;
    Wire.#batch = batch;
    Wire.#part = 0;
    Wire.#left = undefined;
    this.lastWriteMs = Math.trunc(this.#options.clock.now());
    do {
      Wire.#room = CORK_BYTES;
      this.#res.cork(Wire.#corked);
    } while (Wire.#part < batch.parts.length);
  }

  #writeCorked({ frames, parts, ends }: Batch): void {
    for (let part = parts[Wire.#part]; part !== undefined; part = parts[Wire.#part]) {
      const left = this.#writeOut(Wire.#left ?? this.#rendered(part));
      if (this.#handedBytes > 0) {
        const outbox = this.#fallBehind(left);
        if (frames.length === 0) this.#wait(outbox, parts.slice(Wire.#part + 1), NO_FRAMES);
        else this.#wait(outbox, NOTHING, frames.slice(ends[Wire.#part]));
        this.#excusedBytes = outbox.bytes;
        Wire.#part = Infinity;
        return;
      }
      Wire.#left = left;
      if (left !== undefined) return;
      Wire.#part += 1;
    }
  }

  #rendered(events: Uint8Array): Uint8Array {
    const { metrics } = this.#options;
    if (this.#rendering === undefined) {
      metrics.plainBytes += events.length;
      return events;
    }
    const block = this.#rendering.of(events);
    metrics.plainBytes += block.length;
    this.#ending?.add(block);
    return block.bytes;
  }

  /**
   * Writes bytes as they go out; gives what is left where the cork is full, or the socket is: then `#handedBytes` is above 0, and
   * going on would pile up bytes where nobody counts them.
   */
  #writeOut(bytes: Uint8Array): Uint8Array | undefined {
    const room = Wire.#room - CHUNK_OVERHEAD;
    if (bytes.length <= room) {
      this.#writeChunk(bytes);
      return undefined;
    }
    // A larger one begins with a cork of its own.
    if (Wire.#room < CORK_BYTES) return bytes;
    this.#writeChunk(bytes.subarray(0, room));
    return bytes.subarray(room);
  }

  #writeChunk(chunk: Uint8Array): void {
    Wire.#room -= chunk.length + CHUNK_OVERHEAD;
    this.#options.metrics.sentBytes += chunk.length;
    // False: taken, but not by the socket.
    if (this.#res.write(chunk)) return;
    this.#handedBytes = chunk.length;
    this.#options.waiting.taken(chunk.length);
  }

  #fallBehind(rest: Uint8Array | undefined): Outbox {
    const { clock, metrics, waiting, owner, tells } = this.#options;
    const outbox = new Outbox(waiting, tells);
    this.#outbox = outbox;
    if (rest !== undefined) outbox.unshift(rest);
    metrics.slowConnections += 1;
    waiting.joined(owner);
    this.behindSinceMs = clock.now();
    if (!this.#listensForWritable) {
      this.#listensForWritable = true;
      this.#res.onWritable(() => this.#onWritable());
    }
    owner.paceChanged();
    return outbox;
  }

  /** Keeps what cannot be written now. */
  #wait(outbox: Outbox, parts: readonly Uint8Array[], frames: readonly Frame[]): void {
    if (this.#farewell !== undefined) return;
    outbox.pushFirst(parts);
    for (const frame of frames) outbox.push(frame);
    this.#count();
  }

  #holdToBounds(outbox: Outbox): void {
    const { owner, waiting, pendingBytes } = this.#options;
    const limit = pendingBytes + this.#excusedBytes;
    if (outbox.bytes > limit) {
      outbox.drop(limit);
      this.#count();
      if (outbox.bytes > limit) owner.abort('slow');
    }
    waiting.relieve();
  }

  /** Tells the metrics what waits, and forgets of what was excused as much as has gone. */
  #count(): void {
    const bytes = this.waitingBytes;
    const gone = this.#countedBytes - bytes;
    if (gone > 0) this.#excusedBytes = Math.max(0, this.#excusedBytes - gone);
    this.#options.metrics.pendingBytes -= gone;
    this.#countedBytes = bytes;
  }

  #onWritable(): boolean {
    const nowMs = this.#options.clock.now();
    this.#takeBack();
    this.lastWriteMs = Math.trunc(nowMs);
    if (this.#options.owner.isSpared) this.behindSinceMs = nowMs;
    let isFull = true;
    while (isFull && this.#handedBytes === 0) {
      Wire.#room = CORK_BYTES;
      this.#res.cork(() => {
        isFull = this.#drain(this.#outbox);
      });
    }
    // What was shared may be one connection's own now.
    this.#options.waiting.relieve();
    return true;
  }

  /** Writes what waits; whether the cork is full, and another is needed. */
  #drain(outbox: Outbox | undefined): boolean {
    for (let next = outbox?.next(); next !== undefined; next = outbox?.next()) {
      const left = this.#writeOut(next.isRest ? next.bytes : this.#rendered(next.bytes));
      if (left !== undefined) outbox?.unshift(left);
      this.#count();
      if (this.#handedBytes > 0) return false;
      if (left !== undefined) return true;
    }
    if (this.#farewell !== undefined && outbox !== undefined) {
      if (Wire.#room < FAREWELL_BYTES) return true;
      this.#end(this.#farewell);
      return false;
    }
    // With nothing to say something must be written: uWebSockets.js sends what it still holds only then. It may hold
    // something of a cork that was ended, and of which nothing more was heard.
    if (Wire.#room === CORK_BYTES) this.#writeChunk(this.#rendered(HEARTBEAT));
    if (this.#handedBytes === 0) this.#caughtUp();
    // Called for nothing: it was not behind, and is now.
    else if (outbox === undefined) this.#fallBehind(undefined);
    return false;
  }

  /** uWebSockets.js holds nothing any more. */
  #takeBack(): void {
    this.#options.waiting.freed(this.#handedBytes);
    this.#handedBytes = 0;
  }

  #caughtUp(): void {
    const outbox = this.#outbox;
    if (outbox === undefined) return;
    const { metrics, waiting, owner } = this.#options;
    this.isCursorBehind ||= outbox.isCursorBehind;
    outbox.clear();
    this.#count();
    this.#takeBack();
    this.#outbox = undefined;
    this.#excusedBytes = 0;
    metrics.slowConnections -= 1;
    waiting.left(owner);
    owner.paceChanged();
  }

  #end(events: Uint8Array): void {
    const block = this.#rendered(events);
    const last = this.#ending?.bytes();
    // One write: the socket may be full behind the first.
    const bytes = last === undefined ? block : Buffer.concat([block, last]);
    this.#options.metrics.sentBytes += bytes.length;
    this.#options.owner.ending();
    this.#res.cork(() => {
      this.#res.write(bytes);
      // Not `end(…, true)`: after a write it puts `Connection: close` between two chunks, and the response is broken.
      this.#res.end();
    });
  }
}
