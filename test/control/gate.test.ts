import { expect, it } from 'vitest';
import { Gate } from '../../src/control/gate.ts';

function held() {
  const release: (() => void)[] = [];
  const begun: number[] = [];
  const work = (n: number) => () => {
    begun.push(n);
    return new Promise<number>((resolve) => release.push(() => resolve(n)));
  };
  return { release, begun, work };
}

it('few go on at once, the next ones wait in order, and the rest are turned away at once', async () => {
  const gate = new Gate({ underWay: 2, waiting: 2 });
  const { release, begun, work } = held();
  const passed = [1, 2, 3, 4, 5].map((n) => gate.pass(work(n)));
  expect([begun, gate.underWay, gate.waiting, passed[4]]).toEqual([[1, 2], 2, 2, undefined]);
  release[1]?.();
  await passed[1];
  expect([begun, gate.underWay, gate.waiting]).toEqual([[1, 2, 3], 2, 1]);
  release[0]?.();
  release[2]?.();
  await Promise.all([passed[0], passed[2]]);
  release[3]?.();
  expect(await Promise.all(passed)).toEqual([1, 2, 3, 4, undefined]);
  expect([begun, gate.underWay, gate.waiting]).toEqual([[1, 2, 3, 4], 0, 0]);
});

it('what holds too much is turned away, until others are done', async () => {
  const gate = new Gate({ underWay: 1, waiting: 10, bytes: 10 });
  const { release, work } = held();
  const passed = [gate.pass(work(1), 6), gate.pass(work(2), 5), gate.pass(work(3), 4)];
  expect([passed[1], gate.underWay, gate.waiting]).toEqual([undefined, 1, 1]);
  release[0]?.();
  await passed[0];
  const last = gate.pass(work(4), 6);
  release[1]?.();
  await passed[2];
  release[2]?.();
  expect(await last).toBe(4);
});

it('what fails makes room too', async () => {
  const gate = new Gate({ underWay: 1, waiting: 1 });
  const failing = gate.pass(async () => {
    throw new Error('broken');
  });
  const next = gate.pass(async () => 'next');
  await expect(failing).rejects.toThrow('broken');
  expect([await next, gate.underWay]).toEqual(['next', 0]);
});
