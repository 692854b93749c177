import { randomUUID } from 'node:crypto';
import { type Due, Timer } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Channel, Subscriber } from '../hub/channel.ts';
import type { View } from '../hub/log.ts';
import type { Recovery } from '../hub/recovery.ts';
import type { Ending } from '../metrics.ts';
import type { Batch } from '../protocol/batch.ts';
import { formatCursor, type Position } from '../protocol/cursor.ts';
import type { Whole } from '../protocol/rendering.ts';
import type { CloseReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import type { Client, ConnectionContext } from './connection.ts';
import { type Farewell, PollAnswer } from './poll-answer.ts';
import type { PollBodies } from './poll-bodies.ts';
import { PollReply } from './poll-reply.ts';
import type { Chosen } from './renderings.ts';
import type { PollRequest } from './request.ts';
import type { HttpResponse } from './uws.ts';
import type { Debtor } from './waiting.ts';

/** What all polls of a server share. */
export interface PollContext
  extends Pick<ConnectionContext, 'clock' | 'wheel' | 'hub' | 'metrics' | 'retry' | 'waiting' | 'log'> {
  readonly bodies: PollBodies;
  readonly sse: Pick<Config['sse'], 'control'>;
  readonly limits: Pick<Config['limits'], 'pendingBytes' | 'stalledMs'>;
  /** Called once when the poll has ended, by whatever path. */
  ended(poll: Poll, ending: Ending): void;
}

export interface PollOptions extends PollRequest {
  readonly destinations: readonly Destination[];
  readonly cursor: readonly Position[] | undefined;
  /** How the answer may be compressed. */
  readonly chosen: Chosen;
  /** CORS headers of this request. */
  readonly headers: readonly (readonly [string, string])[];
}

/** `Vary` for the cache that keeps what it is told not to: unlike a stream, this is a whole answer. */
const HEADERS: PollOptions['headers'] = [
  ['Content-Type', 'application/json'],
  ['Cache-Control', 'no-store'],
  ['Vary', 'Accept'],
];

/** Answers from this size on are compressed, in bytes: below, what is saved is less than a packet. */
const MIN_COMPRESSED_BYTES = 1024;

/** As for streams: uWebSockets.js cuts off a socket 10 s after a write that did not go through. */
const REWIND_MS = 5000;

/**
 * A request that waits until there is something to say, is answered once, and is gone: for clients that cannot read a
 * stream. Each brings the cursor of the answer before, so it resumes like a stream that was cut off, with the same verdicts.
 * It is there until its client has taken the answer: who asks and does not read would get around all limits.
 */
export class Poll implements Subscriber, Debtor, Due {
  readonly id = randomUUID();
  /** Its place among all streams, in the order in which they came; from 1. The `Streams`' to write. */
  ordinal = 0;
  /** Whole seconds since the Unix epoch: a larger number would be an object of its own. */
  readonly openedSeconds: number;
  readonly client: Client;
  readonly channels: Channel[] = [];
  view: View | undefined;
  turn = 0;
  readonly #res: HttpResponse;
  readonly #context: PollContext;
  readonly #options: PollOptions;
  readonly #brought: string;
  readonly #answer: PollAnswer;
  readonly #timer = new Timer(this);
  readonly #overMs: number;
  readonly #expiresMs: number;
  /** Its way to what is live, until it is there: before, there is nothing to tell. */
  #recovery: Recovery | undefined;
  #farewell: Farewell | undefined;
  /** Whether there is something to say, and it is about to be said. */
  #isInLine = false;
  #reply: PollReply | undefined;
  #open = true;

  constructor(res: HttpResponse, client: Client, context: PollContext, options: PollOptions) {
    const { clock, limits, bodies } = context;
    const { cursor, limit, waitMs } = options;
    this.#res = res;
    this.client = client;
    this.#context = context;
    this.#options = options;
    this.#brought = cursor === undefined ? '' : formatCursor(cursor, ({ offset }) => offset);
    this.#answer = new PollAnswer({ brought: this.#brought, limit, maxBytes: limits.pendingBytes }, bodies);
    this.openedSeconds = Math.trunc(clock.wall() / 1000);
    this.#overMs = clock.now() + waitMs;
    this.#expiresMs = clock.now() + (client.identity?.expiresAtMs ?? Infinity) - clock.wall();
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** What it has not taken of its answer. */
  get waitingBytes(): number {
    return this.#reply?.waitingBytes ?? 0;
  }

  /** Joins the channels; answers perhaps at once. */
  start(): void {
    const { hub, log } = this.#context;
    const { destinations, cursor } = this.#options;
    this.#res.onAborted(() => this.#finish('client'));
    for (const destination of destinations) hub.subscribe(this, destination);
    this.#schedule();
    const recovery = hub.recovery(this, this.channels, cursor);
    this.#recovery = recovery;
    recovery.start(
      () => this.#join(recovery),
      (error) => {
        log.debug({ connection: this.id, error: String(error) }, 'what was missed could not be read');
        // Nothing is lost: the client is given back the cursor that it brought.
        this.close('overloaded');
      },
    );
  }

  deliver({ frames }: Batch): void {
    if (!this.#open || this.#recovery !== undefined) return;
    this.#answer.add(frames);
    if (this.#isInLine || !this.#answer.isDue(this.#context.hub.cursor(this))) return;
    // Hundreds may be given this in one go, and an answer takes longer than a write to a stream.
    this.#isInLine = true;
    this.#context.hub.enqueue(() => this.#takeTurn());
  }

  /** Whether it has been answered, or is gone. */
  get isEnding(): boolean {
    return !this.#open || this.#reply !== undefined;
  }

  /**
   * Answers with what there is, and says why there is no more for now. `retryMs` as given, else jittered. `isFinal`: the client is not to
   * ask again, and would be told so.
   */
  close(reason: CloseReason, retryMs = this.#context.retry.next(), { isFinal = false } = {}): void {
    // Who has been answered may take the answer: it was theirs, and nothing follows.
    if (!this.#open || this.#reply !== undefined) return;
    this.#farewell = { reason, retry: retryMs, ...(isFinal && { reconnect: false }) };
    this.#context.hub.catchUp(this);
    this.#end();
  }

  /** Cuts the request off without an answer. */
  abort(ending: Ending): void {
    if (!this.#open) return;
    this.#finish(ending);
    this.#res.close();
  }

  onDue(nowMs: number): void {
    if (!this.#open) return;
    const behindSinceMs = this.#reply?.behindSinceMs;
    if (behindSinceMs !== undefined) this.#keepUp(behindSinceMs, nowMs);
    else if (nowMs >= this.#expiresMs) this.close('expired');
    else if (nowMs >= this.#overMs && this.#recovery === undefined) {
      // It may have something to say after all.
      this.#context.hub.catchUp(this);
      if (this.#open) this.#end();
    } else this.#schedule();
  }

  #join(recovery: Recovery): void {
    const { hub, clock, sse } = this.#context;
    // What waits from this turn was published before.
    hub.catchUp(this);
    const recovered = recovery.conclude();
    this.#recovery = undefined;
    const unavailable = sse.control ? this.channels.filter((channel) => channel.unavailable) : [];
    const gaps = unavailable.map((channel) => hub.gapEvent(channel, 'unavailable'));
    this.#answer.recovered(recovered, gaps);
    if (this.#answer.isDue(hub.cursor(this)) || clock.now() >= this.#overMs) this.#end();
  }

  #takeTurn(): void {
    if (!this.#open || this.#reply !== undefined) return;
    // What came since has its place in the answer, and its cursor is of now.
    this.#context.hub.catchUp(this);
    this.#isInLine = false;
    if (this.#answer.isDue(this.#context.hub.cursor(this))) this.#end();
  }

  #end(): void {
    const { hub, retry, metrics, clock, waiting } = this.#context;
    const farewell = this.#farewell;
    const cursor = this.#recovery === undefined ? hub.cursor(this) : this.#brought;
    const plain = this.#answer.body(cursor, farewell?.retry ?? retry.next(), farewell);
    metrics.plainBytes += lengthOf(plain);
    this.#leave();
    const { body, headers } = encoded(plain, this.#options.chosen);
    const ending = farewell?.reason ?? 'answered';
    const taken = () => this.#finish(ending);
    const reply = new PollReply({ res: this.#res, owner: this, clock, metrics, waiting, taken }, body);
    this.#reply = reply;
    let isTaken = false;
    this.#res.cork(() => {
      this.#writeHead(headers);
      isTaken = reply.begin();
    });
    if (isTaken) this.#finish(ending);
    else {
      this.#keepUp(clock.now(), clock.now());
      waiting.relieve();
    }
  }

  #writeHead(headers: PollOptions['headers']): void {
    this.#res.writeStatus('200 OK');
    for (const [name, value] of [...HEADERS, ...headers, ...this.#options.headers])
      this.#res.writeHeader(name, value);
    // Whoever is told to come back must come by a new connection, or a load balancer has no say in where to.
    if (this.#farewell !== undefined) this.#res.writeHeader('Connection', 'close');
  }

  /** While the reader is behind with the answer: it has so long. */
  #keepUp(behindSinceMs: number, nowMs: number): void {
    const leftMs = behindSinceMs + this.#context.limits.stalledMs - nowMs;
    if (leftMs <= 0) {
      this.abort('slow');
      return;
    }
    if (nowMs > behindSinceMs) this.#reply?.rewind();
    this.#context.wheel.schedule(this.#timer, Math.min(leftMs, REWIND_MS));
  }

  #schedule(): void {
    const { wheel, clock } = this.#context;
    const nowMs = clock.now();
    // Once the wait is over what it waits for is its recovery, of which it is told.
    const dueMs = nowMs < this.#overMs ? Math.min(this.#overMs, this.#expiresMs) : this.#expiresMs;
    if (dueMs !== Infinity) wheel.schedule(this.#timer, Math.max(0, dueMs - nowMs));
  }

  /** Nothing more is to come in. */
  #leave(): void {
    const { wheel, hub } = this.#context;
    wheel.cancel(this.#timer);
    this.#recovery?.cancel();
    for (const channel of [...this.channels]) hub.unsubscribe(this, channel);
  }

  /** The one place where a poll is given up: everything it held is released, once. */
  #finish(ending: Ending): void {
    if (!this.#open) return;
    this.#open = false;
    this.#reply?.release();
    this.#leave();
    this.#context.ended(this, ending);
  }
}

/** The body in the content coding that was chosen, where that pays. The headers that say what it depends on stay in any case. */
function encoded(
  plain: Whole,
  { rendering, headers }: Chosen,
): { readonly body: Whole; readonly headers: Chosen['headers'] } {
  if (rendering === undefined || lengthOf(plain) < MIN_COMPRESSED_BYTES)
    return { body: plain, headers: headers.filter(([name]) => name !== 'Content-Encoding') };
  return { body: rendering.whole(plain), headers };
}

function lengthOf({ head, shared, tail }: Whole): number {
  return head.length + (shared?.bytes.length ?? 0) + tail.length;
}
