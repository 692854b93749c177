import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../clock.ts';
import type { Bus } from '../../cluster/bus.ts';
import type { Config } from '../../config/schema.ts';
import type { Logger } from '../../log.ts';
import type { Destination, Route, Router } from '../../routing/router.ts';
import type { Tracing } from '../../tracing/tracing.ts';
import { maxPageBytes } from '../answer-size.ts';
import type { Caller, Served, Spread } from '../operation.ts';
import { type KnownLog, Publisher } from '../publish/publisher.ts';
import { PublishCounts, publishingOperations } from '../publish/publishing.ts';
import { type Recipients, type SentEvent, sending } from '../publish/sending.ts';
import { ChannelBook, type ChannelState, type Description } from './channel-book.ts';
import { ChannelExpiry, type ChannelExpiryOptions } from './channel-expiry.ts';
import { ChannelKeeper } from './channel-keeper.ts';
import { channelOperations } from './channel-operations.ts';
import { standingOf } from './channel-record.ts';

export interface ChannelsOptions {
  readonly config: Config;
  readonly router: Router;
  readonly clock: Clock;
  readonly log: Logger;
  readonly bus: Bus;
  readonly peers: ChannelExpiryOptions['peers'];
  /** How many streams this instance has on a channel. */
  subscribers(channel: string): number;
  /** What is known of the stream that feeds a route; absent where none does. */
  logOf(route: Route): KnownLog | undefined;
  readonly live: {
    /** Takes all streams of this instance off a channel; says how many were on it. */
    closeChannel(channel: string): number;
    /** Gives an event to streams of this instance; says to how many. */
    send(to: Recipients, event: SentEvent): number;
  };
  /** Absent where nobody takes spans. */
  readonly tracing?: Tracing | undefined;
  /** Has every instance do its part. @throws ControlError */
  ask<I, P, O>(what: Spread<I, P, O>, input: I, caller: Caller): Promise<O>;
}

/** How often channels are looked at for whether they are in use, in milliseconds. */
const STEP_MS = 250;
/** How long until it is looked again for JetStream where some channels are only there if it says so, in milliseconds. */
const ABSENT_WAIT_MS = 10_000;
/** The same where it only keeps what is closed. */
const RARE_WAIT_MS = 60_000;
/** How often what is long over is let go of, in milliseconds. */
const SWEEP_MS = 60_000;

/** What is published by the control plane, and the channels that are made and closed by it: their state, operations and figures. */
export class Channels {
  readonly operations: readonly Served[];
  /** What every instance does for an operation that one of them runs. */
  readonly parts: readonly Served[];
  readonly counts = new PublishCounts();
  readonly #options: ChannelsOptions;
  readonly #book: ChannelBook;
  readonly #keeper: ChannelKeeper;
  readonly #expiry: ChannelExpiry;
  readonly #publisher = new Publisher();
  /** Nobody is asked for a bucket where no channel can be made or closed. */
  #isUsed: boolean;
  #connection: NatsConnection | undefined;
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(options: ChannelsOptions) {
    const { config, router, clock, log, bus, live } = options;
    const { channelBucket: name, prefix, requireJetStream } = config.control;
    this.#options = options;
    const hasDynamic = router.routes.some((route) => route.config.dynamic);
    this.#isUsed = this.#isWanted();
    const book = new ChannelBook({ clock, router, ended: (channel) => void live.closeChannel(channel) });
    this.#book = book;
    const absentWaitMs = hasDynamic ? ABSENT_WAIT_MS : RARE_WAIT_MS;
    const keeper = new ChannelKeeper({ name, requireJetStream, absentWaitMs, book, clock, log });
    this.#keeper = keeper;
    const listen = (subject: string, heard: () => void) => bus.listen(subject, heard);
    const expiry = new ChannelExpiry({ ...options, book, keeper, listen });
    this.#expiry = expiry;
    const expiresInMs = (channel: string) => {
      const entry = book.get(channel);
      return entry === undefined ? undefined : expiry.expiresInMs(entry);
    };
    const { limits } = config;
    const sent = sending({
      get maxEventBytes() {
        return limits.eventBytes;
      },
      send: (...event) => live.send(...event),
    });
    this.parts = [sent as unknown as Served];
    this.operations = [
      ...publishingOperations({
        router,
        prefix,
        get maxEventBytes() {
          return limits.eventBytes;
        },
        publisher: this.#publisher,
        counts: this.counts,
        tracing: options.tracing,
        channelState: (destination) => book.state(destination),
        logOf: (route) => options.logOf(route),
        touch: (channel) => expiry.touch(channel),
        send: (input, caller) => options.ask(sent, input, caller),
      }),
      ...channelOperations({
        book,
        keeper,
        router,
        clock,
        expiresInMs,
        maxPageBytes: () => maxPageBytes(bus),
        subscribers: (channel) => options.subscribers(channel),
      }),
    ];
  }

  /** Whether a channel of the routes may be read now. */
  state(destination: Destination): ChannelState {
    return this.#book.state(destination);
  }

  /** What is known of a channel that was made. */
  describe(channel: string): Description | undefined {
    return this.#book.describe(channel);
  }

  /** Whether what is made and closed now outlives this process. */
  get isPersistent(): boolean {
    return this.#keeper.isOpen;
  }

  /** Channels that expired by this instance's judgement. */
  get expired(): number {
    return this.#expiry.expired;
  }

  /** Channels by what they are now. */
  get states(): [string, number][] {
    const sums = { open: 0, closed: 0, expired: 0, absent: 0 };
    const nowMs = this.#options.clock.wall();
    for (const { record } of this.#book.entries()) sums[standingOf(record, nowMs)] += 1;
    const { absent: _, ...shown } = sums;
    return Object.entries(shown);
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#expiry.step(), STEP_MS),
      setInterval(() => this.#expiry.sweep(), SWEEP_MS),
    ];
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#publisher.connected(connection);
    if (this.#isUsed) this.#keeper.connected(connection);
  }

  /** The config has changed. Once asked for, the bucket stays open. */
  reconfigured(): void {
    if (this.#isUsed || !this.#isWanted()) return;
    this.#isUsed = true;
    if (this.#connection !== undefined) this.#keeper.connected(this.#connection);
  }

  disconnected(): void {
    this.#publisher.disconnected();
    this.#keeper.disconnected();
  }

  reconnected(): void {
    this.#publisher.reconnected();
    if (this.#isUsed) this.#keeper.reconnected();
  }

  refused(error: Error): void {
    this.#publisher.refused(error);
  }

  /** Whether any channel can be made or closed. */
  #isWanted(): boolean {
    const { router, config } = this.#options;
    const hasDynamic = router.routes.some((route) => route.config.dynamic);
    return hasDynamic || config.control.api || config.ops.token !== undefined;
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#expiry.stop();
    this.#keeper.stop();
  }
}
