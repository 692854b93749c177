import { type Clock, type Due, Timer, type TimerWheel } from '../../clock.ts';
import type { Metrics } from '../../metrics.ts';

/** A second, each. */
export interface Rates {
  readonly publications: number;
  readonly deliveries: number;
  readonly sentBytes: number;
  readonly connects: number;
}

interface Sample extends Rates {
  readonly atMs: number;
}

const EVERY_MS = 1000;
/** Samples of the longest time that is asked for, and the one before. */
const KEPT = 61;

/** How fast the counters go: they are looked at once a second, and nothing is done where they are counted. */
export class RateMeter implements Due {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #timer = new Timer(this);
  /** Called each second. */
  readonly #ticked: () => void;
  /** Oldest first. */
  #samples: Sample[] = [];

  constructor(metrics: Metrics, clock: Clock, wheel: TimerWheel, ticked: () => void = () => undefined) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#wheel = wheel;
    this.#ticked = ticked;
  }

  start(): void {
    this.onDue();
  }

  stop(): void {
    this.#wheel.cancel(this.#timer);
  }

  onDue(): void {
    this.#samples.push(this.#now());
    if (this.#samples.length > KEPT) this.#samples.shift();
    this.#ticked();
    this.#wheel.schedule(this.#timer, EVERY_MS);
  }

  /** Over the last so many seconds, 60 at most; since the start where that is less. */
  over(seconds: number): Rates {
    const now = this.#now();
    const since = this.#samples.findLast(({ atMs }) => atMs <= now.atMs - seconds * 1000) ?? this.#samples[0];
    const elapsed = since === undefined ? 0 : (now.atMs - since.atMs) / 1000;
    const rate = (key: keyof Rates) =>
      since === undefined || elapsed <= 0 ? 0 : rounded((now[key] - since[key]) / elapsed);
    return {
      publications: rate('publications'),
      deliveries: rate('deliveries'),
      sentBytes: rate('sentBytes'),
      connects: rate('connects'),
    };
  }

  #now(): Sample {
    const { sentBytes, connectionsOpened, routes } = this.#metrics;
    let [publications, deliveries] = [0, 0];
    for (const route of routes.values()) {
      publications += route.publications;
      deliveries += route.deliveries;
    }
    return { atMs: this.#clock.now(), publications, deliveries, sentBytes, connects: connectionsOpened };
  }
}

/** To a hundredth. */
export function rounded(rate: number): number {
  return Math.round(rate * 100) / 100;
}
