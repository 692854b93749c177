import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChannelBook, LISTED_MS, MAX_CHANNELS } from '../../src/control/channels/channel-book.ts';
import { listOf } from '../../src/control/channels/channel-list.ts';
import type { ChannelRecord } from '../../src/control/channels/channel-record.ts';
import type { Destination } from '../../src/routing/router.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

const ROUTES = {
  rooms: routeConfig({ channel: 'room-{id}', subject: 'rooms.{id}', dynamic: true }),
  news: routeConfig({ channel: 'news-{id}', subject: 'news.{id}' }),
};

function setUp() {
  const clock = new ManualClock();
  const router = new Router(ROUTES);
  const ended: string[] = [];
  const book = new ChannelBook({ clock, router, ended: (channel) => ended.push(channel) });
  const at = (channel: string) => router.resolve(channel) as Destination;
  return { clock, router, book, ended, stateOf: (channel: string) => book.state(at(channel)) };
}

const closed = (clock: ManualClock, forMs?: number): NonNullable<ChannelRecord['end']> => ({
  as: 'closed',
  atMs: clock.wall(),
  ...(forMs !== undefined && { untilMs: clock.wall() + forMs }),
});

describe('a channel of a dynamic route', () => {
  it('is neither there nor unknown until the book was read', () => {
    const { book, stateOf } = setUp();
    expect([stateOf('room-1'), stateOf('news-1')]).toEqual(['loading', 'open']);
    book.take({ channel: 'room-2', createdMs: 1 }, 1);
    expect(stateOf('room-2')).toBe('open');
    book.loaded();
    expect([stateOf('room-1'), stateOf('room-2')]).toEqual(['unknown', 'open']);
  });

  it('that expires, is closed or removed has its streams ended, once', () => {
    const { book, ended, clock, stateOf } = setUp();
    book.loaded();
    for (const n of [1, 2, 3]) book.take({ channel: `room-${n}`, createdMs: 1 }, n);
    book.take({ channel: 'room-1', createdMs: 1, end: { as: 'expired', atMs: 1 } }, 4);
    book.take({ channel: 'room-2', createdMs: 1, end: closed(clock) }, 5);
    book.forget('room-3');
    expect(ended).toEqual(['room-1', 'room-2', 'room-3']);
    book.take({ channel: 'room-2', createdMs: 1, end: closed(clock, 9) }, 6);
    book.forget('room-1');
    expect(ended.length).toBe(3);
    expect(stateOf('room-2')).toBe('closed');
  });
});

describe('a channel of another route', () => {
  it('is there by itself, unless it is closed', () => {
    const { book, ended, clock, stateOf } = setUp();
    book.take({ channel: 'news-1', createdMs: 1, end: { as: 'expired', atMs: 1 } }, 1);
    book.take({ channel: 'news-2', end: closed(clock, 100) }, 2);
    expect([stateOf('news-1'), stateOf('news-2'), ended]).toEqual(['open', 'closed', ['news-2']]);
    clock.advance(100);
    expect(stateOf('news-2')).toBe('open');
  });
});

describe('what is over', () => {
  it('is listed for an hour, and what is closed for as long as it is', () => {
    const { book, clock, stateOf } = setUp();
    book.loaded();
    book.take({ channel: 'room-1', createdMs: 1, end: { as: 'expired', atMs: clock.wall() } }, 1);
    book.take({ channel: 'room-2', createdMs: 1, end: closed(clock) }, 2);
    book.take({ channel: 'news-1', end: closed(clock) }, 3);
    book.take({ channel: 'news-2', end: closed(clock, LISTED_MS / 2) }, 4);
    book.take({ channel: 'room-3', createdMs: 1, end: closed(clock, LISTED_MS * 9) }, 5);
    clock.advance(LISTED_MS - 1);
    expect(book.sweep().map(({ record }) => record.channel)).toEqual(['news-2']);
    clock.advance(1);
    expect(book.sweep().map(({ record }) => record.channel)).toEqual(['room-1', 'room-2']);
    expect(book.namesAfter('', 9)).toEqual(['news-1', 'room-3']);
    expect([stateOf('room-2'), stateOf('news-1')]).toEqual(['unknown', 'closed']);
  });
});

describe('the book', () => {
  it('has room for so many, and says so', () => {
    const { book } = setUp();
    for (let n = 0; n < MAX_CHANNELS; n += 1)
      expect(book.take({ channel: `room-${n}`, createdMs: 1 }, n)).toBe(true);
    expect(book.take({ channel: 'room-x', createdMs: 1 }, 0)).toBe(false);
    expect(book.take({ channel: 'room-1', createdMs: 2 }, 99_999)).toBe(true);
    book.forget('room-1');
    expect(book.take({ channel: 'room-x', createdMs: 1 }, 0)).toBe(true);
  });

  it('gives every channel exactly once over its pages, in order, whatever was taken and forgotten', async () => {
    const name = fc.stringMatching(/^room-[a-c_~-]{1,3}$/);
    const step = fc.record({ name, isTaken: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step), fc.integer({ min: 1, max: 4 }), async (steps, limit) => {
        const { book, clock, router } = setUp();
        const there = new Set<string>();
        for (const { name: channel, isTaken } of steps) {
          if (isTaken) book.take({ channel, createdMs: 1 }, undefined);
          else book.forget(channel);
          there[isTaken ? 'add' : 'delete'](channel);
        }
        const listed: string[] = [];
        for (let after: string | undefined = ''; after !== undefined; ) {
          const page = await listOf(
            { limit, after },
            { book, clock, router, expiresInMs: () => undefined, maxPageBytes: () => 1e6 },
          );
          listed.push(...page.list.map(({ channel }) => channel));
          expect(page.list.length).toBeLessThanOrEqual(limit);
          after = page.next;
        }
        expect(listed).toEqual([...there].sort());
      }),
    );
  });
});
