import { randomUUID } from 'node:crypto';
import type { Identity } from '../auth/identity.ts';
import { type Clock, type Due, jitter, TICK_MS, Timer, type TimerWheel } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Channel } from '../hub/channel.ts';
import type { Hub } from '../hub/hub.ts';
import type { View } from '../hub/log.ts';
import type { Recovery } from '../hub/recovery.ts';
import type { Subscriber } from '../hub/subscriber.ts';
import type { Logger } from '../log.ts';
import type { Ending, Metrics } from '../metrics.ts';
import type { Batch } from '../protocol/frame.ts';
import { encodeControl, encodeCursor, HEARTBEAT, retryLine } from '../protocol/sse.ts';
import type { CloseReason } from '../reasons.ts';
import type { Retry } from './retry.ts';
import type { HttpResponse } from './uws.ts';

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly hub: Hub;
  readonly metrics: Metrics;
  readonly retry: Retry;
  readonly log: Logger;
  readonly sse: Config['sse'];
  readonly limits: Config['limits'];
  /** Called once when the stream has ended, by whatever path. */
  ended(connection: Connection, ending: Ending): void;
}

/** Who is at the other end. */
export interface Client {
  /** Empty where nothing needs it. */
  readonly address: string;
  /** Absent where no token was brought. */
  readonly identity: Identity | undefined;
}

/** The part of `heartbeat` and `maxAge` by which they vary, so that connections of one moment do not act in one moment. */
const SPREAD = 0.1;
/**
 * uWebSockets.js cuts off a socket 10 s after a write that did not go through (HTTP_TIMEOUT_S, counted in steps of 4 s).
 * How long a reader may stall is for `limits.stalled` to say, so that clock is wound up again this often.
 */
const REWIND_MS = 5000;
/** Who has no right to the stream any more, or was put out, does not keep it by reading slowly. */
const PROMPT: ReadonlySet<CloseReason> = new Set<CloseReason>(['revoked', 'expired', 'disconnected']);
/** How long such a reader has for what waits and its farewell; with what the wheel is late, within a second. */
const PROMPT_MS = 1000 - TICK_MS;

/**
 * One open response and its backpressure.
 *
 * As long as the socket takes everything, batches are written straight through. Once a write returns false,
 * uWebSockets.js holds the rest of it without bound, so nothing more is written until `onWritable`: references to
 * shared chunks wait here, bounded by `limits.pending` in bytes and `limits.stalled` in time.
 */
export class Connection implements Subscriber, Due {
  readonly id = randomUUID();
  readonly client: Client;
  readonly channels: Channel[] = [];
  view: View | undefined;
  /** Its way to what is live, until it is there. */
  recovery: Recovery | undefined;
  readonly #res: HttpResponse;
  readonly #context: ConnectionContext;
  readonly #timer = new Timer(this);
  readonly #heartbeatMs: number;
  readonly #endsMs: number;
  readonly #endReason: CloseReason;
  #lastWriteMs: number;
  #open = true;
  /** Whether the client was told what it is on; before, it is given nothing. */
  #greeted = false;
  /** How far the logs had got when the client was last told its cursor. */
  #progress = 0;
  /** Chunks that wait while the reader is behind; absent while it keeps up. */
  #waiting: Uint8Array[] | undefined;
  #waitingBytes = 0;
  /**
   * Those of them that are left of the turn in which the reader fell behind. They do not count against the limit: one
   * event larger than it must not cost a reader its stream who would have taken it a moment later.
   */
  #excusedBytes = 0;
  #behindSinceMs = 0;
  #listensForWritable = false;
  /** Why the stream ends once what waits has been written. */
  #farewell: CloseReason | undefined;
  /** When it is cut off if its farewell has not been taken by then. */
  #cutOffMs = Infinity;

  constructor(res: HttpResponse, client: Client, context: ConnectionContext) {
    const { clock, sse } = context;
    this.#res = res;
    this.#context = context;
    this.client = client;
    this.#lastWriteMs = clock.now();
    this.#heartbeatMs = sse.heartbeatMs === 0 ? Infinity : sse.heartbeatMs * jitter(clock, 1 - SPREAD, 1);
    const oldestMs = sse.maxAgeMs === 0 ? Infinity : sse.maxAgeMs * jitter(clock, 1 - SPREAD, 1);
    const expiresInMs = (client.identity?.expiresAtMs ?? Infinity) - clock.wall();
    this.#endsMs = clock.now() + Math.min(oldestMs, expiresInMs);
    this.#endReason = expiresInMs <= oldestMs ? 'expired' : 'max-age';
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Bytes that wait here for a reader that is behind. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Starts the timers. The head and `retry:` have been written. */
  begin(): void {
    this.#schedule(this.#context.clock.now());
  }

  /** Makes what is delivered from here on follow `greeting`, which is made of this very moment. */
  greet(greeting: () => readonly Uint8Array[]): void {
    const { hub } = this.#context;
    if (!this.#open || this.#farewell !== undefined || this.#greeted) return;
    // What waits from this turn was published before.
    hub.flush();
    const chunks = greeting();
    this.#greeted = true;
    this.recovery = undefined;
    this.#progress = hub.progress(this.channels);
    if (this.#waiting === undefined) this.#write(chunks);
    else {
      this.#wait(chunks);
      this.#excusedBytes = this.#waitingBytes;
    }
  }

  deliver(batch: Batch): void {
    if (!this.#open || !this.#greeted) return;
    if (this.#waiting === undefined) this.#write(batch.chunks);
    else this.#wait(batch.chunks);
    if (this.#waitingBytes - this.#excusedBytes > this.#context.limits.pendingBytes) this.abort('slow');
  }

  /**
   * Ends the stream in good order: what waits, `retry:`, `sidestream.close`. `retryMs` as given, else jittered. A reader
   * that is behind has until `limits.stalled`; where it has no right to the stream any more, a second.
   */
  close(reason: CloseReason, retryMs: number = this.#context.retry.next()): void {
    if (!this.#open) return;
    if (this.#farewell === undefined) this.#bidFarewell(reason, retryMs);
    if (!this.#open || this.#cutOffMs !== Infinity || !PROMPT.has(reason)) return;
    const nowMs = this.#context.clock.now();
    this.#cutOffMs = nowMs + PROMPT_MS;
    this.#schedule(nowMs);
  }

  #bidFarewell(reason: CloseReason, retryMs: number): void {
    this.#context.hub.flush();
    if (!this.#open) return;
    const event = this.#context.sse.control
      ? encodeControl('sidestream.close', { reason, retry: retryMs })
      : '\n';
    const bytes = Buffer.from(retryLine(retryMs) + event);
    this.#farewell = reason;
    if (this.#waiting !== undefined) this.#waiting.push(bytes);
    else this.#end(bytes, reason);
  }

  /** Cuts the stream off where it stands. */
  abort(ending: Ending): void {
    if (!this.#open) return;
    this.#finish(ending);
    this.#res.close();
  }

  /** The client, or something between, closed it: `res` must not be touched any more. */
  onAborted(): void {
    this.#finish('client');
  }

  onDue(nowMs: number): void {
    if (!this.#open) return;
    if (this.#farewell !== undefined && nowMs >= this.#cutOffMs) {
      this.abort(this.#farewell);
      return;
    }
    if (this.#waiting !== undefined && nowMs - this.#behindSinceMs >= this.#context.limits.stalledMs) {
      this.abort('slow');
      return;
    }
    if (nowMs >= this.#endsMs) {
      this.close(this.#endReason);
      if (!this.#open) return;
    }
    if (this.#waiting !== undefined) {
      // The one call that sets the 10 s anew without a write; the socket stays readable throughout.
      this.#res.pause();
      this.#res.resume();
    }
    if (this.#isQuiet(nowMs)) this.#beat(nowMs);
    this.#schedule(nowMs);
  }

  #isQuiet(nowMs: number): boolean {
    return this.#waiting === undefined && nowMs - this.#lastWriteMs >= this.#heartbeatMs;
  }

  #beat(nowMs: number): void {
    // A cursor must not pass by what waits from this turn; and the logs go on without anything for anybody.
    this.#context.hub.flush();
    if (!this.#open || !this.#isQuiet(nowMs)) return;
    this.#context.metrics.heartbeats += 1;
    this.#write([this.#heartbeat()]);
  }

  /** A sign of life; where the logs went on with nothing for this client, it brings the client's cursor along. */
  #heartbeat(): Uint8Array {
    const { hub, sse } = this.#context;
    if (!this.#greeted || !sse.control) return HEARTBEAT;
    const progress = hub.progress(this.channels);
    if (progress === this.#progress) return HEARTBEAT;
    this.#progress = progress;
    const cursor = hub.cursor(this, this.channels);
    return cursor === '' ? HEARTBEAT : Buffer.from(encodeCursor(cursor));
  }

  // Several writes outside a cork cost several system calls. `cork` wants a function: one for all connections,
  // with its arguments in static fields, so that nothing is allocated per delivery.
  static #corking: Connection;
  static #corkedChunks: readonly Uint8Array[];
  static readonly #corked = () => Connection.#corking.#writeCorked(Connection.#corkedChunks);

  #write(chunks: readonly Uint8Array[]): void {
    Connection.#corking = this;
    Connection.#corkedChunks = chunks;
    this.#res.cork(Connection.#corked);
  }

  #writeCorked(chunks: readonly Uint8Array[]): void {
    const { metrics, clock } = this.#context;
    this.#lastWriteMs = clock.now();
    for (let i = 0; i < chunks.length; i += 1) {
      const chunk = chunks[i];
      if (chunk === undefined) break;
      metrics.sentBytes += chunk.length;
      // False: taken, but the socket is full. Going on would pile up bytes where nobody counts them.
      if (!this.#res.write(chunk)) {
        this.#fallBehind(chunks.slice(i + 1));
        return;
      }
    }
  }

  #fallBehind(rest: Uint8Array[]): void {
    const { clock, metrics } = this.#context;
    metrics.slowConnections += 1;
    this.#waiting = [];
    this.#behindSinceMs = clock.now();
    if (!this.#listensForWritable) {
      this.#listensForWritable = true;
      this.#res.onWritable(() => this.#onWritable());
    }
    this.#schedule(this.#behindSinceMs);
    this.#wait(rest);
    this.#excusedBytes = this.#waitingBytes;
  }

  #wait(chunks: readonly Uint8Array[]): void {
    if (this.#farewell !== undefined) return;
    for (const chunk of chunks) {
      this.#waiting?.push(chunk);
      this.#waitingBytes += chunk.length;
      this.#context.metrics.pendingBytes += chunk.length;
    }
  }

  #onWritable(): boolean {
    if (!this.#open || this.#waiting === undefined) return true;
    this.#res.cork(() => this.#drain());
    return true;
  }

  #drain(): void {
    const { clock, metrics } = this.#context;
    const waiting = this.#waiting ?? [];
    this.#lastWriteMs = clock.now();
    let sent = 0;
    for (;;) {
      // Even with nothing left to say something must be written: uWebSockets.js sends what it still holds only then.
      const chunk = waiting[sent] ?? HEARTBEAT;
      const last = sent >= waiting.length - 1;
      if (last && this.#farewell !== undefined) {
        this.#caughtUp();
        this.#end(chunk, this.#farewell);
        return;
      }
      const taken = this.#res.write(chunk);
      metrics.sentBytes += chunk.length;
      sent += 1;
      if (!taken || last) {
        this.#forget(waiting.splice(0, sent));
        if (taken) this.#caughtUp();
        return;
      }
    }
  }

  #forget(chunks: readonly Uint8Array[]): void {
    for (const { length } of chunks) {
      const counted = Math.min(length, this.#waitingBytes);
      this.#waitingBytes -= counted;
      this.#excusedBytes = Math.max(0, this.#excusedBytes - counted);
      this.#context.metrics.pendingBytes -= counted;
    }
  }

  #caughtUp(): void {
    if (this.#waiting === undefined) return;
    this.#context.metrics.slowConnections -= 1;
    this.#context.metrics.pendingBytes -= this.#waitingBytes;
    this.#waitingBytes = 0;
    this.#excusedBytes = 0;
    this.#waiting = undefined;
    this.#schedule(this.#context.clock.now());
  }

  #end(bytes: Uint8Array, reason: CloseReason): void {
    this.#context.metrics.sentBytes += bytes.length;
    this.#finish(reason);
    this.#res.cork(() => {
      this.#res.write(bytes);
      // Not `end(…, true)`: after a write it puts `Connection: close` between two chunks, and the response is broken.
      this.#res.end();
    });
  }

  #schedule(nowMs: number): void {
    if (!this.#open) return;
    const { limits, wheel } = this.#context;
    const behind = this.#waiting !== undefined;
    const dueMs = Math.min(
      behind
        ? Math.min(this.#behindSinceMs + limits.stalledMs, nowMs + REWIND_MS)
        : this.#lastWriteMs + this.#heartbeatMs,
      this.#farewell === undefined ? this.#endsMs : this.#cutOffMs,
    );
    if (dueMs !== Infinity) wheel.schedule(this.#timer, Math.max(0, dueMs - nowMs));
    else wheel.cancel(this.#timer);
  }

  /** The one place where a stream is given up: everything it held is released, once. */
  #finish(ending: Ending): void {
    if (!this.#open) return;
    this.#open = false;
    this.#caughtUp();
    this.#context.wheel.cancel(this.#timer);
    this.recovery?.cancel();
    this.recovery = undefined;
    for (const channel of this.channels) this.#context.hub.unsubscribe(this, channel);
    this.#context.ended(this, ending);
  }
}
