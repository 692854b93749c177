import type { Clock, TimerWheel } from '../clock.ts';
import type { RouteMetrics } from '../metrics.ts';
import type { Publication } from './source.ts';

/** Most bytes of payloads that one stage holds back for one channel, but for the last publication that it took. */
export const MAX_HELD_BYTES = 1024 * 1024;

/** A publication on its way to its channel. */
export interface Passing {
  readonly publication: Publication;
  /** Its position, where its source's log has its own. */
  readonly offset: number | undefined;
}

/** Holds publications back, or lets them pass, each at its own time; never one before another that came earlier. */
export interface Stage {
  push(passing: Passing): void;
  /** Lets go of all that it holds. */
  release(): void;
  /** The earliest offset that it holds; Infinity where it holds nothing that has one. */
  readonly heldAt: number;
}

export interface StageOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly metrics: RouteMetrics;
  readonly next: (passing: Passing) => void;
}
