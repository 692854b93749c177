import { describe, expect, it } from 'vitest';
import { Line } from '../../src/hub/line.ts';
import { Reader } from '../../src/hub/reader.ts';
import { ManualClock } from '../support/clock.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('those in line', () => {
  it('go in order of arrival, not in the call that they join by', async () => {
    const line = new Line(new ManualClock());
    const gone: number[] = [];
    for (const n of [1, 2, 3]) line.join(() => gone.push(n));
    expect(gone).toEqual([]);
    await turn();
    expect(gone).toEqual([1, 2, 3]);
  });

  it('leave room for everything else: a turn is given up once it took too long, and never without progress', async () => {
    const clock = new ManualClock();
    const line = new Line(clock);
    const gone: number[] = [];
    for (let n = 0; n < 5; n += 1)
      line.join(() => {
        gone.push(n);
        // Two of them fit into a turn.
        clock.advance(2);
      });
    const lengths: number[] = [];
    while (gone.length < 5) {
      await turn();
      lengths.push(gone.length);
    }
    expect(lengths).toEqual([2, 4, 5]);
    line.join(() => clock.advance(1000));
    line.join(() => gone.push(5));
    await turn();
    expect(gone).toHaveLength(5);
    await turn();
    expect(gone).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('may join again while they go, and after the line was empty', async () => {
    const line = new Line(new ManualClock());
    const gone: string[] = [];
    line.join(() => {
      gone.push('a');
      line.join(() => gone.push('c'));
    });
    line.join(() => gone.push('b'));
    await turn();
    line.join(() => gone.push('d'));
    await turn();
    expect(gone).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('reads of the log', () => {
  it('are sixteen at a time, each place taken by the next, in order, whether a read succeeds or fails', async () => {
    const reader = new Reader();
    const open: { readonly n: number; readonly end: (fails: boolean) => void }[] = [];
    const results = Array.from({ length: 40 }, (_, n) =>
      reader
        .read(
          () => true,
          () =>
            new Promise<number>((resolve, reject) => {
              open.push({ n, end: (fails) => (fails ? reject(new Error(`${n}`)) : resolve(n)) });
            }),
        )
        .catch((error: Error) => error.message),
    );
    await turn();
    expect(open.map(({ n }) => n)).toEqual(Array.from({ length: 16 }, (_, n) => n));
    for (let n = 0; n < 40; n += 1) {
      open[n]?.end(n % 3 === 0);
      await turn();
      expect(open).toHaveLength(Math.min(40, 17 + n));
    }
    expect(await Promise.all(results)).toEqual(
      Array.from({ length: 40 }, (_, n) => (n % 3 === 0 ? `${n}` : n)),
    );
    expect([reader.reads, reader.failures]).toEqual([40, 14]);
    // All places are free again.
    const isWanted = () => true;
    for (let n = 0; n < 16; n += 1) void reader.read(isWanted, () => new Promise(() => undefined));
    await turn();
    expect(reader.reads).toBe(56);
  });

  it('that nobody wants any more when it is their turn are not made, and hold nobody up', async () => {
    const reader = new Reader();
    const ends: (() => void)[] = [];
    const held = () => new Promise<string>((resolve) => ends.push(() => resolve('read')));
    for (let n = 0; n < 16; n += 1)
      void reader.read(
        () => true,
        () => held(),
      );
    let isWanted = true;
    const left = Array.from({ length: 5000 }, () => reader.read(() => isWanted, held));
    const honest = reader.read(() => true, held);
    await turn();
    isWanted = false;
    ends[0]?.();
    await turn();
    expect([reader.reads, ends.length]).toEqual([17, 17]);
    ends[16]?.();
    expect(await honest).toBe('read');
    expect(new Set(await Promise.all(left))).toEqual(new Set([undefined]));
    expect([reader.reads, reader.failures]).toEqual([17, 0]);
  });
});
