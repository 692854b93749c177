import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../src/clock.ts';
import { ClusterPeak } from '../../src/control/reading/cluster-peak.ts';
import { countDistinct, printsOf } from '../../src/control/reading/distinct.ts';
import { RateMeter } from '../../src/control/reading/rates.ts';
import { Metrics } from '../../src/metrics.ts';
import { ManualClock } from '../support/clock.ts';

describe('the users of several instances', () => {
  const namesOf = (users: ReadonlySet<string>, maxBytes = 100_000) => {
    const prints = printsOf(users, maxBytes);
    return { count: users.size, ...(prints !== undefined && { prints }) };
  };

  it('are counted once each, wherever they are', () => {
    const users = fc.array(fc.uniqueArray(fc.string({ maxLength: 12 }), { maxLength: 30 }), { maxLength: 4 });
    fc.assert(
      fc.property(users, (all) => {
        expect(countDistinct(all.map((names) => namesOf(new Set(names))))).toEqual({
          count: new Set(all.flat()).size,
          exact: true,
        });
      }),
    );
  });

  it('are at most so many where there are too many to tell them apart, and that is said', () => {
    const many = new Set(Array.from({ length: 1000 }, (_, i) => `user-${i}`));
    expect(printsOf(many, 8000)).toBeDefined();
    expect(printsOf(many, 7999)).toBeUndefined();
    const parts = [namesOf(many, 100), namesOf(new Set(['user-1', 'other']))];
    expect(countDistinct(parts)).toEqual({ count: 1002, exact: false });
    expect(countDistinct([namesOf(many, 100)])).toEqual({ count: 1000, exact: true });
  });

  it('are not named', () => {
    const prints = Buffer.from(printsOf(new Set(['alice', 'bob']), 1000) ?? '', 'base64');
    expect(prints).toHaveLength(12);
    expect(prints.toString('latin1')).not.toContain('alice');
  });

  it('do not become one by looking alike', () => {
    const count = 200_000;
    const parts = [0, 1].map((half) =>
      namesOf(new Set(Array.from({ length: count / 2 }, (_, i) => `${half * (count / 2) + i}`)), 10_000_000),
    );
    expect(countDistinct(parts)).toEqual({ count, exact: true });
  });
});

function setUpMeter() {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const metrics = new Metrics();
  const meter = new RateMeter(metrics, clock, wheel);
  const pass = (seconds: number, each: () => void = () => undefined) => {
    for (let second = 0; second < seconds; second += 1) {
      each();
      for (let tick = 0; tick < 10; tick += 1) {
        clock.advance(100);
        wheel.advance();
      }
    }
  };
  return { meter, metrics, pass };
}

describe('rates', () => {
  it('are of the last seconds only', () => {
    const { meter, metrics, pass } = setUpMeter();
    meter.start();
    const route = metrics.route('r');
    pass(90, () => {
      route.publications += 6;
      route.deliveries += 12;
      metrics.sentBytes += 600;
      metrics.opened(0);
    });
    const steady = { publications: 6, deliveries: 12, sentBytes: 600, connects: 1 };
    for (const seconds of [10, 60])
      for (const [name, rate] of Object.entries(meter.over(seconds)))
        expect(rate, `${name} over ${seconds} s`).toBeCloseTo(steady[name as keyof typeof steady], 0);
    pass(15);
    expect(meter.over(10)).toEqual({ publications: 0, deliveries: 0, sentBytes: 0, connects: 0 });
    expect(meter.over(60).publications).toBeGreaterThan(3);
  });

  it('are since the start where that is less long ago, and nothing at the start', () => {
    const { meter, metrics, pass } = setUpMeter();
    meter.start();
    metrics.route('r').publications += 8;
    expect(meter.over(60).publications).toBe(0);
    pass(4);
    expect(meter.over(60).publications).toBe(2);
  });

  it('cost nothing more once they are no longer measured', () => {
    const { meter, metrics, pass } = setUpMeter();
    meter.start();
    meter.stop();
    metrics.route('r').publications += 8;
    pass(4);
    expect(meter.over(1).publications).toBe(2);
  });
});

describe('the most streams at once', () => {
  const peer = (instance: string) => ({ instance, host: 'h', version: '1', startedMs: 0 });

  it('of one instance is the first moment at which there were most', () => {
    const metrics = new Metrics();
    metrics.opened(1000);
    metrics.opened(2000);
    metrics.connections -= 1;
    metrics.opened(3000);
    expect(metrics).toMatchObject({ connections: 2, connectionsPeak: 2, connectionsPeakMs: 2000 });
  });

  it('of the cluster is what all had together, not the sum of what each had at its own time', () => {
    const [clock, metrics] = [new ManualClock(), new Metrics()];
    const peak = new ClusterPeak(metrics, clock);
    for (let i = 0; i < 10; i += 1) metrics.opened(clock.wall());
    peak.hear('b', 1);
    peak.look();
    const atMs = clock.wall();
    clock.advance(1000);
    metrics.connections -= 9;
    peak.hear('b', 9);
    peak.look();
    expect(peak.peak).toEqual({ connections: 11, atMs });
    expect(peak.tell()).toBe(1);
  });

  it('does not go on counting who is gone, nor what nobody can have', () => {
    const peak = new ClusterPeak(new Metrics(), new ManualClock());
    peak.hear('b', 5);
    peak.vanished(peer('b'));
    for (const value of [-1, 1.5, 'many', null, Number.POSITIVE_INFINITY]) peak.hear('c', value);
    peak.look();
    expect(peak.peak.connections).toBe(0);
  });

  it('is no less than what this instance had between two looks', () => {
    const metrics = new Metrics();
    const peak = new ClusterPeak(metrics, new ManualClock());
    for (let i = 0; i < 3; i += 1) metrics.opened(1000);
    metrics.connections = 0;
    peak.look();
    expect(peak.peak).toEqual({ connections: 3, atMs: 1000 });
  });
});
