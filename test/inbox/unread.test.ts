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
