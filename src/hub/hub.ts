import type { Clock, TimerWheel } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import { type Batch, makeBatch, recastParts } from '../protocol/batch.ts';
import type { Position } from '../protocol/cursor.ts';
import { hasPosition, isOneOf, withoutId } from '../protocol/frame.ts';
import { encodeControl } from '../protocol/sse.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination, Route } from '../routing/router.ts';
import type { Channel, ChannelOwner, Subscriber } from './channel.ts';
import { Delivery } from './delivery.ts';
import { type Aside, Encoder } from './encoder.ts';
import { Line } from './line.ts';
import { type Log, LogSet, viewCursor } from './log.ts';
import { Opening } from './opening.ts';
import { Reader } from './reader.ts';
import { Recovery, type Replay } from './recovery.ts';
import { Replays } from './replays.ts';
import { type Rerouted, reroute } from './rerouting.ts';
import { Retention } from './retention.ts';
import type { Intake, Publication, Source } from './source.ts';
import { lastBeforeHeld, viewOver, withoutAhead } from './view.ts';

/** Combinations of logs that are remembered. */
const MAX_LOG_SETS = 1000;
/** Replayed events from this size on wait for a slow reader as references to what all share. */
const SHARED_BYTES = 1024;

/** How a connection is to have what is replayed. */
interface PartsWanted {
  readonly takesParts: boolean;
  readonly sharesAll: boolean;
}

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
  /** Told of each subscription that begins or ends. Must not throw. */
  readonly attendance?: {
    joined(subscriber: Subscriber, channel: Channel): void;
    left(subscriber: Subscriber, channel: Channel): void;
  };
  /** Whether `sidestream.*` events are sent. */
  readonly control: boolean;
}

/**
 * Channels and who is on them. Knows no sockets and no NATS: subscribers take batches, sources feed channels.
 *
 * A publication is encoded once; it waits for the end of the turn, when each channel's frames are joined once and
 * handed to each of its subscribers ({@link Delivery}). Under load a turn of the event loop takes in hundreds of messages,
 * so writes coalesce by themselves; when it is quiet a message leaves in the turn it came in.
 */
export class Hub implements ChannelOwner, Intake {
  readonly #options: HubOptions;
  readonly #retention: Retention;
  readonly #encoder: Encoder;
  readonly #reader = new Reader();
  readonly #line: Line;
  readonly #replays = new Replays();
  readonly #opening: Opening;
  readonly #logs: Log[] = [];
  readonly #logSets = new Map<string, LogSet>();
  readonly #channels = new Map<string, Channel>();
  /** Channels without subscribers, oldest first. */
  readonly #lingering = new Set<Channel>();
  readonly #delivery: Delivery;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#retention = new Retention(options.historyBytes, options.clock);
    this.#encoder = new Encoder(options.clock);
    this.#line = new Line(options.clock);
    this.#opening = new Opening({
      hub: options,
      owner: this,
      retention: this.#retention,
      encoder: this.#encoder,
      reader: this.#reader,
    });
    this.#delivery = new Delivery({ clock: options.clock, metrics: options.metrics, logs: this.#logs });
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

  /** Every channel that is held, lingering ones included, in the order in which they were opened. */
  get channels(): ReadonlyMap<string, Channel> {
    return this.#channels;
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
    // What still waits was published before this subscriber came.
    this.#delivery.catchUp(subscriber);
    if (channel.subscribers.has(subscriber)) return channel;
    subscriber.channels.push(channel);
    channel.subscribers.add(subscriber);
    if (subscriber.isProxy !== true) this.#options.attendance?.joined(subscriber, channel);
    return channel;
  }

  unsubscribe(subscriber: Subscriber, channel: Channel): void {
    if (!channel.subscribers.delete(subscriber)) return;
    const { channels } = subscriber;
    channels.splice(channels.indexOf(channel), 1);
    if (subscriber.isProxy !== true) this.#options.attendance?.left(subscriber, channel);
    if (channel.subscribers.size > 0) return;
    if (channel.isDetached) {
      this.vacated(channel);
      return;
    }
    this.#lingering.add(channel);
    channel.linger(this.#options.wheel);
  }

  /**
   * To be called where a live subscriber, having caught up, was given channels or taken off some: from here on its cursors are over
   * the logs of those that it is on.
   */
  rebase(subscriber: Subscriber): void {
    const logs = this.logsOf(subscriber.channels.map(({ destination }) => destination));
    subscriber.view = viewOver(logs, subscriber.view);
  }

  /** Calls `go` in a turn to come, so many a turn as leave time for what is live. It must not throw. */
  enqueue(go: () => void): void {
    this.#line.join(go);
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
    const line = this.#line;
    return new Recovery({ clock, metrics, maxReplay, line, subscriber, channels, logs, cursor });
  }

  /**
   * What is replayed, in parts that are shared as far as they can be. `takesParts`: whether an event's `id:` may be a part of
   * its own; `sharesAll`: whether it pays to have it so for every event.
   */
  replayParts({ frames, ids }: Replay, { takesParts, sharesAll }: PartsWanted): readonly Uint8Array[] {
    if (ids === undefined) return this.#replays.parts(frames);
    return recastParts(frames, ids, takesParts ? (sharesAll ? 0 : SHARED_BYTES) : Infinity);
  }

  /** The cursor of this moment, once the subscriber has caught up; empty while none of its logs is known. */
  cursor({ view, channels }: Subscriber): string {
    const logs = view?.logs ?? this.logsOf(channels.map(({ destination }) => destination));
    return viewCursor({ logs, ahead: view?.ahead }, (log) => lastBeforeHeld(channels, log));
  }

  /**
   * After {@link catchUp}, a number that changes when these channels' logs go on, with or without anything for them. Not for what this process
   * counts: there a channel's cursor stays good for as long as the channel brings nothing.
   */
  progress(channels: readonly Channel[]): number {
    let sum = 0;
    for (const { source } of channels)
      if (source.archive !== undefined)
        sum += Math.min(source.log.flushed, lastBeforeHeld(channels, source.log));
    return sum;
  }

  publish(channel: Channel, publication: Publication, at: number | undefined): void {
    const { history, source, subscribers } = channel;
    const { log } = source;
    if (at === undefined) log.offset += 1;
    const offset = at ?? log.offset;
    channel.metrics.publications += 1;
    const entry = this.#encoder.entry(log, publication, offset, channel.lane);
    channel.metrics.publishedBytes += entry.bytes.length;
    history.append(entry);
    if (subscribers.size > 0) this.#delivery.append(channel, entry);
  }

  keep(destination: Destination, publication: Publication, offset: number): void {
    const { route, channel } = destination;
    const { log } = this.#options.source(route);
    const metrics = this.#options.metrics.route(route.name);
    metrics.publications += 1;
    const history = log.histories.get(channel) ?? this.#opening.history(log, destination);
    const entry = this.#encoder.entry(log, publication, offset);
    metrics.publishedBytes += entry.bytes.length;
    history.append(entry);
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
    const at = channel.frames?.findLastIndex(hasPosition) ?? -1;
    const latest = channel.frames?.[at];
    if (latest !== undefined && isOneOf(latest, frame)) channel.frames?.splice(at, 1, withoutId(latest));
    this.#delivery.append(channel, frame);
  }

  /**
   * Tells everybody who is on a channel here, in order with its publications; it passes no cursor and nobody is told again. `data` as JSON.
   * Nothing where control events are off.
   */
  notice(name: string, event: string, data: unknown): void {
    const channel = this.#channels.get(name);
    if (!this.#options.control || channel === undefined || channel.subscribers.size === 0) return;
    this.#delivery.append(channel, this.#encoder.notice(channel.source.log, event, data));
  }

  /** An event of no channel and no position, encoded once for all who will be given it; nobody is given it again. */
  aside(event: Aside): Batch {
    return makeBatch([this.#encoder.aside(event)]);
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
    channel.release();
    channel.stay(this.#options.wheel);
    this.#lingering.delete(channel);
    if (!channel.isDetached) this.#channels.delete(channel.name);
    channel.upstream?.close();
    channel.closeBacklogs();
    const { history, source } = channel;
    history.held = false;
    // A source with a log of its own goes on feeding memory; what this process alone saw ends with the channel.
    if (source.archive === undefined || channel.isDetached) history.drop();
    history.retire();
  }

  /** Has every channel go by the route that its name has now. */
  reroute(resolve: (channel: string) => Destination | undefined): Rerouted {
    const rerouted = reroute(this.#channels, {
      opening: this.#opening,
      hub: this.#options,
      resolve,
      vacated: (channel) => this.vacated(channel),
      breaks: (channel) => this.#breaks(channel, 'evicted'),
    });
    this.#opening.rerouted(resolve);
    return rerouted;
  }

  /** Nothing comes of a log any more: its source has gone. */
  forget(log: Log): void {
    for (const history of [...log.histories.values()]) {
      history.drop();
      history.retire();
    }
    const index = this.#logs.indexOf(log);
    if (index < 0) return;
    this.#logs.splice(index, 1);
    // They are named by the places of logs.
    this.#logSets.clear();
  }

  /** Keeps to another bound of all channels' history from now on. */
  limitHistory(bytes: number): void {
    this.#retention.limitTo(bytes);
  }

  /** Gives everybody what was published until now. Runs by itself at the end of a turn that brought something, a slice at a time. */
  flush(): void {
    this.#delivery.flush();
  }

  /** Gives one subscriber what was published until now. */
  catchUp(subscriber: Subscriber): void {
    this.#delivery.catchUp(subscriber);
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
    const { maxChannels } = this.#options;
    const [oldest] = this.#lingering;
    if (this.#channels.size >= maxChannels && oldest !== undefined) this.vacated(oldest);
    this.#indexOf(this.#options.source(destination.route).log);
    const channel = this.#opening.channel(destination);
    this.#breaks(channel, 'evicted');
    this.#channels.set(channel.name, channel);
    channel.upstream = channel.source.open(destination, channel);
    return channel;
  }

  #indexOf(log: Log): number {
    const index = this.#logs.indexOf(log);
    if (index >= 0) return index;
    log.onBegin = () => this.#beginsAnew(log);
    return this.#logs.push(log) - 1;
  }

  #beginsAnew(log: Log): void {
    for (const channel of this.#channels.values()) if (channel.source.log === log) channel.release();
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
}
