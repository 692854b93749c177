import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { Clock, TimerWheel } from '../clock.ts';
import { Log } from '../hub/log.ts';
import type { Intake, Sink, Source, Upstream } from '../hub/source.ts';
import { Complaints, type Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination, Route } from '../routing/router.ts';
import type { MessageSpan, Tracing } from '../tracing/tracing.ts';
import { StreamArchive } from './archive.ts';
import { type Delivery, nanosToMs } from './delivery.ts';
import type { Trouble } from './jetstream.ts';
import { isOfBucket } from './kv.ts';
import { spanOf, traceFieldsOf } from './message-trace.ts';
import type { NatsListener } from './nats.ts';
import { isMarker, toPublication, UNREDACTABLE } from './publication.ts';
import { StreamFollower } from './stream-follower.ts';
import type { StreamFollowing } from './stream-following.ts';
import type { Loss } from './stream-loss.ts';
import { TROUBLE_LINES } from './stream-trouble.ts';
import { StreamWants } from './stream-wants.ts';
import { type Target, Targets } from './targets.ts';

export interface StreamSourceOptions {
  /** The stream's name; of a bucket `KV_<bucket>`. */
  readonly stream: string;
  /** Those that read it; at least one. */
  readonly routes: readonly Route[];
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Largest payload passed on, in bytes. */
  readonly maxEventBytes: number;
  readonly intake: Intake;
  /** Absent where nobody takes spans. */
  readonly tracing?: Tracing | undefined;
  /** How often the server says that it is there, in milliseconds; silent for twice as long it is given up. Default 2,000. */
  readonly heartbeatMs?: number;
  /** How often the stream is looked at, in milliseconds, more or less. Default 10,000. */
  readonly checkMs?: number;
}

/**
 * Feeds channels from one JetStream stream by one consumer, whatever the number of channels and routes: so that messages of
 * all routes come in one order, and one position says what a connection has had. It feeds memory as well, also of channels
 * that nobody reads; what memory does not have its archive reads again.
 */
export class StreamSource implements Source, NatsListener, StreamFollowing {
  readonly log = new Log();
  /** It goes on behind what it passed on last: being away loses nothing. */
  readonly interrupted = false;
  readonly archive: StreamArchive;
  readonly #options: StreamSourceOptions;
  readonly #complaints: Complaints;
  readonly #follower: StreamFollower;
  readonly #outlets = new Map<string, Outlet>();
  readonly #wants: StreamWants;
  #isWanted = true;
  #targets: Targets;
  #connection: NatsConnection | undefined;
  #isConnected = false;
  #isCaughtUp = false;
  /** Whether it was caught up with once: before, what comes goes to memory alone, so that nobody may be settled. */
  #isWarmed = false;
  /** Whether open sinks were told that the stream cannot be had. */
  #isOut = false;

  constructor(options: StreamSourceOptions) {
    const { stream, routes, clock, wheel, heartbeatMs = 2_000, checkMs = 10_000 } = options;
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
    this.#wants = new StreamWants(routes);
    this.#targets = new Targets(routes, options.metrics);
    this.#follower = new StreamFollower({
      clock,
      wheel,
      stream,
      heartbeatMs,
      checkMs,
      wants: this.#wants,
      follower: this,
    });
    this.archive = new StreamArchive({
      wheel,
      stream,
      get maxEventBytes() {
        return options.maxEventBytes;
      },
      created: () => this.#follower.created,
      known: () => this.log.offset,
      isOut: () => this.#isOut,
      changed: () => this.#follower.recheck(),
      refused: (trouble, error) => this.#unreadable(trouble, error),
    });
  }

  get routes(): readonly Route[] {
    return this.#wants.routes;
  }

  /** Whether it is there only for who has not left it yet, and nobody is. */
  get isIdle(): boolean {
    return !this.#isWanted && this.#outlets.size === 0;
  }

  /** No route reads it any more: it goes on as it is for who is still on a channel of it. */
  leave(): void {
    this.#isWanted = false;
    this.#targets = new Targets(this.#wants.routes, undefined);
  }

  /** Is read by these routes from now on. What memory was not fed until now of theirs, memory cannot have. */
  reroute(routes: readonly Route[]): void {
    this.#isWanted = true;
    this.#targets = new Targets(routes, this.#options.metrics);
    this.#raiseFloor(this.log.offset, this.#options.clock.wall());
    // At once: what another consumer passes by while this one still delivers would be taken for delivered.
    if (this.#wants.change(routes))
      this.#follower.recheck('other messages are wanted', { isWantedAnew: true });
  }

  open(destination: Destination, sink: Sink): Upstream {
    const outlet: Outlet = { sink, isSettled: false };
    // Of a channel that memory is not fed for nothing is known but what comes from now on.
    if (destination.route.config.history.size === 0)
      this.log.histories
        .get(destination.channel)
        ?.breaks(this.log.offset, 'evicted', this.#options.clock.wall());
    this.#outlets.set(destination.channel, outlet);
    if (this.#isOut) sink.gap('unavailable');
    // Without a connection it is known that nothing comes, and that nothing is lost by it.
    if (this.#isCaughtUp || this.#isOut || (!this.#isConnected && this.#isWarmed)) this.#settle(outlet);
    return {
      close: () => {
        if (this.#outlets.get(destination.channel) === outlet) this.#outlets.delete(destination.channel);
      },
    };
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.reconnected();
  }

  disconnected(): void {
    this.#isConnected = false;
    this.#isCaughtUp = false;
    this.#follower.stop();
    this.archive.disconnected();
    if (this.#isWarmed) this.#settleAll();
  }

  reconnected(): void {
    if (this.#connection === undefined) return;
    this.#isConnected = true;
    this.#isCaughtUp = false;
    this.archive.connected(this.#connection);
    this.#follower.start(this.#connection);
  }

  refused(error: Error): void {
    const subject = `$JS.FC.${this.#options.stream}.>`;
    if (!error.message.includes(`"$JS.FC.${this.#options.stream}.`)) return;
    this.#complain('flow', 'NATS does not permit flow control; the stream is read bit by bit', { subject });
  }

  stop(): void {
    this.#isConnected = false;
    this.#follower.stop();
    this.archive.disconnected();
  }

  /** Whether what there is has been passed on, and what comes will be. */
  get isFollowed(): boolean {
    return this.#isConnected && this.#isCaughtUp && !this.#isOut;
  }

  get offset(): number {
    return this.log.offset;
  }

  /** Messages that were still to come when the newest came. */
  get pending(): number {
    return this.#follower.pending;
  }

  begin(epoch: string, offset: number, startMs: number): void {
    this.log.begin(epoch, offset, startMs);
  }

  holed(through: number): void {
    const nowMs = this.#options.clock.wall();
    for (const history of this.log.histories.values())
      if (history.evictedThrough < through) history.breaks(through, 'evicted', nowMs);
    this.#raiseFloor(through, nowMs);
  }

  message(message: Msg, delivery: Delivery, isWarm: boolean): void {
    this.log.offset = delivery.offset;
    const targets = this.#targets.of(message.subject);
    const span = isWarm ? undefined : this.#span(targets, message, delivery);
    for (const target of targets) {
      try {
        this.#pass(target, message, delivery, isWarm, span);
      } catch (cause) {
        const fields = { error: String(cause), ...traceFieldsOf(message, span) };
        this.#drop(target, 'error', fields, 'a message could not be mapped and was dropped', span);
      }
    }
    span?.end();
  }

  idle(offset: number): void {
    this.log.offset = offset;
  }

  caughtUp(): void {
    this.#isCaughtUp = true;
    this.#isWarmed = true;
    this.#settleAll();
  }

  recreated(): void {
    this.#options.log.warn(
      this.#fields,
      'the stream was deleted or made anew; positions in the old one are void',
    );
    this.#gap('recreated');
  }

  lost({ reason, through }: Loss): void {
    const { log, clock } = this.#options;
    log.warn(
      { ...this.#fields, reason, offset: this.log.offset, through },
      'the stream lost messages before they came',
    );
    const nowMs = clock.wall();
    for (const history of this.log.histories.values()) history.breaks(through, reason, nowMs);
    this.#raiseFloor(through, nowMs);
    this.#gap(reason);
  }

  lostOf(subject: string, reason: GapReason): void {
    for (const target of this.#targets.of(subject)) this.#break(target, reason);
  }

  available(): void {
    if (this.#isWarmed && !this.#isOut) return;
    this.#options.log.info({ ...this.#fields, offset: this.log.offset }, 'the stream is followed');
    if (!this.#isOut) return;
    this.#isOut = false;
    this.#gap('available');
  }

  failed(trouble: Trouble, error: unknown, failures: number): void {
    const subject = trouble.kind === 'denied' ? trouble.subject : undefined;
    const fields = { ...this.#fields, subject, error: String(error) };
    this.#complaints[trouble.kind === 'passing' ? 'warn' : 'error'](
      trouble.kind,
      fields,
      TROUBLE_LINES[trouble.kind],
    );
    this.#isCaughtUp = false;
    // A server that has just started may be without JetStream for a moment.
    const isPassing = trouble.kind === 'passing' || (trouble.kind === 'absent' && failures < 2);
    if (isPassing && !this.#isWarmed) return;
    if (!isPassing) this.#unavailable();
    this.#settleAll();
  }

  ended(reason: string): void {
    this.#isCaughtUp = false;
    this.#options.log.info({ ...this.#fields, reason }, 'the consumer ended; making another one');
  }

  unfiltered(): void {
    this.#complain(
      'unfiltered',
      'several filters on one consumer need nats-server 2.10; the whole stream is read and the rest skipped',
    );
  }

  unstored(filters: readonly string[]): void {
    this.#complain('unstored', 'the stream stores nothing under these subjects', { subjects: filters });
  }

  #unreadable(trouble: Trouble, error: unknown): void {
    const subject = trouble.kind === 'denied' ? trouble.subject : undefined;
    const fields = { subject, error: String(error) };
    this.#complain('unreadable', 'the stream cannot be read again; who comes back is told a gap', fields);
  }

  get #fields(): { readonly stream: string; readonly routes: readonly string[] } {
    return { stream: this.#options.stream, routes: this.#wants.routes.map(({ name }) => name) };
  }

  /** Not of what nobody is given and nothing keeps. */
  #span(targets: readonly Target[], message: Msg, { offset }: Delivery): MessageSpan | undefined {
    const { tracing, stream } = this.#options;
    if (tracing === undefined) return undefined;
    const taken = targets.find(
      ({ keeps, destination }) => keeps || this.#outlets.has(destination.channel),
    )?.destination;
    const isTold = taken !== undefined && (isOfBucket(taken) || !isMarker(message));
    return isTold ? spanOf(tracing, message, taken, { stream, offset }) : undefined;
  }

  #pass(
    target: Target,
    message: Msg,
    { offset, timeNanos }: Delivery,
    isWarm: boolean,
    span: MessageSpan | undefined,
  ): void {
    const { destination, metrics, keeps } = target;
    const outlet = this.#outlets.get(destination.channel);
    if (outlet === undefined && !keeps) return;
    if (!isOfBucket(destination) && isMarker(message)) return;
    if (message.data.length > this.#options.maxEventBytes) {
      const fields = { bytes: message.data.length, ...traceFieldsOf(message, span) };
      this.#drop(target, 'too-large', fields, 'a message over limits.event was dropped', span);
      return;
    }
    const publication = toPublication(destination, message, metrics, {
      offset,
      timeMs: nanosToMs(timeNanos),
    });
    if (publication === undefined) {
      this.#drop(target, 'unredactable', { ...traceFieldsOf(message, span) }, UNREDACTABLE, span);
      return;
    }
    span?.published(destination, outlet?.sink.subscriptionCount);
    // What was there before this process was is of the past, for whoever is there already, too.
    if (outlet === undefined || isWarm) this.#options.intake.keep(destination, publication, offset);
    else outlet.sink.publish(publication, offset);
  }

  #drop(
    target: Target,
    reason: 'too-large' | 'error' | 'unredactable',
    fields: object,
    text: string,
    span: MessageSpan | undefined,
  ): void {
    span?.dropped(target.destination, reason);
    // That was counted where it was found.
    if (reason !== 'unredactable') target.metrics.dropped[reason] += 1;
    const route = target.destination.route.name;
    this.#complain(`${reason} ${route}`, text, { route, ...fields });
    this.#break(target, reason === 'too-large' ? reason : 'error');
  }

  /** The newest of one channel are missing. */
  #break({ destination: { channel } }: Target, reason: GapReason): void {
    const nowMs = this.#options.clock.wall();
    const history = this.log.histories.get(channel);
    if (history === undefined) this.#raiseFloor(this.log.offset, nowMs);
    else history.breaks(this.log.offset, reason, nowMs);
    const outlet = this.#outlets.get(channel);
    // Who waits for the feed is told by what memory has then.
    if (outlet?.isSettled) outlet.sink.gap(reason);
  }

  /** Histories that begin from now on have nothing of before. */
  #raiseFloor(offset: number, nowMs: number): void {
    this.log.floor = Math.max(this.log.floor, offset);
    this.log.floorMs = Math.max(this.log.floorMs, nowMs);
  }

  #gap(reason: GapReason): void {
    for (const { sink } of this.#outlets.values()) sink.gap(reason);
  }

  #unavailable(): void {
    if (this.#isOut) return;
    this.#isOut = true;
    this.#gap('unavailable');
  }

  #settleAll(): void {
    for (const outlet of this.#outlets.values()) this.#settle(outlet);
  }

  #settle(outlet: Outlet): void {
    if (outlet.isSettled) return;
    outlet.isSettled = true;
    outlet.sink.settled();
  }

  #complain(kind: string, text: string, fields: object = {}): void {
    this.#complaints.warn(kind, { ...this.#fields, ...fields }, text);
  }
}

/** An open channel. */
interface Outlet {
  readonly sink: Sink;
  isSettled: boolean;
}
