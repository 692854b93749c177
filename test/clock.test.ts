import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jitter, TICK_MS, Timer, TimerWheel } from '../src/clock.ts';
import { ManualClock } from './support/clock.ts';

/** One turn of the wheel; the tests only need to go well beyond it. */
const REVOLUTION_MS = 512 * TICK_MS;
const TIMERS = 5;

type Action =
  | { readonly kind: 'schedule'; readonly timer: number; readonly delayMs: number }
  | { readonly kind: 'cancel'; readonly timer: number };
/** `turn` says whether the wheel is called at the new time, or only later. */
type Step = Action | { readonly kind: 'pass'; readonly ms: number; readonly turn: boolean };

const timer = fc.nat({ max: TIMERS - 1 });
const delayMs = fc.oneof(
  fc.constantFrom(
    0,
    1,
    TICK_MS - 1,
    TICK_MS,
    TICK_MS + 1,
    REVOLUTION_MS - 1,
    REVOLUTION_MS,
    REVOLUTION_MS + 1,
  ),
  // Quarters are exact in binary: no test hangs on how a sum is rounded.
  fc.integer({ min: 0, max: 4 * 1000 }).map((quarters) => quarters / 4),
  fc.integer({ min: 0, max: 4 * REVOLUTION_MS }),
);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('schedule' as const), timer, delayMs }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), timer }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  action,
  fc.record({ kind: fc.constant('pass' as const), ms: delayMs, turn: fc.boolean() }),
);

/** A wheel beside the simplest thing that could do its work: when each timer is due. */
class Model {
  readonly clock: ManualClock;
  readonly wheel: TimerWheel;
  readonly dueMs = new Map<number, number>();
  fired = 0;
  readonly #timers: Timer[];

  constructor(startMs: number, reactions: readonly (readonly Action[])[]) {
    this.clock = new ManualClock({ nowMs: startMs });
    this.wheel = new TimerWheel(this.clock);
    this.#timers = Array.from({ length: TIMERS }, (_, index) => {
      const left = [...(reactions[index] ?? [])];
      return new Timer({ onDue: (nowMs) => this.#onDue(index, nowMs, left) });
    });
  }

  act(action: Action): void {
    const timer = this.#timers[action.timer];
    if (timer === undefined) return;
    if (action.kind === 'cancel') {
      this.dueMs.delete(action.timer);
      this.wheel.cancel(timer);
    } else {
      this.dueMs.set(action.timer, this.clock.now() + action.delayMs);
      this.wheel.schedule(timer, action.delayMs);
    }
  }

  pass(ms: number, turn: boolean): void {
    this.clock.advance(ms);
    if (!turn) return;
    this.wheel.advance();
    for (const [index, dueMs] of this.dueMs) {
      expect(dueMs + TICK_MS, `timer ${index} is overdue at ${this.clock.now()}`).toBeGreaterThan(
        this.clock.now(),
      );
    }
  }

  #onDue(index: number, nowMs: number, left: Action[]): void {
    const dueMs = this.dueMs.get(index);
    expect(nowMs).toBe(this.clock.now());
    expect(dueMs, `timer ${index} was not scheduled, or fires twice`).toBeDefined();
    expect(dueMs, `timer ${index} fires early`).toBeLessThanOrEqual(nowMs);
    this.dueMs.delete(index);
    this.fired += 1;
    // What `onDue` does to this and to other timers, one thing each time it runs.
    const reaction = left.shift();
    if (reaction !== undefined) this.act(reaction);
  }
}

describe('the timer wheel', () => {
  it('fires each timer once, never early, at most a tick late, whatever is scheduled, moved and cancelled, from callbacks too', () => {
    let fired = 0;
    fc.assert(
      fc.property(
        // On a tick or off it, in the first turn of the wheel or later.
        fc.oneof(fc.constantFrom(0, TICK_MS, REVOLUTION_MS), fc.nat({ max: 3 * REVOLUTION_MS })),
        fc.array(fc.array(action, { maxLength: 4 }), { minLength: TIMERS, maxLength: TIMERS }),
        fc.array(step, { maxLength: 40, size: 'max' }),
        (startMs, reactions, steps) => {
          const model = new Model(startMs, reactions);
          for (const step of steps) {
            if (step.kind === 'pass') model.pass(step.ms, step.turn);
            else model.act(step);
          }
          // Whatever is left comes, once enough time has passed: each reaction may have scheduled more.
          for (let turn = 0; turn < 30; turn += 1) model.pass(5 * REVOLUTION_MS, true);
          expect([...model.dueMs]).toEqual([]);
          fired += model.fired;
        },
      ),
      { numRuns: 1000 },
    );
    expect(fired).toBeGreaterThan(1000);
  });

  it('keeps what is due in a later turn of the wheel until then', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const fired: number[] = [];
    wheel.schedule(new Timer({ onDue: (nowMs) => void fired.push(nowMs) }), 2 * REVOLUTION_MS + 250);
    while (clock.now() < 3 * REVOLUTION_MS) {
      clock.advance(TICK_MS);
      wheel.advance();
    }
    expect(fired).toEqual([2 * REVOLUTION_MS + 300]);
  });

  it('does not fire what another callback of the same moment has cancelled or moved', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const fired: string[] = [];
    const timers = ['a', 'b', 'c'].map((name) => new Timer({ onDue: () => first(name) }));
    function first(name: string) {
      fired.push(name);
      for (const timer of timers) wheel.cancel(timer);
      const [, , moved] = timers;
      if (fired.length === 1 && moved !== undefined) wheel.schedule(moved, 1000);
    }
    for (const timer of timers) wheel.schedule(timer, 50);
    clock.advance(TICK_MS);
    wheel.advance();
    expect(fired).toHaveLength(1);
    clock.advance(1000 + TICK_MS);
    wheel.advance();
    expect(fired.slice(1)).toEqual(['c']);
  });

  it('lets a timer that was never scheduled be cancelled', () => {
    const wheel = new TimerWheel(new ManualClock());
    expect(() => wheel.cancel(new Timer({ onDue: () => undefined }))).not.toThrow();
  });
});

describe('jitter', () => {
  it('stays between its bounds and reaches the lower one', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (min, more, random) => {
          const value = jitter(new ManualClock({ random: () => random }), min, min + more);
          expect(value).toBeGreaterThanOrEqual(min);
          expect(value).toBeLessThanOrEqual(min + more);
        },
      ),
    );
    expect(jitter(new ManualClock({ random: () => 0 }), 3, 10)).toBe(3);
  });
});
