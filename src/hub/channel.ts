import { Timer, type TimerWheel } from '../clock.ts';
import type { RouteMetrics } from '../metrics.ts';
import type { Frame } from '../protocol/frame.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import type { Backlog } from './backlog.ts';
import type { History } from './history.ts';
import type { ArchiveStart, Publication, Sink, Source, Upstream } from './source.ts';
import type { Subscriber } from './subscriber.ts';

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
}

/** One channel with its subscribers, and what arrived for it in this turn. */
export class Channel implements Sink {
  readonly destination: Destination;
  readonly metrics: RouteMetrics;
  readonly source: Source;
  readonly history: History;
  readonly #missed: Backlog | undefined;
  readonly #joining: Backlog | undefined;
  readonly subscribers = new Set<Subscriber>();
  /**
   * Frames of this turn, not flushed yet; absent where there are none. An empty array kept for the next turn would grow
   * old and, once old, keep that turn's frames from being collected young: in `spread` each message cost 1.4 µs more.
   */
  frames: Frame[] | undefined;
  upstream: Upstream | undefined;
  /** Until the source has settled: who joins has nothing to be told yet. */
  opening = true;
  #waiting: (() => void)[] = [];
  /** Set while the source has said `unavailable` and not yet that it is available again. */
  unavailable = false;
  readonly #owner: ChannelOwner;
  readonly #linger: Timer;

  constructor({ owner, destination, metrics, source, history, missed, joining }: ChannelOptions) {
    this.#owner = owner;
    this.destination = destination;
    this.metrics = metrics;
    this.source = source;
    this.history = history;
    this.#missed = missed;
    this.#joining = joining;
    this.#linger = new Timer({ onDue: () => this.#owner.vacated(this) });
  }

  get name(): string {
    return this.destination.channel;
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

  publish(publication: Publication, offset?: number): void {
    this.#owner.publish(this, publication, offset);
  }

  gap(reason: GapReason): void {
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
}
