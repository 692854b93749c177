import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import { type Batch, makeBatch, mergeBatches, withoutIds } from '../protocol/batch.ts';
import type { LogName } from '../protocol/cursor.ts';
import { type Frame, hasPosition, isOneOf } from '../protocol/frame.ts';
import type { Channel, Subscriber } from './channel.ts';
import type { Log } from './log.ts';
import type { Positions, Sealed } from './sealed.ts';
import { Views } from './view.ts';

/** Time that one turn of the event loop may spend on channels of each size, in milliseconds. */
const SLICE_MS = 3;
/** Between two looks at the clock: so many subscribers. */
const STRIDE = 8;
/** Channels with more subscribers than this wait for those with fewer. */
const SMALL = 256;
/** What may be on its way to subscribers at once, in bytes; more, and it is handed over before anything else is taken in. */
const MAX_SEALED_BYTES = 16 * 1024 * 1024;

export interface DeliveryOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** All there are; more may come. */
  readonly logs: readonly Log[];
}

/**
 * From the end of a turn to each subscriber. What a turn brought is sealed, one batch for each channel; then each channel's
 * subscribers are gone through, and each is given everything that was sealed for it until then, on all its channels, in order
 * of arrival. So one that is reached late gets more at once, whoever is reached by way of another channel misses nothing,
 * and nobody is given anything twice: {@link Subscriber.turn} says how far each has got.
 *
 * Going through ten thousand takes a tenth of a second. It is done in slices, those channels first that have few
 * subscribers; between them NATS, new connections and other channels are served.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #views = new Views();
  /** Channels with few subscribers, each gone through without a break. */
  #small: Channel[] = [];
  #nextSmall = 0;
  readonly #large = new Round();
  #dirty: Channel[] = [];
  #turn = 0;
  #sealedBytes = 0;
  /** Over all channels: those with one subscriber each take their time as well. */
  #visited = 0;
  #isScheduled = false;
  /** What was last put together of several batches, for whoever is to have the same. */
  #merged: { readonly of: readonly Batch[]; readonly batch: Batch } | undefined;
  #bare: { readonly of: Batch; readonly batch: Batch } | undefined;
  /** The last answer of {@link hasLate}. */
  #late: { readonly of: Batch; readonly before: Positions | undefined; readonly isLate: boolean } | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Takes a frame for a channel with subscribers; it goes out at the end of the turn. */
  append(channel: Channel, frame: Frame): void {
    if (channel.frames === undefined) {
      channel.frames = [frame];
      channel.arrivedMs = this.#options.clock.now();
      this.#dirty.push(channel);
    } else channel.frames.push(frame);
    this.#schedule();
  }

  /** Gives a subscriber all that was published until now. */
  catchUp(subscriber: Subscriber): void {
    this.seal();
    if (subscriber.turn < this.#turn) this.#advance(subscriber);
  }

  /** Gives everybody all that was published until now. */
  flush(): void {
    this.seal();
    this.#serveSmall(Infinity);
    this.#large.serve(Infinity, this.#visit);
    this.#idle();
  }

  /** Ends the turn: what came is a batch for each channel, and the logs are where they are. */
  seal(): void {
    const { logs } = this.#options;
    const dirty = this.#dirty;
    if (dirty.length > 0) {
      this.#dirty = [];
      this.#turn += 1;
      const before = positionsOf(logs);
      for (const channel of dirty) this.#sealChannel(channel, before);
    }
    for (const log of logs) log.flushed = log.offset;
  }

  #sealChannel(channel: Channel, before: Positions): void {
    const frames = channel.frames ?? [];
    channel.frames = undefined;
    const { size } = channel.subscribers;
    if (size === 0) return;
    const batch = makeBatch(frames);
    channel.metrics.deliveries += frames.length * size;
    let bytes = 0;
    for (const part of batch.parts) bytes += part.length;
    this.#sealedBytes += bytes;
    let publications = 0;
    for (const { isNotice } of frames) publications += isNotice ? 0 : 1;
    const sealed = { turn: this.#turn, batch, arrivedMs: channel.arrivedMs, before, bytes, publications };
    if (channel.sealed !== undefined) {
      // Its subscribers are still being gone through: those not reached yet get all at once, the others in the next round.
      channel.sealed.push(sealed);
      return;
    }
    channel.sealed = [sealed];
    if (size <= SMALL) this.#small.push(channel);
    else this.#large.push(channel);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#serve);
  }

  readonly #serve = () => {
    this.#isScheduled = false;
    this.seal();
    if (this.#sealedBytes > MAX_SEALED_BYTES) {
      this.flush();
      return;
    }
    const { clock } = this.#options;
    const isDone = this.#serveSmall(clock.now() + SLICE_MS);
    if (this.#large.serve(clock.now() + SLICE_MS, this.#visit) && isDone) this.#idle();
    else this.#schedule();
  };

  /** False where the time was over before all were through. */
  #serveSmall(endMs: number): boolean {
    const { clock } = this.#options;
    let nowMs = clock.now();
    let visited = 0;
    for (
      let channel = this.#small[this.#nextSmall];
      channel !== undefined;
      channel = this.#small[this.#nextSmall]
    ) {
      if (visited >= STRIDE) {
        visited = 0;
        nowMs = clock.now();
        if (nowMs >= endMs) {
          this.#forgetSmall();
          return false;
        }
      }
      this.#nextSmall += 1;
      visited += channel.subscribers.size;
      // What is sealed from here on reaches those only who have not been visited yet.
      const turn = this.#turn;
      for (const subscriber of channel.subscribers)
        if (subscriber.turn < this.#turn) this.#advance(subscriber);
      this.#done(channel, turn, nowMs);
    }
    this.#small = [];
    this.#nextSmall = 0;
    return true;
  }

  // Under load there may never be a turn in which all are through.
  #forgetSmall(): void {
    if (this.#nextSmall < 64 || this.#nextSmall * 2 < this.#small.length) return;
    this.#small = this.#small.slice(this.#nextSmall);
    this.#nextSmall = 0;
  }

  // Nothing is under way: what was put together for it is of no use any more.
  #idle(): void {
    this.#merged = undefined;
    this.#bare = undefined;
    this.#late = undefined;
    this.#views.clear();
  }

  /** Goes on through a channel's subscribers; false where the time was over before the last. */
  readonly #visit: Serve = (visit, endMs) => {
    const { clock } = this.#options;
    const { channel, subscribers } = visit;
    // What is sealed from here on reaches those only who have not been visited yet.
    visit.turn ??= this.#turn;
    for (let next = subscribers.next(); !next.done; next = subscribers.next()) {
      const subscriber = next.value;
      if (subscriber.turn < this.#turn) this.#advance(subscriber);
      this.#visited += 1;
      if (this.#visited % STRIDE === 0 && clock.now() >= endMs) return false;
    }
    this.#done(channel, visit.turn, clock.now());
    return true;
  };

  /** All subscribers have what had been sealed up to `turn`. */
  #done(channel: Channel, turn: number, nowMs: number): void {
    const { metrics } = this.#options;
    let left: Sealed[] | undefined;
    for (const sealed of channel.sealed ?? []) {
      if (sealed.turn > turn) {
        left ??= [];
        left.push(sealed);
        continue;
      }
      this.#sealedBytes -= sealed.bytes;
      metrics.publishToFlush.observe(nowMs - sealed.arrivedMs, sealed.publications);
    }
    channel.sealed = left;
    channel.joined = undefined;
  }

  /** Gives a subscriber what was sealed for it since its turn. */
  #advance(subscriber: Subscriber): void {
    const { channels, turn } = subscriber;
    const [only] = channels;
    subscriber.turn = this.#turn;
    if (channels.length === 1 && only !== undefined) this.#advanceOne(subscriber, only, turn);
    else this.#advanceMany(subscriber, turn);
  }

  // One channel, many connections: nothing is allocated per connection here.
  #advanceOne(subscriber: Subscriber, channel: Channel, turn: number): void {
    const { sealed } = channel;
    if (sealed === undefined) return;
    let first = sealed.length - 1;
    while (first > 0 && (sealed[first - 1]?.turn ?? 0) > turn) first -= 1;
    const one = sealed[first];
    if (one === undefined || one.turn <= turn) return;
    const batch = first === sealed.length - 1 ? one.batch : joined(channel, sealed, first);
    const seen = subscriber.view === undefined ? batch : this.#views.seen(subscriber, batch, one.before);
    if (seen !== undefined) subscriber.deliver(seen);
  }

  #advanceMany(subscriber: Subscriber, turn: number): void {
    let before: Sealed | undefined;
    let isHeld = false;
    const batches: Batch[] = [];
    for (const channel of subscriber.channels) {
      isHeld ||= channel.heldAt !== Infinity;
      for (const sealed of channel.sealed ?? []) {
        if (sealed.turn <= turn) continue;
        if (before === undefined || sealed.turn < before.turn) before = sealed;
        batches.push(sealed.batch);
      }
    }
    if (before === undefined) return;
    const batch = this.#merge(batches);
    // With a view, each cursor is of all its logs, from where they were before.
    const from = subscriber.view === undefined ? undefined : before.before;
    const seen = this.#views.seen(subscriber, batch, before.before);
    if (seen === undefined) return;
    // What another channel holds back, or held back until now, has an earlier position: the cursor must not pass it.
    subscriber.deliver(isHeld || this.#isLate(batch, from) ? this.#withoutIds(seen) : seen);
  }

  #isLate(batch: Batch, before: Positions | undefined): boolean {
    const known = this.#late;
    if (known?.of === batch && known.before === before) return known.isLate;
    const isLate = hasLate(batch, before);
    this.#late = { of: batch, before, isLate };
    return isLate;
  }

  // Connections that stand side by side are mostly on the same channels: join for the first, share with the rest.
  #merge(batches: readonly Batch[]): Batch {
    const [only] = batches;
    if (batches.length === 1 && only !== undefined) return only;
    if (this.#merged === undefined || !areSame(this.#merged.of, batches)) {
      this.#merged = { of: batches, batch: mergeBatches(batches) };
    }
    return this.#merged.batch;
  }

  #withoutIds(batch: Batch): Batch {
    if (this.#bare?.of !== batch) this.#bare = { of: batch, batch: withoutIds(batch) };
    return this.#bare.batch;
  }
}

/** A way through a channel's subscribers. */
interface Visit {
  readonly channel: Channel;
  readonly subscribers: SetIterator<Subscriber>;
  /** What all of them have when it ends; absent until it begins. */
  turn: number | undefined;
}

type Serve = (visit: Visit, endMs: number) => boolean;

/** Channels whose subscribers are to be gone through, each in its turn for as long as a slice. */
class Round {
  #waiting: (Channel | Visit)[] = [];
  #next = 0;

  push(channel: Channel): void {
    this.#waiting.push(channel);
  }

  /** False where the time was over before all were through. */
  serve(endMs: number, serve: Serve): boolean {
    for (let one = this.#waiting[this.#next]; one !== undefined; one = this.#waiting[this.#next]) {
      this.#next += 1;
      const visit = 'turn' in one ? one : begin(one);
      if (!serve(visit, endMs)) {
        this.#waiting.push(visit);
        this.#forget();
        return false;
      }
      // More came for it meanwhile.
      if (visit.channel.sealed !== undefined) this.#waiting.push(visit.channel);
    }
    this.#waiting = [];
    this.#next = 0;
    return true;
  }

  // Under load there may never be a turn in which all are through.
  #forget(): void {
    if (this.#next < 64 || this.#next * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}

function begin(channel: Channel): Visit {
  return { channel, subscribers: channel.subscribers.values(), turn: undefined };
}

/** A channel's batches from the one at `first` on, as one. */
function joined(channel: Channel, sealed: readonly Sealed[], first: number): Batch {
  const [from, to] = [sealed[first], sealed.at(-1)];
  const known = channel.joined;
  if (known !== undefined && known.from === from && known.to === to) return known.batch;
  const batch = makeBatch(sealed.slice(first).flatMap(({ batch: { frames } }) => frames));
  channel.joined = { from, to, batch };
  return batch;
}

function areSame(a: readonly Batch[], b: readonly Batch[]): boolean {
  return a.length === b.length && a.every((batch, index) => batch === b[index]);
}

/**
 * Whether something in a batch has a position that the cursor of a frame in front of it would cover: it was held back, and came
 * when others of its log had gone by. `before`: where the cursor begins, if not with the frames' own.
 */
function hasLate({ frames }: Batch, before: Positions | undefined): boolean {
  const reached = new Map<LogName, number>();
  let previous: Frame | undefined;
  let isCovered = false;
  for (const frame of frames) {
    if (!hasPosition(frame)) continue;
    const { log, offset, isNotice } = frame;
    const at = reached.get(log) ?? before?.(log as Log) ?? -1;
    // Frames of one message, side by side, are no matter among themselves: only the last of them has the cursor.
    if (!isOneOf(frame, previous)) isCovered = previous !== undefined && offset <= at;
    // A notice is of where its log is.
    if (isCovered && !isNotice) return true;
    reached.set(log, Math.max(at, offset));
    previous = frame;
  }
  return false;
}

/** Where the logs were when the turn before ended. */
function positionsOf(logs: readonly Log[]): Positions {
  const flushed = logs.map((log) => log.flushed);
  return (log) => flushed[logs.indexOf(log)] ?? 0;
}
