import type { Clock, TimerWheel } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { Position } from '../protocol/cursor.ts';
import { type Batch, type Frame, isOneOf, makeBatch, mergeBatches, withoutId } from '../protocol/frame.ts';
import { encodeControl } from '../protocol/sse.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination, Route } from '../routing/router.ts';
import { Backlog } from './backlog.ts';
import { Channel, type ChannelOwner } from './channel.ts';
import { Encoder } from './encoder.ts';
import { History, type Shelf } from './history.ts';
import { Line } from './line.ts';
import { type Log, LogSet, viewCursor } from './log.ts';
import { Reader } from './reader.ts';
import { Recovery } from './recovery.ts';
import { Replays } from './replays.ts';
import { Retention } from './retention.ts';
import type { Intake, Publication, Source } from './source.ts';
import type { Subscriber } from './subscriber.ts';
import { Views, withoutAhead } from './view.ts';

/** Combinations of logs that are remembered. */
const MAX_LOG_SETS = 1000;

export interface HubOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly metrics: Metrics;
  /** What feeds a route's channels. */
  source(route: Route): Source;
  /** Channels held at once, lingering ones included. */
  readonly maxChannels: number;
  /** Most events of one channel that a connection is sent as it joins. */
  readonly maxReplay: number;
  /** Memory for all channels' history together. */
  readonly historyBytes: number;
  /** Whether `sidestream.*` events are sent. */
  readonly control: boolean;
}

/**
 * Channels and who is on them. Knows no sockets and no NATS: subscribers take batches, sources feed channels.
 *
 * A publication is encoded once; it waits for the end of the turn, when each channel's frames are joined once and
 * handed to each of its subscribers. Under load a turn of the event loop takes in hundreds of messages, so writes
 * coalesce by themselves; when it is quiet a message leaves in the turn it came in.
 */
export class Hub implements ChannelOwner, Intake {
  readonly #options: HubOptions;
  readonly #retention: Retention;
  readonly #encoder: Encoder;
  readonly #reader = new Reader();
  readonly #line: Line;
  readonly #replays = new Replays();
  readonly #shelves = new Map<Route, Shelf>();
  readonly #logs: Log[] = [];
  readonly #logSets = new Map<string, LogSet>();
  readonly #channels = new Map<string, Channel>();
  /** Channels without subscribers, oldest first. */
  readonly #lingering = new Set<Channel>();
  #dirty: Channel[] = [];
  #arrivedMs: number[] = [];
  #flushScheduled = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#retention = new Retention(options.historyBytes, options.clock);
    this.#encoder = new Encoder(options.clock);
    this.#line = new Line(options.clock);
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  get lingeringCount(): number {
    return this.#lingering.size;
  }

  /** Memory that history takes, in bytes. */
  get historyBytes(): number {
    return this.#retention.bytes;
  }

  /** Reads of a stream for those who return with old cursors. */
  get archiveReads(): { readonly all: number; readonly failed: number } {
    return { all: this.#reader.reads, failed: this.#reader.failures };
  }

  subscriberCount(channel: string): number {
    return this.#channels.get(channel)?.subscribers.size ?? 0;
  }

  /** Whether all these channels can be held at once with those in use; lingering ones give way. */
  hasRoomFor(channels: readonly string[]): boolean {
    const more = channels.filter((channel) => this.subscriberCount(channel) === 0).length;
    return this.#channels.size - this.#lingering.size + more <= this.#options.maxChannels;
  }

  /** The logs that a connection on all of these reads. */
  logsOf(destinations: readonly Destination[]): LogSet {
    const indexes = new Set<number>();
    for (const { route } of destinations) indexes.add(this.#indexOf(this.#options.source(route).log));
    const sorted = [...indexes].sort((a, b) => a - b);
    const key = sorted.join();
    const known = this.#logSets.get(key);
    if (known !== undefined) return known;
    // Anybody may ask for any of the many combinations; those in use live on with their connections.
    if (this.#logSets.size >= MAX_LOG_SETS) this.#logSets.clear();
    const made = new LogSet(this.#logs.filter((_, index) => indexes.has(index)));
    this.#logSets.set(key, made);
    return made;
  }

  /** Puts `subscriber` on a channel; the first one opens it upstream. What arrives from here on reaches it. */
  subscribe(subscriber: Subscriber, destination: Destination): Channel {
    const channel = this.#channels.get(destination.channel) ?? this.#open(destination);
    if (channel.subscribers.size === 0) {
      this.#lingering.delete(channel);
      channel.stay(this.#options.wheel);
    }
    // What still waits from this turn was published before this subscriber came.
    if (channel.frames !== undefined) this.flush();
    channel.subscribers.add(subscriber);
    return channel;
  }

  unsubscribe(subscriber: Subscriber, channel: Channel): void {
    if (!channel.subscribers.delete(subscriber) || channel.subscribers.size > 0) return;
    this.#lingering.add(channel);
    channel.linger(this.#options.wheel);
  }

  /** The way of a subscriber that brings `cursor` to what is live on its channels. */
  recovery(
    subscriber: Subscriber,
    channels: readonly Channel[],
    cursor: readonly Position[] | undefined,
  ): Recovery {
    const { clock, metrics, maxReplay } = this.#options;
    const logs = this.logsOf(channels.map(({ destination }) => destination));
    // From here on what reaches the subscriber is what it may be given.
    subscriber.view = logs.isSingle ? undefined : { logs, ahead: undefined };
    const [line, replays] = [this.#line, this.#replays];
    return new Recovery({ clock, metrics, maxReplay, line, replays, subscriber, channels, logs, cursor });
  }

  /** The cursor of this moment on these channels, after a flush; empty while none of their logs is known. */
  cursor(subscriber: Subscriber, channels: readonly Channel[]): string {
    const logs = subscriber.view?.logs ?? this.logsOf(channels.map(({ destination }) => destination));
    return viewCursor({ logs, ahead: subscriber.view?.ahead });
  }

  /**
   * After a flush, a number that changes when these channels' logs go on, with or without anything for them. Not for what this process
   * counts: there a channel's cursor stays good for as long as the channel brings nothing.
   */
  progress(channels: readonly Channel[]): number {
    let sum = 0;
    for (const { source } of channels) if (source.archive !== undefined) sum += source.log.flushed;
    return sum;
  }

  publish(channel: Channel, publication: Publication, at: number | undefined): void {
    const { history, source, subscribers } = channel;
    const { log } = source;
    if (at === undefined) log.offset += 1;
    const offset = at ?? log.offset;
    channel.metrics.publications += 1;
    const entry = this.#encoder.entry(log, publication, offset);
    history.append(entry);
    if (subscribers.size === 0) return;
    this.#append(channel, entry);
    this.#arrivedMs.push(this.#options.clock.now());
  }

  keep(destination: Destination, publication: Publication, offset: number): void {
    const { route, channel } = destination;
    const { log } = this.#options.source(route);
    this.#options.metrics.route(route.name).publications += 1;
    const history = log.histories.get(channel) ?? this.#history(log, destination);
    history.append(this.#encoder.entry(log, publication, offset));
    history.retire();
  }

  gap(channel: Channel, reason: GapReason): void {
    const { log } = channel.source;
    this.#breaks(channel, reason);
    if (reason === 'unavailable') channel.unavailable = true;
    if (reason === 'available') channel.unavailable = false;
    this.#options.metrics.gap(reason);
    if (!this.#options.control || channel.subscribers.size === 0) return;
    const frame = this.#encoder.gap(log, channel.name, reason);
    // Who had the position already would not be told when it comes back.
    const latest = channel.frames?.at(-1);
    if (latest !== undefined && isOneOf(latest, frame)) channel.frames?.splice(-1, 1, withoutId(latest));
    this.#append(channel, frame);
  }

  /** `sidestream.gap` for one connection, without an `id:`. */
  gapEvent(channel: Channel, reason: GapReason): string {
    return encodeControl('sidestream.gap', { channel: channel.name, reason });
  }

  settled(channel: Channel): void {
    // Nobody knows what was published while the channel was not fed: no cursor from before covers it.
    this.#breaks(channel, 'evicted');
  }

  vacated(channel: Channel): void {
    if (channel.subscribers.size > 0) return;
    channel.stay(this.#options.wheel);
    this.#lingering.delete(channel);
    this.#channels.delete(channel.name);
    channel.upstream?.close();
    channel.closeBacklogs();
    const { history, source } = channel;
    history.held = false;
    // A source with a log of its own goes on feeding memory; what this process alone saw ends with the channel.
    if (source.archive === undefined) history.drop();
    history.retire();
  }

  /** Hands over what arrived since the last flush. Runs by itself at the end of a turn that brought something. */
  flush(): void {
    if (this.#dirty.length > 0) this.#hand();
    for (const log of this.#logs) log.flushed = log.offset;
  }

  /** Lets go of history that is too old; to be called about once a second. */
  sweep(): void {
    this.#retention.sweep(this.#options.clock.wall());
    this.#replays.age();
  }

  /** Closes every channel upstream; for the end of the process. */
  close(): void {
    this.flush();
    for (const channel of this.#channels.values()) {
      channel.stay(this.#options.wheel);
      channel.upstream?.close();
    }
    this.#channels.clear();
    this.#lingering.clear();
  }

  #open(destination: Destination): Channel {
    const { metrics, maxChannels } = this.#options;
    const [oldest] = this.#lingering;
    if (this.#channels.size >= maxChannels && oldest !== undefined) this.vacated(oldest);
    const source = this.#options.source(destination.route);
    const { log } = source;
    this.#indexOf(log);
    const history = log.histories.get(destination.channel) ?? this.#history(log, destination);
    history.held = true;
    const { source: from, replay } = destination.route.config;
    const isSent = from.kind === 'kv' || replay.kind !== 'none';
    const routeMetrics = metrics.route(destination.route.name);
    const channel = new Channel({
      owner: this,
      destination,
      metrics: routeMetrics,
      source,
      history,
      missed: this.#backlog(source, destination, history),
      joining: isSent ? this.#backlog(source, destination, history) : undefined,
    });
    this.#breaks(channel, 'evicted');
    this.#channels.set(channel.name, channel);
    channel.upstream = source.open(destination, channel);
    return channel;
  }

  #backlog({ archive, log }: Source, destination: Destination, history: History): Backlog | undefined {
    if (archive === undefined) return undefined;
    return new Backlog({
      clock: this.#options.clock,
      retention: this.#retention,
      reader: this.#reader,
      archive,
      destination,
      history,
      limit: this.#options.maxReplay,
      encode: (publication, offset) => this.#encoder.entry(log, publication, offset),
    });
  }

  #history(log: Log, { route, channel }: Destination): History {
    let shelf = this.#shelves.get(route);
    if (shelf === undefined) {
      shelf = this.#retention.shelf();
      this.#shelves.set(route, shelf);
    }
    return new History(log, channel, shelf, route.config.history);
  }

  #indexOf(log: Log): number {
    const index = this.#logs.indexOf(log);
    if (index >= 0) return index;
    log.onBegin = () => this.#beginsAnew(log);
    return this.#logs.push(log) - 1;
  }

  #beginsAnew(log: Log): void {
    this.flush();
    // Whoever was further in the old log is not in the new one.
    for (const { source, subscribers } of this.#channels.values())
      if (source.log === log)
        for (const subscriber of subscribers) subscriber.view = withoutAhead(subscriber.view, log);
  }

  // A step in a log that this process counts: no cursor from before covers what was missed. A log that is kept upstream
  // says itself what is missing of it.
  #breaks({ source, history }: Channel, reason: GapReason): void {
    if (source.archive !== undefined) return;
    source.log.offset += 1;
    history.breaks(source.log.offset, reason, this.#options.clock.wall());
  }

  #append(channel: Channel, frame: Frame): void {
    if (channel.frames === undefined) {
      channel.frames = [frame];
      this.#dirty.push(channel);
    } else channel.frames.push(frame);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(this.#endOfTurn);
  }

  readonly #endOfTurn = () => {
    this.#flushScheduled = false;
    this.flush();
  };

  #hand(): void {
    const dirty = this.#dirty;
    const arrivedMs = this.#arrivedMs;
    this.#dirty = [];
    this.#arrivedMs = [];
    const [only] = dirty;
    if (dirty.length === 1 && only !== undefined) this.#fanOut(only);
    else this.#fanOutMerged(dirty);
    const flushedMs = this.#options.clock.now();
    for (const atMs of arrivedMs) this.#options.metrics.publishToFlush.observe(flushedMs - atMs);
  }

  #take(channel: Channel): Batch {
    const batch = makeBatch(channel.frames ?? []);
    channel.frames = undefined;
    const deliveries = batch.frames.length * channel.subscribers.size;
    channel.metrics.deliveries += deliveries;
    return batch;
  }

  // One channel, many connections: nothing is allocated per connection here.
  #fanOut(channel: Channel): void {
    const batch = this.#take(channel);
    const views = new Views();
    for (const subscriber of channel.subscribers) {
      if (subscriber.view === undefined) subscriber.deliver(batch);
      else views.deliver(subscriber, batch);
    }
  }

  // A connection on several of this turn's channels gets them as one batch, in order of arrival.
  #fanOutMerged(dirty: readonly Channel[]): void {
    const turn = new Map<Subscriber, Batch | Batch[]>();
    for (const channel of dirty) {
      const batch = this.#take(channel);
      for (const subscriber of channel.subscribers) {
        const others = turn.get(subscriber);
        if (others === undefined) turn.set(subscriber, batch);
        else if (Array.isArray(others)) others.push(batch);
        else turn.set(subscriber, [others, batch]);
      }
    }
    const views = new Views();
    let latest: { from: readonly Batch[]; merged: Batch } | undefined;
    for (const [subscriber, batches] of turn) {
      let batch: Batch;
      if (Array.isArray(batches)) {
        // Connections that stand side by side are mostly on the same channels: join for the first, share with the rest.
        if (latest === undefined || !sameBatches(latest.from, batches)) {
          latest = { from: batches, merged: mergeBatches(batches) };
        }
        batch = latest.merged;
      } else batch = batches;
      if (subscriber.view === undefined) subscriber.deliver(batch);
      else views.deliver(subscriber, batch);
    }
  }
}

function sameBatches(a: readonly Batch[], b: readonly Batch[]): boolean {
  return a.length === b.length && a.every((batch, index) => batch === b[index]);
}
