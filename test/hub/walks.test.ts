import { describe, expect, it } from 'vitest';
import { Walks } from '../../src/hub/walks.ts';
import { ManualClock } from '../support/clock.ts';

/** Things between two looks at the clock. */
const STRIDE = 16;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('a walk', () => {
  it('sees everything in order, not in the call that asks for it', async () => {
    const walks = new Walks(new ManualClock());
    const seen: number[] = [];
    const through = walks.through(numbers(100), (n) => {
      seen.push(n);
      return 'on';
    });
    expect(seen).toEqual([]);
    await through;
    expect(seen).toEqual(numbers(100));
  });

  it('ends when what was looked for has been seen', async () => {
    let seen = 0;
    await new Walks(new ManualClock()).through(numbers(100), (n) => {
      seen += 1;
      return n === 6 ? 'enough' : 'on';
    });
    expect(seen).toBe(7);
  });

  it('gives up the turn once a slice of time is over, and never without progress', async () => {
    const clock = new ManualClock();
    let seen = 0;
    const through = new Walks(clock).through(numbers(1000), () => {
      seen += 1;
      clock.advance(1);
      return 'on';
    });
    for (let turns = 1; seen < 1000; turns += 1) {
      await turn();
      expect(seen).toBe(Math.min(1000, turns * STRIDE));
    }
    await through;
  });

  it('shares its slice with all others, and who has waited longest goes first', async () => {
    const clock = new ManualClock();
    const walks = new Walks(clock);
    const seen = [0, 0, 0];
    const all = seen.map((_, index) =>
      walks.through(numbers(100), () => {
        seen[index] = (seen[index] ?? 0) + 1;
        clock.advance(1);
        return 'on';
      }),
    );
    const after: number[][] = [];
    for (let i = 0; i < 4; i += 1) {
      await turn();
      after.push([...seen]);
    }
    expect(after).toEqual([
      [STRIDE, 0, 0],
      [STRIDE, STRIDE, 0],
      [STRIDE, STRIDE, STRIDE],
      [STRIDE * 2, STRIDE, STRIDE],
    ]);
    await Promise.all(all);
    expect(seen).toEqual([100, 100, 100]);
  });

  it('that is through leaves the rest of its turn to what is made of it', async () => {
    const walks = new Walks(new ManualClock());
    let through = 0;
    for (let i = 0; i < 3; i += 1)
      void walks
        .through([1], () => 'on')
        .then(() => {
          through += 1;
        });
    for (const expected of [1, 2, 3]) {
      await turn();
      expect(through).toBe(expected);
    }
  });

  it('sees what is there throughout, whatever comes and goes on the way', async () => {
    const clock = new ManualClock();
    const things = new Set(numbers(200));
    const seen = new Set<number>();
    const through = new Walks(clock).through(things, (n) => {
      seen.add(n);
      clock.advance(1);
      return 'on';
    });
    await turn();
    for (let n = 0; n < 200; n += 2) things.delete(n);
    await through;
    expect(numbers(200).filter((n) => n % 2 === 1 && !seen.has(n))).toEqual([]);
  });

  it('that fails ends with its failure, and the others go on', async () => {
    const walks = new Walks(new ManualClock());
    const failing = walks.through([1], () => {
      throw new RangeError('no');
    });
    let seen = 0;
    const other = walks.through([1, 2], () => {
      seen += 1;
      return 'on';
    });
    await expect(failing).rejects.toThrow(RangeError);
    await other;
    expect(seen).toBe(2);
  });
});
