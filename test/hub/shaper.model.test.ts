import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { setUpShaper } from './shaping.ts';

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ push: fc.constantFrom('a', 'b', 'c') }) },
  { weight: 2, arbitrary: fc.record({ passMs: fc.integer({ min: 1, max: 1500 }) }) },
  { weight: 1, arbitrary: fc.constant({ release: true } as const) },
);
const steps = fc.array(step, { maxLength: 60 });
const throttleMs = fc.constantFrom(100, 250, 1000);
const rateLimit = fc.record({
  ratePerSecond: fc.constantFrom(0.5, 3, 40),
  burst: fc.constantFrom(1, 2, 10),
  over: fc.constantFrom('drop', 'latest'),
});
const batch = fc.record({ windowMs: fc.constantFrom(100, 700), as: fc.constant('events' as const) });
const any: fc.Arbitrary<Partial<RouteConfig>> = fc
  .record(
    { throttleMs: fc.option(throttleMs, { nil: 0 }), rateLimit, batch },
    { requiredKeys: ['throttleMs'] },
  )
  .filter((policy) => policy.throttleMs > 0 || 'batch' in policy || 'rateLimit' in policy);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Takes the steps; `look` is called after each. Gives all that was pushed: its key and offset. */
function take(shaping: ReturnType<typeof setUpShaper>, steps: readonly Step[], look: () => void = () => {}) {
  const pushed: { key: string; offset: number }[] = [];
  for (const step of steps) {
    if ('push' in step) pushed.push({ key: step.push, offset: shaping.push(step.push) });
    else if ('passMs' in step) shaping.pass(step.passMs);
    else shaping.shaper.release();
    look();
  }
  return pushed;
}

/** One window after the other: what is due, and from when on. */
class Model {
  readonly passed: number[] = [];
  readonly #throttleMs: number;
  readonly #held = new Map<string, number>();
  #untilMs = -Infinity;

  constructor(throttleMs: number) {
    this.#throttleMs = throttleMs;
  }

  push(key: string, offset: number, nowMs: number): void {
    if (this.#held.size > 0 || nowMs < this.#untilMs) this.#held.set(key, offset);
    else {
      this.passed.push(offset);
      this.#untilMs = nowMs + this.#throttleMs;
    }
  }

  /** When something was released: no sooner than it may, and no later than the wheel allows, advanced every 50 ms. */
  released([atMs]: readonly number[]): void {
    if (atMs === undefined) return;
    expect(atMs).toBeGreaterThanOrEqual(this.#untilMs);
    expect(atMs).toBeLessThanOrEqual(this.#untilMs + 150);
    this.passed.push(...[...this.#held.values()].sort((a, b) => a - b));
    this.#held.clear();
    this.#untilMs = atMs + this.#throttleMs;
  }
}

describe('whatever is published, and whenever', () => {
  it('offsets ascend, and none is passed on at or behind which something is still held', () => {
    fc.assert(
      fc.property(any, steps, (policy, steps) => {
        const shaping = setUpShaper(policy);
        const { passed, shaper } = shaping;
        let seen = 0;
        let heldAt = Infinity;
        take(shaping, steps, () => {
          for (const { offset = 0 } of passed.slice(seen))
            expect(offset).toBeGreaterThan(passed[seen - 1]?.offset ?? 0);
          seen = passed.length;
          heldAt = shaper.heldAt;
          expect(heldAt).toBeGreaterThan(passed.at(-1)?.offset ?? 0);
        });
        // What was said to be held is what goes next, or what took its place in another stage.
        shaper.release();
        expect(passed.length > seen).toBe(heldAt < Infinity);
        expect(passed[seen]?.offset ?? Infinity).toBeGreaterThanOrEqual(heldAt);
        const offsets = passed.map(({ offset = 0 }) => offset);
        expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
      }),
    );
  });

  it('nothing is held or scheduled after a release, and nothing comes later', () => {
    fc.assert(
      fc.property(any, steps, (policy, steps) => {
        const shaping = setUpShaper(policy);
        take(shaping, steps);
        shaping.shaper.release();
        expect(shaping.shaper.heldAt).toBe(Infinity);
        expect(shaping.wheel.scheduled.size).toBe(0);
        const count = shaping.passed.length;
        shaping.pass(60_000);
        expect(shaping.passed).toHaveLength(count);
      }),
    );
  });

  it('the last of each key arrives, unless it was over a rate that drops', () => {
    fc.assert(
      fc.property(any, steps, (policy, steps) => {
        fc.pre(policy.rateLimit?.over !== 'drop');
        const shaping = setUpShaper(policy);
        const last = new Map(take(shaping, steps).map(({ key, offset }) => [key, offset]));
        shaping.pass(20_000);
        const arrived = new Map(shaping.passed.map(({ publication, offset }) => [publication.key, offset]));
        expect(arrived).toEqual(last);
      }),
    );
  });

  it('each is passed on or counted', () => {
    fc.assert(
      fc.property(any, steps, (policy, steps) => {
        const shaping = setUpShaper(policy);
        const pushed = take(shaping, steps);
        shaping.shaper.release();
        const { shaped, publications } = shaping.metrics;
        expect(shaping.passed.length + shaped.throttled + shaped['rate-limited']).toBe(pushed.length);
        expect(publications).toBe(pushed.length);
      }),
    );
  });

  it('a batch of events is all there was, in order', () => {
    fc.assert(
      fc.property(batch, steps, (batch, steps) => {
        const shaping = setUpShaper({ batch });
        const pushed = take(shaping, steps);
        shaping.shaper.release();
        expect(shaping.passed.map(({ offset }) => offset)).toEqual(pushed.map(({ offset }) => offset));
      }),
    );
  });

  const undisturbed = steps.map((steps) => steps.filter((step) => !('release' in step)));

  it('a throttled channel passes at most one of each key in an interval', () => {
    fc.assert(
      fc.property(throttleMs, undisturbed, (throttleMs, steps) => {
        const shaping = setUpShaper({ throttleMs });
        take(shaping, steps);
        shaping.pass(throttleMs + 100);
        const before = new Map<string | undefined, number>();
        for (const { publication, atMs } of shaping.passed) {
          expect(atMs - (before.get(publication.key) ?? -Infinity)).toBeGreaterThanOrEqual(throttleMs);
          before.set(publication.key, atMs);
        }
      }),
    );
  });

  it('a throttled channel passes what a simple model does', () => {
    fc.assert(
      fc.property(throttleMs, undisturbed, (throttleMs, steps) => {
        const shaping = setUpShaper({ throttleMs });
        const { passed, clock } = shaping;
        const model = new Model(throttleMs);
        let seen = 0;
        for (const step of steps) {
          const pushedMs = clock.now();
          const [pushed] = take(shaping, [step]);
          if (pushed === undefined) model.released(passed.slice(seen).map(({ atMs }) => atMs));
          else model.push(pushed.key, pushed.offset, pushedMs);
          seen = passed.length;
          expect(passed.map(({ offset }) => offset)).toEqual(model.passed);
        }
      }),
    );
  });

  it('a channel with a rate limit never passes more than the burst and what the rate has given, and a tick', () => {
    fc.assert(
      fc.property(rateLimit, undisturbed, (rateLimit, steps) => {
        const shaping = setUpShaper({ rateLimit });
        const { ratePerSecond, burst } = rateLimit;
        take(shaping, steps);
        const { passed } = shaping;
        passed.forEach(({ atMs }, first) => {
          passed.slice(first).forEach((last, more) => {
            const given = burst + ((last.atMs - atMs + 100) / 1000) * ratePerSecond;
            expect(more + 1).toBeLessThanOrEqual(given + 1e-6);
          });
        });
      }),
    );
  });
});
