import type { Clock, TimerWheel } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import { formatPosition, type Position } from '../protocol/cursor.ts';
import { type Batch, makeBatch, mergeBatches } from '../protocol/frame.ts';
import { encodeControl, encodeEvent } from '../protocol/sse.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import { Channel, type ChannelOwner } from './channel.ts';
import type { Publication, Source } from './source.ts';
import type { Subscriber } from './subscriber.ts';

export interface HubOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly metrics: Metrics;
  readonly source: Source;
  /** Names this process's log: 1–32 of `[A-Za-z0-9-]`, different at every start. */
  readonly epoch: string;
  /** Channels held at once, lingering ones included. */
  readonly maxChannels: number;
  /** Whether `sidestream.*` events are sent. */
  readonly control: boolean;
}

/** What a connection is told of a channel as it joins. */
export type Verdict = 'live' | 'recovered' | 'gap' | 'reset';

/**
 * Channels and who is on them. Knows no sockets and no NATS: subscribers take batches, a source feeds channels.
 *
 * A publication is encoded once; it waits for the end of the turn, when each channel's frames are joined once and
 * handed to each of its subscribers. Under load a turn of the event loop takes in hundreds of messages, so writes
 * coalesce by themselves; when it is quiet a message leaves in the turn it came in.
 */
export class Hub implements ChannelOwner {
  readonly #options: HubOptions;
  readonly #channels = new Map<string, Channel>();
  /** Channels without subscribers, oldest first. */
  readonly #lingering = new Set<Channel>();
  #dirty: Channel[] = [];
  #arrivedMs: number[] = [];
  #offset = 0;
  #flushScheduled = false;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** The cursor of this moment: what a client that joins now and misses the next event resumes from. */
  get cursor(): string {
    return formatPosition(this.#options.epoch, this.#offset);
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  get lingeringCount(): number {
    return this.#lingering.size;
  }

  subscriberCount(channel: string): number {
    return this.#channels.get(channel)?.subscribers.size ?? 0;
  }

  /** Whether all these channels can be held at once with those in use; lingering ones give way. */
  hasRoomFor(channels: readonly string[]): boolean {
    const more = channels.filter((channel) => this.subscriberCount(channel) === 0).length;
    return this.#channels.size - this.#lingering.size + more <= this.#options.maxChannels;
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

  /** What a connection that brings `cursor` is told of `channel`. */
  verdict(channel: Channel, cursor: readonly Position[] | undefined): Verdict {
    if (cursor === undefined) return 'live';
    const position = cursor.find(({ epoch }) => epoch === this.#options.epoch);
    if (position === undefined || position.offset > this.#offset) return 'reset';
    if (this.#options.source.interrupted) return 'gap';
    const { lastOffset, intactSince } = channel;
    return position.offset >= lastOffset && position.offset >= intactSince ? 'recovered' : 'gap';
  }

  publish(channel: Channel, { event, data }: Publication): void {
    this.#offset += 1;
    channel.lastOffset = this.#offset;
    channel.metrics.publications += 1;
    if (channel.subscribers.size === 0) return;
    const id = formatPosition(this.#options.epoch, this.#offset);
    const bytes = encodeEvent(event === undefined ? { id, data } : { id, event, data });
    this.#append(channel, bytes);
    this.#arrivedMs.push(this.#options.clock.now());
  }

  gap(channel: Channel, reason: GapReason): void {
    this.#offset += 1;
    channel.intactSince = this.#offset;
    if (reason === 'unavailable') channel.unavailable = true;
    if (reason === 'available') channel.unavailable = false;
    this.#options.metrics.gap(reason);
    if (!this.#options.control || channel.subscribers.size === 0) return;
    this.#append(channel, Buffer.from(this.gapEvent(channel, reason)));
  }

  /** `sidestream.gap`, for the wire. */
  gapEvent(channel: Channel, reason: GapReason): string {
    return encodeControl('sidestream.gap', { channel: channel.name, reason }, this.cursor);
  }

  settled(channel: Channel): void {
    // Nobody knows what was published while the channel was not fed: no cursor from before covers it.
    this.#offset += 1;
    channel.intactSince = this.#offset;
  }

  vacated(channel: Channel): void {
    if (channel.subscribers.size > 0) return;
    channel.stay(this.#options.wheel);
    this.#lingering.delete(channel);
    this.#channels.delete(channel.name);
    channel.upstream?.close();
  }

  /** Hands over what arrived since the last flush. Runs by itself at the end of a turn that brought something. */
  flush(): void {
    if (this.#dirty.length === 0) return;
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
    const { metrics, source, maxChannels } = this.#options;
    const [oldest] = this.#lingering;
    if (this.#channels.size >= maxChannels && oldest !== undefined) this.vacated(oldest);
    // A step in the log: nobody knows what the channel missed while it was not fed, so no cursor from before covers it.
    this.#offset += 1;
    const channel = new Channel(this, destination, metrics.route(destination.route.name), this.#offset);
    this.#channels.set(channel.name, channel);
    channel.upstream = source.open(destination, channel);
    return channel;
  }

  #append(channel: Channel, bytes: Uint8Array): void {
    const frame = { sequence: this.#offset, bytes };
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
    for (const subscriber of channel.subscribers) subscriber.deliver(batch);
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
    let latest: { from: readonly Batch[]; merged: Batch } | undefined;
    for (const [subscriber, batches] of turn) {
      if (!Array.isArray(batches)) {
        subscriber.deliver(batches);
        continue;
      }
      // Connections that stand side by side are mostly on the same channels: join for the first, share with the rest.
      if (latest === undefined || !sameBatches(latest.from, batches)) {
        latest = { from: batches, merged: mergeBatches(batches) };
      }
      subscriber.deliver(latest.merged);
    }
  }
}

function sameBatches(a: readonly Batch[], b: readonly Batch[]): boolean {
  return a.length === b.length && a.every((batch, index) => batch === b[index]);
}
