import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { type Clock, jitter, type TimerWheel } from '../clock.ts';
import { type Delivery, justAfter } from './delivery.ts';
import { isUnstored, openJetStream, troubleOf } from './jetstream.ts';
import { type ConsumerOpening, type ConsumerStart, OrderedConsumer } from './ordered-consumer.ts';
import { filtersFor, storageOf, unstoredBy } from './stream-filter.ts';
import type { StreamFollowing } from './stream-following.ts';
import { epochAfterLoss, epochOf } from './stream-identity.ts';
import { type Loss, lossAfter, newestHole, replacesOld } from './stream-loss.ts';
import { LASTING_TROUBLES } from './stream-trouble.ts';
import type { StreamWants } from './stream-wants.ts';
import { wait } from './wait.ts';

export interface StreamFollowerOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly stream: string;
  /** What the routes read: may change, and is to be told then. */
  readonly wants: StreamWants;
  readonly heartbeatMs: number;
  /** How often the stream itself is looked at, in milliseconds, more or less. */
  readonly checkMs: number;
  readonly follower: StreamFollowing;
}

/** Waits between attempts, in milliseconds: doubled from the first up to the second… */
const RETRY_MS = [250, 10_000] as const;
/** …or to this one where asking sooner would hardly help. */
const LONG_RETRY_MS = 60_000;
/** Times that a stream of several replicas is looked at before it is taken to have lost its newest messages… */
const MAX_LOOKS = 4;
/** …and how long after one another, in milliseconds. */
const LOOK_MS = 1_000;

/** What is known of the stream that was followed last. */
interface Known {
  readonly created: string;
  readonly epoch: string;
  /** The newest message: if the stream has another one in its place, it is not the same log any more. */
  anchor: Delivery | undefined;
  /** Up to here it was said what is missing. */
  lostThrough: number;
}

/** Where to go on, and how. */
interface Plan {
  readonly start: ConsumerStart;
  /** Set where the log begins, and only the consumer will tell after which offset. */
  readonly beginning?:
    | { readonly epoch: string; readonly startMs: number; readonly isWarm: boolean }
    | undefined;
}

/** Follows one stream for ever, over lost connections and consumers, and tells what that comes to. */
export class StreamFollower {
  readonly #options: StreamFollowerOptions;
  #session = new AbortController();
  #known: Known | undefined;
  /** Set when another message was found in the place of the newest. */
  #isForeign = false;
  /** Set while the stream is known to be gone and its readers know. */
  #isGone = false;
  #consumer: OrderedConsumer | undefined;
  #beginning: Plan['beginning'];
  #isWarm = false;
  /** Messages before it has caught up; how many there are. */
  #waiting: number | undefined;
  #received = 0;
  /** Messages of each subject since it went on, until it has caught up; where older ones may have been replaced… */
  #counts: Map<string, number> | undefined;
  /** …and how many tell that they may. */
  #telling = 1;
  /** Up to here something may be missing of a log that has begun, until it is caught up with. */
  #hole = 0;
  #info: StreamInfo | undefined;
  /** What the newest message said is left. */
  #pending = 0;

  constructor(options: StreamFollowerOptions) {
    this.#options = options;
  }

  /** Begins anew on a connection, behind what was passed on. */
  start(connection: NatsConnection): void {
    this.stop();
    this.#session = new AbortController();
    void this.#run(connection, this.#session.signal);
  }

  /** Nothing is told from here on, until it is started again. */
  stop(): void {
    this.#session.abort();
    this.#consumer?.close();
    this.#consumer = undefined;
  }

  /**
   * Looks at the stream now: somebody found that it is not the one that is followed; `isWantedAnew`: or wants other messages of it, of
   * which there may be millions since the newest that came.
   */
  recheck(reason = 'the stream has changed', { isWantedAnew = false } = {}): void {
    if (isWantedAnew && this.#known !== undefined) this.#known.anchor = undefined;
    this.#consumer?.close(reason);
  }

  /** Creation time of the stream that is followed, if it is known. */
  get created(): string | undefined {
    return this.#isGone ? undefined : this.#known?.created;
  }

  /** Messages that the server had still to send, by the newest that came; before it has caught up, of what there was. */
  get pending(): number {
    return Math.max(this.#pending, (this.#waiting ?? 0) - this.#received, 0);
  }

  // Never rejects: every failure is told and followed by another attempt.
  async #run(connection: NatsConnection, signal: AbortSignal): Promise<void> {
    const { clock, wheel, follower } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      let longestMs: number = RETRY_MS[1];
      try {
        const reason = await this.#follow(connection, signal);
        if (signal.aborted) return;
        failures = 0;
        follower.ended(reason);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        const trouble = troubleOf(error);
        if (trouble.kind === 'missing') this.#gone();
        if (LASTING_TROUBLES.has(trouble.kind)) longestMs = LONG_RETRY_MS;
        follower.failed(trouble, error, failures);
      }
      const delayMs = Math.min(RETRY_MS[0] * 2 ** failures, longestMs);
      await wait(wheel, jitter(clock, delayMs / 2, delayMs), signal);
    }
  }

  /** One consumer's life; resolves with why it ended. */
  async #follow(connection: NatsConnection, signal: AbortSignal): Promise<string> {
    const jsm = await openJetStream(connection);
    const info = await this.#inspect(jsm, signal);
    const loss = await this.#lossOf(jsm, info);
    const hole = await this.#holeOf(jsm, info);
    if (signal.aborted) return 'stopped';
    const before = this.#known;
    const { start, beginning } = this.#plan(info, loss);
    this.#info = info;
    this.#beginning = beginning;
    // Warming that broke off goes on: the rest of it is of the past, too.
    this.#isWarm = beginning?.isWarm ?? this.#isWarm;
    if (beginning !== undefined || this.#isWarm || this.#known !== before)
      this.#hole = Math.max(this.#hole, hole ?? 0);
    this.#received = 0;
    this.#waiting = undefined;
    this.#expectReplaced(info, hole);
    const filters = this.#filters(connection, info);
    const { consumer, opening } = await this.#open(connection, jsm, start, filters);
    const life = new AbortController();
    try {
      if (signal.aborted) return 'stopped';
      this.#opened(info, opening.offset, opening.waiting);
      return await Promise.race([consumer.ended, this.#watch(jsm, info, life.signal)]);
    } finally {
      life.abort();
      consumer.close();
    }
  }

  /** The stream as it is. A leader that was just elected may not have caught up with its own log: it is given time to. */
  async #inspect(jsm: JetStreamManager, signal: AbortSignal): Promise<StreamInfo> {
    const { stream, follower, wheel } = this.#options;
    for (let looks = 1; ; looks += 1) {
      const info = await jsm.streams.info(stream);
      const isBehind = info.created === this.#known?.created && info.state.last_seq < follower.offset;
      if (!isBehind || info.config.num_replicas === 1 || looks === MAX_LOOKS) return info;
      await wait(wheel, LOOK_MS, signal);
    }
  }

  #filters(connection: NatsConnection, { config }: StreamInfo): readonly string[] {
    const { wants, follower } = this.#options;
    const { filters } = wants;
    const unstored = unstoredBy(config, filters);
    if (unstored.length > 0) follower.unstored(unstored);
    const needed = filtersFor(config, filters, connection.info?.version ?? '');
    if (needed === undefined) follower.unfiltered();
    return needed ?? [];
  }

  async #open(
    connection: NatsConnection,
    jsm: JetStreamManager,
    start: ConsumerStart,
    filters: readonly string[],
  ): Promise<{ readonly consumer: OrderedConsumer; readonly opening: ConsumerOpening }> {
    const consumer = this.#makeConsumer(connection, start, filters);
    this.#consumer = consumer;
    try {
      return { consumer, opening: await consumer.open(jsm) };
    } catch (error) {
      consumer.close();
      // Where it is another one by now it was stopped meanwhile, and perhaps started again.
      if (filters.length === 0 || !isUnstored(error) || this.#consumer !== consumer) throw error;
      return this.#open(connection, jsm, start, []);
    }
  }

  #makeConsumer(
    connection: NatsConnection,
    start: ConsumerStart,
    filters: readonly string[],
  ): OrderedConsumer {
    const { wheel, stream, heartbeatMs } = this.#options;
    const receiver = {
      message: (message: Msg, delivery: Delivery) => this.#message(message, delivery),
      idle: (offset: number) => this.#idle(offset),
    };
    return new OrderedConsumer({ connection, wheel, stream, start, filters, heartbeatMs, receiver });
  }

  async #lossOf(jsm: JetStreamManager, info: StreamInfo): Promise<Loss | undefined> {
    const { follower, wants } = this.#options;
    if (this.#known?.created !== info.created) return undefined;
    return lossAfter({ jsm, info, offset: follower.offset, through: info.state.last_seq }, wants.isBucket);
  }

  /** The newest hole in what comes next, of which a {@link #lossOf} does not tell: all of a log that begins, for one. */
  async #holeOf(jsm: JetStreamManager, info: StreamInfo): Promise<number | undefined> {
    const { follower, wants } = this.#options;
    const { last_seq } = info.state;
    const isSame = this.#known?.created === info.created && !this.#isForeign && last_seq >= follower.offset;
    if (wants.isBucket || (isSame && !replacesOld(info))) return undefined;
    return newestHole({ jsm, info, offset: isSame ? follower.offset : 0, through: last_seq });
  }

  /**
   * Where a stream has holes in what comes next, they may be of any subject that something comes of: that it has fewer
   * messages than the limit is no proof, since one may have been deleted, or the limit been raised. A subject that was replaced
   * in always has its newest, so the others are not told. Holes that come only now are of those that reach the limit.
   */
  #expectReplaced(info: StreamInfo, hole: number | undefined): void {
    const isToldAlready = this.#beginning !== undefined || this.#isWarm || this.#options.wants.isBucket;
    this.#counts = isToldAlready || !replacesOld(info) ? undefined : new Map();
    this.#telling = hole === undefined ? info.config.max_msgs_per_subject : 1;
  }

  #plan(info: StreamInfo, loss: Loss | undefined): Plan {
    const { follower, clock, stream, wants } = this.#options;
    const known = this.#known;
    if (known === undefined) {
      const { warmMs } = wants;
      const startMs = clock.wall() - warmMs;
      const beginning = { epoch: epochOf(stream, info.created), startMs, isWarm: true };
      const start: ConsumerStart =
        warmMs > 0 ? { at: 'time', time: new Date(startMs).toISOString() } : { at: 'end' };
      return { start, beginning };
    }
    if (known.created !== info.created) return this.#anew(info, epochOf(stream, info.created));
    if (this.#isForeign || info.state.last_seq < follower.offset)
      return this.#anew(info, epochAfterLoss(known.epoch, info.state));
    if (loss !== undefined && loss.through > known.lostThrough) {
      // Once, however many attempts it takes to go on.
      known.lostThrough = loss.through;
      follower.lost(loss);
    }
    // From the newest message on, once more: that it is still the same shows that the log is.
    return { start: { at: 'offset', offset: known.anchor?.offset ?? follower.offset + 1 } };
  }

  /** Another log under the same name. */
  #anew({ created, state }: StreamInfo, epoch: string): Plan {
    const beginning = { epoch, startMs: this.#options.clock.wall(), isWarm: false };
    const known = this.#known;
    if (known?.created === created) {
      // What is younger than the newest that was seen is new; the rest was delivered before.
      const { anchor } = known;
      const start: ConsumerStart =
        anchor === undefined ? { at: 'end' } : { at: 'time', time: justAfter(anchor.timeNanos) };
      return { start, beginning };
    }
    const first = Math.max(state.first_seq, 1);
    this.#begin(beginning, created, first - 1);
    return { start: { at: 'offset', offset: first } };
  }

  #begin({ epoch, startMs, isWarm }: NonNullable<Plan['beginning']>, created: string, offset: number): void {
    const { follower } = this.#options;
    const isFirst = this.#known === undefined;
    this.#known = { created, epoch, anchor: undefined, lostThrough: 0 };
    this.#isForeign = false;
    this.#isWarm = isWarm;
    this.#beginning = undefined;
    follower.begin(epoch, offset, startMs);
    if (!isFirst && !this.#isGone) follower.recreated();
    this.#isGone = false;
  }

  #opened(info: StreamInfo, offset: number, waiting: number): void {
    // Where something waits its first message may be on its way already, and tells better.
    if (this.#beginning !== undefined && waiting === 0) this.#begin(this.#beginning, info.created, offset);
    this.#isGone = false;
    // What comes while memory is warmed is not delivered, so nobody is told yet that it is.
    if (!this.#isWarm) this.#options.follower.available();
    this.#waiting = waiting;
    this.#checkCaughtUp(this.#pending);
  }

  #message(message: Msg, delivery: Delivery): void {
    const { follower } = this.#options;
    const { offset, timeNanos, pending } = delivery;
    if (this.#beginning !== undefined && this.#info !== undefined)
      this.#begin(this.#beginning, this.#info.created, offset - 1);
    const known = this.#known;
    if (known === undefined) return;
    this.#received += 1;
    this.#pending = pending;
    if (offset <= follower.offset) {
      if (offset === known.anchor?.offset && timeNanos !== known.anchor.timeNanos) {
        this.#isForeign = true;
        this.recheck();
        return;
      }
    } else {
      known.anchor = delivery;
      follower.message(message, delivery, this.#isWarm);
      if (this.#counts !== undefined) this.#count(message.subject);
    }
    if (this.#waiting !== undefined) this.#checkCaughtUp(pending);
  }

  #idle(offset: number): void {
    const { follower } = this.#options;
    // What waited was deleted before it came.
    if (this.#beginning !== undefined && this.#info !== undefined)
      this.#begin(this.#beginning, this.#info.created, offset);
    if (offset > follower.offset) follower.idle(offset);
    this.#pending = 0;
    if (this.#waiting !== undefined) this.#caughtUp();
  }

  // Under load `pending` may never come to 0; and what was deleted meanwhile never comes.
  #checkCaughtUp(pending: number): void {
    const waiting = this.#waiting ?? 0;
    if (this.#received >= waiting || (this.#received > 0 && pending === 0)) this.#caughtUp();
  }

  #caughtUp(): void {
    this.#waiting = undefined;
    this.#isWarm = false;
    this.#counts = undefined;
    const { follower } = this.#options;
    if (this.#hole > 0) follower.holed(Math.min(this.#hole, follower.offset));
    this.#hole = 0;
    follower.available();
    follower.caughtUp();
  }

  #count(subject: string): void {
    const count = (this.#counts?.get(subject) ?? 0) + 1;
    this.#counts?.set(subject, count);
    if (count === this.#telling) this.#options.follower.lostOf(subject, 'too-old');
  }

  #gone(): void {
    if (this.#known === undefined || this.#isGone) return;
    this.#isGone = true;
    this.#options.follower.recreated();
  }

  /** Looks at the stream now and then; resolves with what has changed. Rejects where it is gone. */
  async #watch(jsm: JetStreamManager, before: StreamInfo, signal: AbortSignal): Promise<string> {
    const { clock, wheel, checkMs, stream, follower } = this.#options;
    for (;;) {
      await wait(wheel, jitter(clock, checkMs / 2, checkMs), signal);
      if (signal.aborted) return 'stopped';
      const isBehind = this.#pending > 0;
      const offsetBefore = follower.offset;
      const info = await this.#look(jsm, stream);
      if (info === undefined) continue;
      if (info.created !== before.created) return 'the stream was made anew';
      if (storageOf(info.config) !== storageOf(before.config)) return 'the stream stores other subjects';
      if (info.state.last_seq < offsetBefore) return 'the stream lost its newest messages';
      if (isBehind && info.state.first_seq > follower.offset + 1)
        return 'the stream lost messages before they came';
    }
  }

  async #look(jsm: JetStreamManager, stream: string): Promise<StreamInfo | undefined> {
    try {
      return await jsm.streams.info(stream);
    } catch (error) {
      // While the consumer does its work, an answer that does not come is no trouble.
      if (troubleOf(error).kind === 'missing') throw error;
      return undefined;
    }
  }
}
