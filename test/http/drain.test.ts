import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../src/http/connection.ts';
import { type DrainOptions, drainConnections, drainSlot } from '../../src/http/drain.ts';
import { ManualClock } from '../support/clock.ts';

const options = (over: Partial<DrainOptions> = {}): DrainOptions => ({
  clock: new ManualClock(),
  retryMs: { min: 3000, max: 10_000 },
  timeoutMs: 25_000,
  reconnectRatePerSecond: 1000,
  ...over,
});

describe('the slot of a connection in a drain', () => {
  const counts = fc.integer({ min: 1, max: 100_000 });
  const rates = fc.integer({ min: 1, max: 10_000 });
  const timeouts = fc.integer({ min: 100, max: 120_000 });
  const slots = fc
    .tuple(counts, fc.nat(), rates, timeouts)
    .map(([count, nth, reconnectRatePerSecond, timeoutMs]) => {
      const index = nth % count;
      const random = ((nth * 7919) % 1000) / 1000;
      const settings = options({
        clock: new ManualClock({ random: () => random }),
        timeoutMs,
        reconnectRatePerSecond,
      });
      return { index, count, settings, random, slot: drainSlot(index, count, settings) };
    });

  it('brings its client back no sooner than the reconnect rate has a place for it, and no later than its jitter', () => {
    fc.assert(
      fc.property(slots, ({ index, settings, slot, random }) => {
        const placeMs = (index / settings.reconnectRatePerSecond) * 1000;
        // `retry:` is whole milliseconds.
        expect(Math.abs(slot.closeMs + slot.retryMs - (placeMs + 3000 + random * 7000))).toBeLessThanOrEqual(
          0.51,
        );
      }),
      { numRuns: 500 },
    );
  });

  it('leaves a fifth of the time-out to readers that are behind', () => {
    fc.assert(
      fc.property(slots, ({ slot, settings }) => {
        expect(slot.closeMs).toBeGreaterThanOrEqual(0);
        expect(slot.closeMs).toBeLessThanOrEqual(0.8 * settings.timeoutMs);
      }),
    );
  });

  it('comes after the slots before it, evenly spread', () => {
    const closes = Array.from(
      { length: 100 },
      (_, index) => drainSlot(index, 100, options({ reconnectRatePerSecond: 1 })).closeMs,
    );
    const steps = closes.slice(1).map((closeMs, index) => Math.round(closeMs - (closes[index] ?? 0)));
    expect([closes[0], ...new Set(steps)]).toEqual([0, 200]);
  });
});

describe('a drain', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Streams that end when they are told to, or only when they are cut off. */
  function setUp(
    count: number,
    { stuck = 0, over = {} }: { stuck?: number; over?: Partial<DrainOptions> } = {},
  ) {
    const clock = new ManualClock();
    const live = new Set<Connection>();
    const told: { id: number; retryMs: number; atMs: number }[] = [];
    const cut: number[] = [];
    for (let id = 0; id < count; id += 1) {
      const connection = {
        close(_: string, retryMs: number) {
          told.push({ id, retryMs, atMs: clock.now() });
          if (id >= stuck) live.delete(connection);
        },
        abort() {
          cut.push(id);
          live.delete(connection);
        },
      } as unknown as Connection;
      live.add(connection);
    }
    const settings = options({ clock, ...over });
    let done = false;
    const drained = drainConnections(live, settings).then(() => {
      done = true;
    });
    const pass = async (ms: number) => {
      for (let i = 0; i < ms; i += 20) {
        clock.advance(20);
        await vi.advanceTimersByTimeAsync(20);
      }
    };
    return { live, told, cut, drained, pass, isDone: () => done };
  }

  it('of nothing is done at once', async () => {
    await setUp(0).drained;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tells each stream once, spread at the reconnect rate, and is done when the last has ended', async () => {
    const { told, cut, pass, isDone } = setUp(10, { over: { reconnectRatePerSecond: 10 } });
    await pass(500);
    expect(told.length).toBeGreaterThan(3);
    expect(told.length).toBeLessThan(8);
    expect(isDone()).toBe(false);
    await pass(500);
    expect(told.map(({ id }) => id).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([isDone(), cut, vi.getTimerCount()]).toEqual([true, [], 0]);
  });

  it('does not go by age', async () => {
    const { told, pass } = setUp(100, { over: { reconnectRatePerSecond: 1e9 } });
    await pass(20);
    const order = told.map(({ id }) => id);
    const byAge = [...order].sort((a, b) => a - b);
    expect(byAge).toEqual(Array.from({ length: 100 }, (_, id) => id));
    expect(order).not.toEqual(byAge);
  });

  it('cuts off at the time-out who does not read the farewell', async () => {
    const { cut, pass, isDone } = setUp(5, { stuck: 2, over: { timeoutMs: 1000 } });
    await pass(980);
    expect([cut, isDone()]).toEqual([[], false]);
    await pass(40);
    expect([cut, isDone()]).toEqual([[0, 1], true]);
  });
});
