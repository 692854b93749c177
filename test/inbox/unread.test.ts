import { describe, expect, it } from 'vitest';
import { nothingRead } from '../../src/inbox/state.ts';
import { Unread } from '../../src/inbox/unread.ts';

const offsets = (unread: Unread) => unread.waiting.map(({ offset }) => offset);

describe('what is unread', () => {
  it('is what came and was not read, each once', () => {
    const unread = new Unread({ epoch: 'e', through: 2, read: [4] });
    for (const offset of [1, 2, 3, 4, 5, 5, 3]) unread.add({ offset });
    expect(offsets(unread)).toEqual([3, 5]);
    unread.read({ epoch: 'e', through: 3, read: [] });
    expect(offsets(unread)).toEqual([5]);
  });

  it('is the newest thousand, and says so until what is not counted was read', () => {
    const unread = new Unread(nothingRead('e'));
    for (let offset = 1; offset <= 1001; offset += 1) unread.add({ offset });
    expect([unread.count, unread.hasMore]).toEqual([1000, true]);
    unread.read({ epoch: 'e', through: 1, read: [] });
    expect([unread.count, unread.hasMore]).toEqual([1000, false]);
  });

  it('is to be counted anew where some of it was read, or most of it ended, while there was more', () => {
    const many = (expiresMs: (offset: number) => number) => {
      const unread = new Unread(nothingRead('e'));
      for (let offset = 1; offset <= 1001; offset += 1) unread.add({ offset, expiresMs: expiresMs(offset) });
      return unread;
    };
    const unread = many((offset) => offset);
    expect(unread.isShort).toBe(false);
    unread.expire(501);
    expect([unread.count, unread.isShort]).toEqual([500, false]);
    unread.expire(502);
    expect([unread.count, unread.isShort]).toEqual([499, true]);
    const other = many(() => Infinity);
    other.read({ epoch: 'e', through: 0, read: [700] });
    expect(other.isShort).toBe(true);
    // Nothing is left that was not counted.
    other.read({ epoch: 'e', through: 1, read: [700] });
    expect(other.isShort).toBe(false);
  });

  it('ends with its time', () => {
    const unread = new Unread(nothingRead('e'));
    unread.add({ offset: 1, expiresMs: 50 });
    unread.add({ offset: 2 });
    unread.add({ offset: 3, expiresMs: 70 });
    expect(unread.endsMs).toBe(50);
    unread.expire(49);
    expect(offsets(unread)).toEqual([1, 2, 3]);
    unread.expire(50);
    expect([offsets(unread), unread.endsMs]).toEqual([[2, 3], 70]);
  });
});
