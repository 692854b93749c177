import { describe, expect, it } from 'vitest';
import type { History } from '../../src/hub/history.ts';
import { Log } from '../../src/hub/log.ts';
import type { ArchiveRange, Source } from '../../src/hub/source.ts';
import { InboxMetrics } from '../../src/inbox/metrics.ts';
import { Reading } from '../../src/inbox/reading.ts';
import type { ReadState } from '../../src/inbox/state.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

const NOTHING_READ: ReadState = { epoch: 'e', through: 0, read: [] };

const HISTORY = { size: 10, ageMs: 60_000, bytes: 1_048_576 };

interface World {
  /** What is in the stream: offset → its time to live, in milliseconds, where it has one. */
  readonly stored?: ReadonlyMap<number, number | undefined>;
  /** What memory holds, and after which offset it has all. */
  readonly memory?: { readonly offsets: readonly number[]; readonly after: number; readonly at: number };
  /** Most that one reading gives. */
  readonly most?: number;
  readonly route?: object;
}

function setUp({ stored = new Map(), memory, most = Infinity, route = {} }: World) {
  const clock = new ManualClock();
  const log = new Log('e');
  const reads: ArchiveRange[] = [];
  const timeMs = clock.wall();
  if (memory !== undefined) {
    const endOf = (offset: number) => {
      const ttlMs = stored.get(offset);
      return ttlMs === undefined ? undefined : timeMs + ttlMs;
    };
    const after = (offset: number) =>
      memory.offsets
        .filter((each) => each > offset)
        .map((each) => ({ offset: each, expiresMs: endOf(each), bytes: Buffer.from('a frame') }));
    log.histories.set('a', { evictedThrough: memory.after, after } as unknown as History);
    log.offset = memory.at;
  }
  const source: Source = {
    log,
    interrupted: false,
    open: () => ({ close: () => {} }),
    archive: {
      newest: async () => Math.max(0, ...stored.keys()),
      async read(_, range) {
        reads.push(range);
        const first = range.from.kind === 'after' ? range.from.offset : 0;
        const all = [...stored.keys()].filter((offset) => offset > first && offset <= range.through);
        const kept = all.slice(-Math.min(most, range.limit));
        const omitted = all.length > kept.length ? { omittedThrough: (kept[0] ?? 1) - 1 } : {};
        const publications = kept.map((offset) => ({ offset, publication: publication(stored.get(offset)) }));
        return { publications, after: first, ...omitted };
      },
    },
  };
  const publication = (ttlMs: number | undefined) => ({
    event: undefined,
    data: '',
    timeMs,
    ...(ttlMs !== undefined && { ttlMs }),
  });
  const destination = new Router({
    a: routeConfig({ channel: 'a', subject: 'a', history: HISTORY, ...route }),
  }).resolve('a');
  if (destination === undefined) throw new TypeError('there is no such channel');
  const reading = new Reading({ clock, metrics: new InboxMetrics() });
  const count = (state = NOTHING_READ) =>
    reading.run(destination, () => reading.count(destination, source, state));
  return { count, reads, clock, reading, destination };
}

const upTo = (count: number) => new Map(Array.from({ length: count }, (_, i) => [i + 1, undefined] as const));

describe('what is unread', () => {
  it.each([
    ['memory, where that goes back far enough', {}, { after: 0, at: 3 }, 0],
    ['the stream, where memory begins later', {}, { after: 1, at: 3 }, 1],
    ['the stream, where memory is behind', {}, { after: 0, at: 2 }, 1],
    ['the stream, where memory has what the route made of it', { throttleMs: 100 }, { after: 0, at: 3 }, 1],
  ])('is found in %s', async (_, route, memory, expected) => {
    const { count, reads } = setUp({ stored: upTo(3), memory: { offsets: [1, 2, 3], ...memory }, route });
    expect((await count()).unread.count).toBe(3);
    expect(reads.length).toBe(expected);
  });

  it('is looked for further back where the newest is read, and no further than four times', async () => {
    const read = Array.from({ length: 20 }, (_, i) => 81 + i);
    const { count, reads } = setUp({ stored: upTo(100), most: 10 });
    const { unread } = await count({ ...NOTHING_READ, read });
    expect(reads.map(({ through }) => through)).toEqual([100, 90, 80, 70]);
    expect([unread.count, unread.uncountedThrough, unread.hasMore]).toEqual([20, 60, true]);
  });

  it('is a thousand at most, and what is left out is said', async () => {
    const { count } = setUp({ stored: upTo(1990), most: 995 });
    const { unread } = await count();
    expect([unread.count, unread.uncountedThrough]).toEqual([1000, 990]);
  });

  it.each([
    ['the stream', {}],
    ['memory', { memory: { offsets: [1, 2], after: 0, at: 2 } }],
  ])('is not what has ended in %s', async (_, where) => {
    const stored = new Map([
      [1, 50],
      [2, undefined],
    ]);
    const { count, clock } = setUp({ stored, ...where });
    // And nothing more than this is held.
    expect((await count()).unread.waiting).toEqual([
      { offset: 1, expiresMs: expect.any(Number) },
      { offset: 2, expiresMs: undefined },
    ]);
    clock.advance(50);
    expect((await count()).unread.count).toBe(1);
  });
});

it('what was read is given to who waited for their turn, but not for long', async () => {
  const { count, reads, clock, reading, destination } = setUp({ stored: upTo(3) });
  const idle = () => new Promise((resolve) => setImmediate(resolve));
  await Promise.all([count(), count(), count()]);
  expect(reads.length).toBe(1);
  await idle();
  await count();
  expect(reads.length).toBe(2);
  await idle();
  const later = () => reading.run(destination, async () => clock.advance(1000));
  await Promise.all([count(), later(), count()]);
  expect(reads.length).toBe(4);
});
