import type { Clock } from '../../src/clock.ts';

export interface ManualClockOptions {
  /** Where `now()` starts, in milliseconds. Default 0. */
  readonly nowMs?: number;
  /** Where `wall()` starts, in milliseconds since the Unix epoch. Default 2026-01-01. */
  readonly wallMs?: number;
  /** Default: always one half, the middle of every jitter. */
  readonly random?: () => number;
}

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  /** May be replaced in the middle of a test. */
  random: () => number;
  #nowMs: number;
  #wallMs: number;

  constructor({ nowMs = 0, wallMs = Date.UTC(2026, 0, 1), random = () => 0.5 }: ManualClockOptions = {}) {
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
    this.random = random;
  }

  now(): number {
    return this.#nowMs;
  }

  wall(): number {
    return this.#wallMs;
  }

  /** Moves both times on by `ms` milliseconds, which may be a fraction but not negative. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new TypeError(`time cannot move by ${ms}`);
    this.#nowMs += ms;
    this.#wallMs += ms;
  }
}
