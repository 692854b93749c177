import { expect, it } from 'vitest';
import { type Debtor, Waiting } from '../../src/http/waiting.ts';
import { Metrics } from '../../src/metrics.ts';

/** Readers that hold so much each, of a bound for all; `relieve` says whom it cut off, in order. */
function setUp(limitBytes: number, ...sizes: readonly number[]) {
  const metrics = new Metrics();
  const waiting = new Waiting(limitBytes, metrics);
  const cutOff: number[] = [];
  for (const size of sizes) {
    const debtor: Debtor = {
      waitingBytes: size,
      abort: () => {
        cutOff.push(size);
        waiting.left(debtor);
        waiting.freed(size);
      },
    };
    waiting.joined(debtor);
    waiting.taken(size);
  }
  const relieve = () => {
    waiting.relieve();
    return cutOff.splice(0);
  };
  return { metrics, waiting, relieve };
}

it('nobody is cut off as long as all together hold no more than they may', () => {
  expect(setUp(100, 40, 60).relieve()).toEqual([]);
});

it('those who hold the most go first, and a tenth more than has to, not to search again at once', () => {
  const { relieve, metrics } = setUp(1000, 100, 350, 200, 300, 100);
  expect(relieve()).toEqual([350]);
  expect(metrics.pendingMemoryBytes).toBe(700);
  expect(setUp(1000, 100, 350, 305, 300, 5).relieve()).toEqual([350]);
  expect(setUp(1000, 800, 90, 60, 60, 40, 5).relieve()).toEqual([800]);
  expect(setUp(100, ...Array.from({ length: 12 }, () => 10)).relieve()).toHaveLength(3);
});
