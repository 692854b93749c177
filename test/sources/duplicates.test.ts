import { describe, expect, it } from 'vitest';
import { Duplicates } from '../../src/sources/duplicates.ts';
import { ManualClock } from '../support/clock.ts';

describe('messages seen lately', () => {
  it('are known by subject and id, for two minutes', () => {
    const clock = new ManualClock();
    const duplicates = new Duplicates(clock);
    expect([duplicates.has('a', '1'), duplicates.has('a', '1')]).toEqual([false, true]);
    expect([duplicates.has('a', '2'), duplicates.has('b', '1')]).toEqual([false, false]);
    clock.advance(119_999);
    expect(duplicates.has('a', '1')).toBe(true);
    clock.advance(1);
    expect([duplicates.has('a', '1'), duplicates.has('a', '1')]).toEqual([false, true]);
  });

  it('are the newest five to ten thousand', () => {
    const duplicates = new Duplicates(new ManualClock());
    for (let i = 0; i < 10_000; i += 1) duplicates.has('a', `${i}`);
    expect([duplicates.has('a', '5000'), duplicates.has('a', '9999')]).toEqual([true, true]);
    expect(duplicates.has('a', '0')).toBe(false);
  });

  it('are known over the end of a generation by time', () => {
    const clock = new ManualClock();
    const duplicates = new Duplicates(clock);
    clock.advance(100_000);
    duplicates.has('a', '1');
    clock.advance(50_000);
    expect([duplicates.has('a', '2'), duplicates.has('a', '1')]).toEqual([false, true]);
  });
});
