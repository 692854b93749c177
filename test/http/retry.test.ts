import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Retry } from '../../src/http/retry.ts';
import { ManualClock } from '../support/clock.ts';

function retry(connections: number, random: number, retryMs = { min: 3000, max: 10_000 }) {
  const clock = new ManualClock({ random: () => random });
  return new Retry({ clock, retryMs, reconnectRatePerSecond: 1000, connections: () => connections }).next();
}
const ALMOST_ONE = 1 - Number.EPSILON;

describe('the retry time', () => {
  it('is whole milliseconds from the configured range while connections are few', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 10_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (connections, random) => {
          const retryMs = retry(connections, random);
          expect(Number.isInteger(retryMs)).toBe(true);
          expect(retryMs).toBeGreaterThanOrEqual(3000);
          expect(retryMs).toBeLessThanOrEqual(10_000);
        },
      ),
    );
    expect([retry(0, 0), retry(0, ALMOST_ONE)]).toEqual([3000, 10_000]);
  });

  it('spreads over as long as all connections take to come back at the reconnect rate', () => {
    expect([retry(60_000, 0), retry(60_000, 0.5), retry(60_000, ALMOST_ONE)]).toEqual([3000, 31_500, 60_000]);
  });

  it('may be one fixed time', () => {
    expect(retry(10, 0.7, { min: 5000, max: 5000 })).toBe(5000);
  });
});
