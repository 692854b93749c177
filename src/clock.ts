/** Time and chance, as the parts see them. Tests inject their own; nothing else calls `Date.now` or `Math.random`. */
export interface Clock {
  /** Milliseconds that only ever grow; for durations. */
  now(): number;
  /** Milliseconds since the Unix epoch; for what people read. */
  wall(): number;
  /** From 0 up to, not including, 1. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  random: () => Math.random(),
};

/** Somewhere from `min` to `max`, evenly. */
export function jitter(clock: Clock, min: number, max: number): number {
  return min + clock.random() * (max - min);
}

/** Resolution of the wheel, in milliseconds. What is due fires at most this much late. */
export const TICK_MS = 100;
const SLOTS = 512;

/** What the wheel calls. It must not throw. */
export interface Due {
  onDue(nowMs: number): void;
}

/** A place in the wheel. Owned by whoever scheduled it; may be moved and removed at any time, even from `onDue`. */
export class Timer implements Due {
  dueMs = 0;
  previous: Timer | undefined;
  next: Timer | undefined;
  slot: number | undefined;
  readonly #owner: Due;

  constructor(owner: Due) {
    this.#owner = owner;
  }

  onDue(nowMs: number): void {
    this.#owner.onDue(nowMs);
  }
}

/**
 * One timer for everybody: heartbeats, maximum age, stalled readers, lingering channels. A timer each would cost
 * 10,000 connections 10,000 heap nodes and as many wake-ups; here scheduling and cancelling are a few pointer writes.
 * A hashed wheel (Varghese & Lauck 1987, scheme 6): what is due in a later turn of the wheel stays in its slot.
 */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #slots: (Timer | undefined)[] = new Array<Timer | undefined>(SLOTS).fill(undefined);
  #tick: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#tick = Math.floor(clock.now() / TICK_MS);
  }

  /** Makes `timer` fire once, `delayMs` from now; where it is already scheduled, it is moved. */
  schedule(timer: Timer, delayMs: number): void {
    this.cancel(timer);
    timer.dueMs = this.#clock.now() + delayMs;
    // At least one tick ahead: the present slot may just be being walked.
    const tick = Math.max(Math.ceil(timer.dueMs / TICK_MS), this.#tick + 1);
    const slot = tick % SLOTS;
    const head = this.#slots[slot];
    timer.slot = slot;
    timer.next = head;
    if (head !== undefined) head.previous = timer;
    this.#slots[slot] = timer;
  }

  cancel(timer: Timer): void {
    if (timer.slot === undefined) return;
    if (timer.previous === undefined) this.#slots[timer.slot] = timer.next;
    else timer.previous.next = timer.next;
    if (timer.next !== undefined) timer.next.previous = timer.previous;
    timer.previous = undefined;
    timer.next = undefined;
    timer.slot = undefined;
  }

  /** Fires what is due. Called every {@link TICK_MS} or so; a late call catches up. */
  advance(): void {
    const nowMs = this.#clock.now();
    const last = Math.floor(nowMs / TICK_MS);
    const ticks = Math.min(last - this.#tick, SLOTS);
    for (let i = ticks - 1; i >= 0; i -= 1) {
      this.#tick = last - i;
      this.#fire(this.#tick % SLOTS, nowMs);
    }
  }

  // The due are unlinked before any of them runs: `onDue` may schedule or cancel any timer, the next one included.
  #fire(slot: number, nowMs: number): void {
    const due: Timer[] = [];
    for (let timer = this.#slots[slot]; timer !== undefined; timer = timer.next) {
      if (timer.dueMs <= nowMs) due.push(timer);
    }
    for (const timer of due) {
      if (timer.slot !== slot || timer.dueMs > nowMs) continue;
      this.cancel(timer);
      timer.onDue(nowMs);
    }
  }
}
