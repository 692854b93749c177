import { describe, expect, it } from 'vitest';
import { PendingList, type PendingQuery } from '../../src/inbox/pending.ts';
import type { Kept } from '../../src/inbox/reading.ts';

const STATE = { epoch: 'e', through: 0, read: [] };

/** A message; its priority by number. */
function kept(offset: number, priority: 0 | 1 | 2 = 0, data = ''): Kept {
  return { offset, publication: { event: undefined, data, priority, timeMs: 0 } };
}

/** What is listed of parts that are shown, the newest first. */
function listed(query: Partial<PendingQuery>, parts: readonly (readonly Kept[])[], after = 0) {
  const list = new PendingList({ limit: 50, order: 'time', ...query }, after);
  for (const part of parts) list.show(part);
  const answer = list.answer('a', STATE, 0);
  return { ...answer, list: answer.list.map(({ id }) => id).join(' ') };
}

describe('a list', () => {
  it('has the first in order, whichever part they were in, and says where to go on', () => {
    const parts = [[kept(7), kept(8)], [kept(4), kept(5)], [kept(1)]];
    expect(listed({ limit: 3 }, parts)).toMatchObject({ unread: 5, list: 'e.1 e.4 e.5', next: 'e.5' });
    const rest = listed({ limit: 3 }, parts, 5);
    expect(rest).toMatchObject({ unread: 5, list: 'e.7 e.8' });
    expect(rest).not.toHaveProperty('next');
  });

  it('has the urgent first, then the high, each as they came, and no place to go on', () => {
    const parts = [
      [kept(7, 1), kept(8, 2)],
      [kept(4), kept(5, 2)],
      [kept(1), kept(2, 1)],
    ];
    const answer = listed({ limit: 5, order: 'priority' }, parts);
    expect(answer).toMatchObject({ unread: 6, list: 'e.5 e.8 e.2 e.7 e.1' });
    expect(answer).not.toHaveProperty('next');
  });

  it('has nothing behind a message for which there was no room, though it is in another part', () => {
    const large = 'x'.repeat(500 * 1024);
    const parts = [
      [kept(7, 2, large), kept(8, 1, large)],
      [kept(1), kept(2, 2)],
    ];
    expect(listed({ order: 'priority' }, parts)).toMatchObject({ unread: 4, list: 'e.2 e.7' });
    expect(listed({}, parts)).toMatchObject({ unread: 4, list: 'e.1 e.2 e.7', next: 'e.7' });
  });

  it('ends before it is over 512 KiB, and has one at least', () => {
    const large = 'x'.repeat(600 * 1024);
    expect(listed({}, [[kept(1, 0, large), kept(2)]])).toMatchObject({ list: 'e.1', next: 'e.1' });
    expect(listed({}, [[kept(1), kept(2, 0, large), kept(3)]])).toMatchObject({ list: 'e.1', next: 'e.1' });
    // Text that grows as JSON counts as it goes out.
    const quotes = '"'.repeat(200 * 1024);
    expect(listed({}, [[kept(1, 0, quotes), kept(2, 0, quotes)]])).toMatchObject({
      list: 'e.1',
      next: 'e.1',
    });
  });
});
