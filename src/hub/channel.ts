import { type Clock, Timer, type TimerWheel } from '../clock.ts';
import type { RouteMetrics } from '../metrics.ts';
import type { Batch } from '../protocol/batch.ts';
import type { Frame, Lane } from '../protocol/frame.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import type { Backlog } from './backlog.ts';
import type { History } from './history.ts';
import type { View } from './log.ts';
import type { Sealed } from './sealed.ts';
import { createShaper, isShaped, type Shaper } from './shaper.ts';
import type { ArchiveStart, Publication, Sink, Source, Upstream } from './source.ts';
import type { Passing } from './stage.ts';

/** What the hub knows of a connection: somebody who takes batches. */
export interface Subscriber {
  /** What it is on. The hub's to write. */
  readonly channels: Channel[];
  /** The last turn of which it has been given everything. The hub's to write. */
  turn: number;
  /** Set where a frame's own `id:` is not the connection's cursor, or not every frame is for it. The hub's to write. */
  view: View | undefined;
  /** Set where it only holds a channel open for somebody else: it does not attend it. */
  readonly isProxy?: true;
  /** Takes the bytes of some turns, in order; writes them or queues references to them. Never throws. */
  deliver(batch: Batch): void;
}

/** What a channel asks of the hub that holds it. */
export interface ChannelOwner {
  publish(channel: Channel, publication: Publication, offset: number | undefined): void;
  gap(channel: Channel, reason: GapReason): void;
  settled(channel: Channel): void;
  vacated(channel: Channel): void;
}

export interface ChannelOptions {
  readonly owner: ChannelOwner;
  readonly destination: Destination;
  readonly metrics: RouteMetrics;
  readonly source: Source;
  readonly history: History;
  /** For who comes back. Absent where what memory no longer holds is gone. */
  readonly missed: Backlog | undefined;
  /** For who joins without a cursor. Absent also where they are sent nothing. */
  readonly joining: Backlog | undefined;
  /** For what the route does to the pace. Absent only where a test has no use for it. */
  readonly timing?: { readonly clock: Clock; readonly wheel: TimerWheel };
}

export type Retargeting = Pick<ChannelOptions, 'destination' | 'metrics' | 'source' | 'missed' | 'joining'>;

/** One channel with its subscribers, and what arrived for it in this turn. */
export class Channel implements Sink {
  /** With the next three by its route, which may become another: {@link retarget}. */
  destination: Destination;
  metrics: RouteMetrics;
  source: Source;
  /** Of its frames: what a reader that is behind may be spared. */
  lane: Lane | undefined;
  readonly history: History;
  readonly subscribers = new Set<Subscriber>();
  /** Whether its name means something else by now: it is there for those who have not left it yet. The hub's to write. */
  isDetached = false;
  /**
   * Frames of this turn, not sealed yet; absent where there are none. An empty array kept for the next turn would grow
   * old and, once old, keep that turn's frames from being collected young: in `spread` each message cost 1.4 µs more.
   */
  frames: Frame[] | undefined;
  /** When the first of them came, in milliseconds. */
  arrivedMs = 0;
  /** What earlier turns brought and not all subscribers have been given yet, oldest first; absent where there is none. */
  sealed: Sealed[] | undefined;
  /** Some of that as one batch, for all who are to have just this. */
  joined:
    | { readonly from: Sealed | undefined; readonly to: Sealed | undefined; readonly batch: Batch }
    | undefined;
  upstream: Upstream | undefined;
  /** Until the source has settled: who joins has nothing to be told yet. */
  opening = true;
  #waiting: (() => void)[] = [];
  /** Set while the source has said `unavailable` and not yet that it is available again. */
  unavailable = false;
  /** In milliseconds since the Unix epoch; 0 where a test has no use for it. */
  readonly openedMs: number;
  readonly #owner: ChannelOwner;
  readonly #timing: ChannelOptions['timing'];
  readonly #linger: Timer;
  #missed: Backlog | undefined;
  #joining: Backlog | undefined;
  #shaper: Shaper | undefined;

  constructor(options: ChannelOptions) {
    const { owner, destination, metrics, source, history, missed, joining, timing } = options;
    this.#owner = owner;
    this.#timing = timing;
    this.destination = destination;
    this.metrics = metrics;
    this.source = source;
    this.history = history;
    this.#missed = missed;
    this.#joining = joining;
    this.lane = laneOf(destination, metrics);
    this.#shaper = this.#shaperOf(destination);
    this.openedMs = timing?.clock.wall() ?? 0;
    this.#linger = new Timer({ onDue: () => this.#owner.vacated(this) });
  }

  /** Goes by another route from here on, whose source has the same log. What was held back has been released. */
  retarget({ destination, metrics, source, missed, joining }: Retargeting): void {
    this.closeBacklogs();
    this.destination = destination;
    this.metrics = metrics;
    this.source = source;
    this.#missed = missed;
    this.#joining = joining;
    this.lane = laneOf(destination, metrics);
    this.#shaper = this.#shaperOf(destination);
  }

  get name(): string {
    return this.destination.channel;
  }

  get subscriptionCount(): number {
    return this.subscribers.size;
  }

  /** Where what memory does not hold of what `start` asks for is read again. */
  backlogOf(start: ArchiveStart): Backlog | undefined {
    return start.kind === 'after' ? this.#missed : this.#joining;
  }

  /** Lets go of what was read again. */
  closeBacklogs(): void {
    this.#missed?.close();
    this.#joining?.close();
  }

  /** The earliest position of what is held back; Infinity where nothing is that has one. No cursor may pass it. */
  get heldAt(): number {
    return this.#shaper?.heldAt ?? Infinity;
  }

  /** Publishes what is held back. */
  release(): void {
    this.#shaper?.release();
  }

  publish(publication: Publication, offset?: number): void {
    if (this.#shaper === undefined) this.#owner.publish(this, publication, offset);
    else this.#shaper.publish(publication, offset);
  }

  gap(reason: GapReason): void {
    // What came before the gap is told before it.
    this.release();
    this.#owner.gap(this, reason);
  }

  settled(): void {
    if (!this.opening) return;
    this.opening = false;
    this.#owner.settled(this);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }

  /** Calls back when the channel is no longer {@link opening}. */
  whenSettled(callback: () => void): void {
    if (this.opening) this.#waiting.push(callback);
    else callback();
  }

  linger(wheel: TimerWheel): void {
    wheel.schedule(this.#linger, this.destination.route.config.lingerMs);
  }

  stay(wheel: TimerWheel): void {
    wheel.cancel(this.#linger);
  }

  #shaperOf({ route: { config } }: Destination): Shaper | undefined {
    if (this.#timing === undefined || !isShaped(config)) return undefined;
    const { clock, wheel } = this.#timing;
    const next = ({ publication, offset }: Passing) => this.#owner.publish(this, publication, offset);
    return createShaper(config, { clock, wheel, metrics: this.metrics, next });
  }
}

function laneOf({ route, channel }: Destination, { skipped: counts }: RouteMetrics): Lane | undefined {
  const { slow } = route.config;
  return slow === 'close' ? undefined : { channel, policy: slow, counts };
}
