import { randomUUID } from 'node:crypto';
import type { Identity } from '../auth/identity.ts';
import { type Clock, type Due, jitter, TICK_MS, Timer, type TimerWheel } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Channel, Subscriber } from '../hub/channel.ts';
import type { Hub } from '../hub/hub.ts';
import type { View } from '../hub/log.ts';
import type { Recovery } from '../hub/recovery.ts';
import type { Logger } from '../log.ts';
import type { Ending, Metrics } from '../metrics.ts';
import type { Batch } from '../protocol/batch.ts';
import { GOODBYE } from '../protocol/cursor.ts';
import { idLine } from '../protocol/frame.ts';
import type { Rendering } from '../protocol/rendering.ts';
import { encodeControl, encodeCursor, HEARTBEAT, retryLine } from '../protocol/sse.ts';
import type { CloseReason } from '../reasons.ts';
import type { Retry } from './retry.ts';
import type { HttpResponse } from './uws.ts';
import type { Waiting } from './waiting.ts';
import { Wire, type WireOwner } from './wire.ts';

/** They must not throw. */
export interface StreamWatcher {
  opened(connection: Connection): void;
  /** While it is still on its channels; after `opened`, once. */
  ended(connection: Connection, ending: Ending): void;
}

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly hub: Hub;
  readonly metrics: Metrics;
  readonly retry: Retry;
  readonly waiting: Waiting;
  readonly log: Logger;
  readonly sse: Config['sse'];
  readonly limits: Config['limits'];
  /** Called when the stream is live on these channels, whose first bytes it has been given. */
  joined?(connection: Connection, channels: readonly Channel[]): void;
  /** Told of streams that went live. Absent where nobody is to know. */
  readonly watcher?: StreamWatcher | undefined;
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

interface Goodbye {
  readonly reason: CloseReason;
  readonly retryMs: number;
  readonly isFinal: boolean;
}

/** The part of `heartbeat` and `maxAge` by which they vary, so that connections of one moment do not act in one moment. */
const SPREAD = 0.1;
/**
 * uWebSockets.js cuts off a socket 10 s after a write that did not go through (HTTP_TIMEOUT_S, counted in steps of 4 s).
 * How long a reader may stall is for `limits.stalled` to say, so that clock is wound up again this often.
 */
const REWIND_MS = 5000;
/** Who has no right to the stream any more, or was put out, does not keep it by reading slowly. */
const PROMPT: ReadonlySet<CloseReason> = new Set<CloseReason>([
  'revoked',
  'expired',
  'disconnected',
  'channel-closed',
  'reconfigured',
]);
/** How long such a reader has for what waits and its farewell; with what the wheel is late, within a second. */
const PROMPT_MS = 1000 - TICK_MS;

/**
 * One open response: from its greeting to its end, with its heartbeats, its limits in time, and one release of all it holds.
 * How its bytes get to the socket, and what waits where the reader is behind, is the {@link Wire}'s affair.
 */
export class Connection implements Subscriber, WireOwner, Due {
  readonly id = randomUUID();
  /** Its place among all streams, in the order in which they came; from 1. The `Streams`' to write. */
  ordinal = 0;
  /** Whole seconds since the Unix epoch: a larger number would be an object of its own. */
  readonly openedSeconds: number;
  readonly client: Client;
  readonly channels: Channel[] = [];
  turn = 0;
  view: View | undefined;
  /** Its way to what is live, until it is there. */
  recovery: Recovery | undefined;
  readonly #res: HttpResponse;
  readonly #context: ConnectionContext;
  /** Absent where the shared bytes go out as they are. */
  readonly rendering: Rendering | undefined;
  readonly #wire: Wire;
  readonly #timer = new Timer(this);
  readonly #heartbeatMs: number;
  readonly #endsMs: number;
  readonly #endReason: CloseReason;
  #open = true;
  /** Whether the client was told what it is on; before, it is given nothing. */
  #greeted = false;
  /** How far the logs had got when the client was last told its cursor. */
  #progress = 0;
  /** Who waits for the greeting, or for the end before it. */
  #settling: (() => void)[] | undefined;
  /** Why the stream ends once what waits has been written. */
  #farewell: CloseReason | undefined;
  /** When it is cut off if its farewell has not been taken by then. */
  #cutOffMs = Infinity;

  constructor(res: HttpResponse, client: Client, context: ConnectionContext, rendering?: Rendering) {
    const { clock, sse, metrics, waiting, limits } = context;
    this.#res = res;
    this.rendering = rendering;
    this.#context = context;
    this.client = client;
    this.openedSeconds = Math.trunc(clock.wall() / 1000);
    const [tells, { pendingBytes }] = [sse.control, limits];
    this.#wire = new Wire({ res, owner: this, clock, metrics, waiting, rendering, pendingBytes, tells });
    this.#heartbeatMs = sse.heartbeatMs === 0 ? Infinity : sse.heartbeatMs * jitter(clock, 1 - SPREAD, 1);
    const oldestMs = sse.maxAgeMs === 0 ? Infinity : sse.maxAgeMs * jitter(clock, 1 - SPREAD, 1);
    const expiresInMs = (client.identity?.expiresAtMs ?? Infinity) - clock.wall();
    this.#endsMs = clock.now() + Math.min(oldestMs, expiresInMs);
    this.#endReason = expiresInMs <= oldestMs ? 'expired' : 'max-age';
    this.#countCompressed(1);
  }

  #countCompressed(by: 1 | -1): void {
    const coding = this.rendering?.coding;
    if (coding !== undefined) this.#context.metrics.countCompressed(coding, by);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Whether it was told what it is on, and will be given what comes. */
  get isLive(): boolean {
    return this.#greeted && !this.isEnding;
  }

  /** Whether it has ended, or will once what waits has been written. */
  get isEnding(): boolean {
    return !this.#open || this.#farewell !== undefined;
  }

  /** Calls back when the stream is live, or has ended before: perhaps at once. */
  whenSettled(callback: () => void): void {
    if (this.#greeted || !this.#open) callback();
    else {
      this.#settling ??= [];
      this.#settling.push(callback);
    }
  }

  /** Bytes that wait here for a reader that is behind. */
  get waitingBytes(): number {
    return this.#wire.waitingBytes;
  }

  /** Since when the reader is behind; absent while it keeps up. By the clock that only grows, as is the next. */
  get behindSinceMs(): number | undefined {
    return this.#wire.isBehind ? this.#wire.behindSinceMs : undefined;
  }

  get lastWriteMs(): number {
    return this.#wire.lastWriteMs;
  }

  /** Starts the timers. The head has been written; to be called corked. */
  begin(): void {
    this.#wire.begin();
    this.#schedule(this.#context.clock.now());
  }

  /** Writes events ahead of the greeting. */
  writeFirst(events: string): void {
    this.#wire.writeOwn([Buffer.from(events)]);
  }

  /** Makes what is delivered from here on follow `greeting`, which is made of this very moment. */
  greet(greeting: () => readonly Uint8Array[]): void {
    const { hub } = this.#context;
    if (!this.#open || this.#farewell !== undefined || this.#greeted) return;
    // What waits was published before.
    hub.catchUp(this);
    const parts = greeting();
    this.#greeted = true;
    this.#context.watcher?.opened(this);
    this.recovery = undefined;
    this.#progress = hub.progress(this.channels);
    this.#wire.writeOwn(parts);
    this.#settle();
    this.#context.joined?.(this, this.channels);
  }

  #settle(): void {
    const settling = this.#settling;
    this.#settling = undefined;
    if (settling !== undefined) for (const callback of settling) callback();
  }

  /**
   * Changes what a live stream is on, and tells: what was published before comes before what is told, and what is published from here on
   * behind it. False where the stream is not live, or was ended by its catching up; then nothing was changed.
   */
  change(change: () => readonly Uint8Array[]): boolean {
    const { hub } = this.#context;
    if (!this.isLive) return false;
    hub.catchUp(this);
    if (!this.isLive) return false;
    const before = [...this.channels];
    const parts = change();
    this.#progress = hub.progress(this.channels);
    if (parts.length > 0) this.#wire.writeInOrder(parts);
    const joined = this.channels.filter((channel) => !before.includes(channel));
    if (joined.length > 0) this.#context.joined?.(this, joined);
    return true;
  }

  deliver(batch: Batch): void {
    if (this.#open && this.#greeted) this.#wire.deliver(batch);
  }

  /**
   * Ends the stream in good order: what waits, `retry:`, `sidestream.close`. `retryMs` as given, else jittered. A reader
   * that is behind has until `limits.stalled`; where it has no right to the stream any more, a second. `isFinal`: the client is not to
   * come back by itself.
   */
  close(reason: CloseReason, retryMs = this.#context.retry.next(), { isFinal = false } = {}): void {
    if (!this.#open) return;
    if (this.#farewell === undefined) this.#bidFarewell(reason, retryMs, isFinal);
    if (!this.#open || this.#cutOffMs !== Infinity || !PROMPT.has(reason)) return;
    const nowMs = this.#context.clock.now();
    this.#cutOffMs = nowMs + PROMPT_MS;
    this.#schedule(nowMs);
  }

  #bidFarewell(reason: CloseReason, retryMs: number, isFinal: boolean): void {
    this.#context.hub.catchUp(this);
    if (!this.#open) return;
    const event = closeEvent({ reason, retryMs, isFinal }, this.#context.sse.control);
    this.#farewell = reason;
    this.#wire.end(Buffer.from(retryLine(retryMs) + event));
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

  get isSpared(): boolean {
    return this.channels.every(({ lane }) => lane !== undefined);
  }

  paceChanged(): void {
    this.#schedule(this.#context.clock.now());
  }

  ending(): void {
    if (this.#farewell !== undefined) this.#finish(this.#farewell);
  }

  onDue(nowMs: number): void {
    if (!this.#open) return;
    if (this.#farewell !== undefined && nowMs >= this.#cutOffMs) {
      this.abort(this.#farewell);
      return;
    }
    if (this.#wire.isBehind && nowMs - this.#wire.behindSinceMs >= this.#context.limits.stalledMs) {
      this.abort('slow');
      return;
    }
    if (nowMs >= this.#endsMs) {
      this.close(this.#endReason);
      if (!this.#open) return;
    }
    this.#wire.rewind();
    if (this.#isQuiet(nowMs)) this.#beat(nowMs);
    this.#schedule(nowMs);
  }

  #isQuiet(nowMs: number): boolean {
    return !this.#wire.isBehind && nowMs - this.#wire.lastWriteMs >= this.#heartbeatMs;
  }

  #beat(nowMs: number): void {
    // A cursor must not pass by what waits from this turn; and the logs go on without anything for anybody.
    this.#context.hub.catchUp(this);
    if (!this.#open || !this.#isQuiet(nowMs)) return;
    this.#context.metrics.heartbeats += 1;
    this.#wire.writeOwn([this.#heartbeat()]);
  }

  /** A sign of life; where the logs went on with nothing for this client, it brings the client's cursor along. */
  #heartbeat(): Uint8Array {
    const { hub, sse } = this.#context;
    if (!this.#greeted || !sse.control) return HEARTBEAT;
    const progress = hub.progress(this.channels);
    if (progress === this.#progress && !this.#wire.isCursorBehind) return HEARTBEAT;
    this.#progress = progress;
    this.#wire.isCursorBehind = false;
    const cursor = hub.cursor(this);
    return cursor === '' ? HEARTBEAT : Buffer.from(encodeCursor(cursor));
  }

  #schedule(nowMs: number): void {
    if (!this.#open) return;
    const { limits, wheel } = this.#context;
    const { isBehind, behindSinceMs, lastWriteMs } = this.#wire;
    const dueMs = Math.min(
      isBehind
        ? Math.min(behindSinceMs + limits.stalledMs, nowMs + REWIND_MS)
        : lastWriteMs + this.#heartbeatMs,
      this.#farewell === undefined ? this.#endsMs : this.#cutOffMs,
    );
    if (dueMs !== Infinity) wheel.schedule(this.#timer, Math.max(0, dueMs - nowMs));
    else wheel.cancel(this.#timer);
  }

  /** The one place where a stream is given up: everything it held is released, once. */
  #finish(ending: Ending): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#greeted) this.#context.watcher?.ended(this, ending);
    this.#wire.release();
    this.#countCompressed(-1);
    this.#context.wheel.cancel(this.#timer);
    this.recovery?.cancel();
    this.recovery = undefined;
    for (const channel of [...this.channels]) this.#context.hub.unsubscribe(this, channel);
    this.#context.ended(this, ending);
    this.#settle();
  }
}

/** The last event; without control events only the `id:` that keeps the client away, if it is to stay away. */
function closeEvent({ reason, retryMs, isFinal }: Goodbye, tells: boolean): string {
  const id = isFinal ? GOODBYE : undefined;
  if (!tells) return `${idLine(id ?? '')}\n`;
  const data = { reason, retry: retryMs, ...(isFinal && { reconnect: false }) };
  return encodeControl('sidestream.close', data, id);
}
