import { describe, expect, it } from 'vitest';
import { Log } from '../../src/hub/log.ts';
import type { Source } from '../../src/hub/source.ts';
import { Marks } from '../../src/inbox/marks.ts';
import type { ReadState } from '../../src/inbox/state.ts';
import { createLog } from '../../src/log.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

const NOTHING: ReadState = { epoch: 'e', through: 0, read: [] };

/** A log `e` of which `offset` was passed on here, of a stream that ends at `end`; and what is stored of the channel `a`. */
function setUp({ offset, end, stored }: { offset: number; end: number; stored?: ReadState }) {
  const clock = new ManualClock();
  const log = new Log('e');
  log.offset = offset;
  const source: Source = { log, interrupted: false, open: () => ({ close: () => {} }) };
  const world = {
    stored,
    end,
    asked: 0,
    onAsked: () => {},
    timeMs: 1_000_000 as number | undefined,
    looked: [] as number[],
  };
  const lines: Record<string, unknown>[] = [];
  const marks = new Marks({
    clock,
    log: createLog({ level: 'warn', format: 'json' }, { write: (line) => void lines.push(JSON.parse(line)) }),
    reading: {
      async end() {
        world.asked += 1;
        world.onAsked();
        return world.end;
      },
      async timeOf(_, position) {
        world.looked.push(position);
        return world.timeMs;
      },
    },
    store: {
      get: async () => ({ state: world.stored, writtenMs: 1_000_000 }),
      async change(_, change) {
        world.stored = change(world.stored);
        return { state: world.stored, isNew: true };
      },
    },
  });
  const destination = new Router({ r: routeConfig({ channel: 'a', subject: 'a' }) }).resolve('a');
  if (destination === undefined) throw new TypeError('there is no such channel');
  const get = (remembered?: ReadState) => marks.get(destination, source, remembered);
  /** The same, where it has been found before that the stream is short. */
  const getLater = async (remembered?: ReadState) => {
    await get(remembered).catch(() => undefined);
    clock.advance(3000);
    return get(remembered);
  };
  return { world, log, clock, lines, get, getLater };
}

describe('what was read', () => {
  it('of what has come here is so without a question', async () => {
    const stored = { epoch: 'e', through: 3, read: [5] };
    const { get, world } = setUp({ offset: 5, end: 0, stored });
    expect(await get()).toEqual({ state: stored, isVoid: false });
    expect(await get({ epoch: 'e', through: 4, read: [] })).toEqual({
      state: { epoch: 'e', through: 4, read: [5] },
      isVoid: false,
    });
    expect(world.asked).toBe(0);
  });

  it('elsewhere, of what has not come here yet, is read, as the stream says', async () => {
    const stored = { epoch: 'e', through: 9, read: [] };
    const { get, world, clock } = setUp({ offset: 5, end: 9, stored });
    expect(await get()).toEqual({ state: stored, isVoid: false });
    clock.advance(60_000);
    expect(await get()).toEqual({ state: stored, isVoid: false });
    expect([world.asked, world.stored]).toEqual([2, stored]);
  });

  it('of another log is nothing, however far it goes', async () => {
    const { get, world } = setUp({ offset: 5, end: 5, stored: { epoch: 'old', through: 99, read: [] } });
    expect(await get({ epoch: 'older', through: 99, read: [] })).toEqual({ state: NOTHING, isVoid: false });
    expect([world.asked, world.stored?.epoch]).toEqual([0, 'old']);
  });

  it.each([
    ['all up to somewhere', { epoch: 'e', through: 9, read: [] }, 9],
    ['single ones', { epoch: 'e', through: 2, read: [4, 7] }, 7],
  ])('beyond the end of the stream is void, for good: %s', async (_, stored, through) => {
    const { getLater, get, world, lines } = setUp({ offset: 4, end: 4, stored });
    expect(await getLater()).toEqual({ state: NOTHING, isVoid: true });
    expect(world.stored).toEqual(NOTHING);
    expect(lines).toMatchObject([{ channel: 'a', route: 'r', through, end: 4 }]);
    expect(await get()).toEqual({ state: NOTHING, isVoid: false });
    expect(lines).toHaveLength(1);
  });

  it('is not void yet where the stream has only just been found to be shorter: its leader may be new', async () => {
    const stored = { epoch: 'e', through: 9, read: [] };
    const { get, world, clock, lines } = setUp({ offset: 4, end: 4, stored });
    await expect(get()).rejects.toMatchObject({ code: 'INBOX_UNAVAILABLE' });
    clock.advance(2999);
    await expect(get()).rejects.toMatchObject({ code: 'INBOX_UNAVAILABLE' });
    world.end = 9;
    expect(await get()).toEqual({ state: stored, isVoid: false });
    // And begins to be in doubt anew.
    world.end = 4;
    clock.advance(2999);
    await expect(get()).rejects.toMatchObject({ code: 'INBOX_UNAVAILABLE' });
    expect([world.stored, lines]).toEqual([stored, []]);
  });

  it('again, and stored meanwhile, is read', async () => {
    const { getLater, world } = setUp({ offset: 4, end: 4, stored: { epoch: 'e', through: 9, read: [] } });
    const others = { epoch: 'e', through: 3, read: [] };
    world.onAsked = () => {
      if (world.asked === 2) world.stored = others;
    };
    expect(await getLater()).toEqual({ state: others, isVoid: true });
    expect(world.stored).toEqual(others);
  });

  it('is what is stored, where only what is remembered here goes beyond the end', async () => {
    const stored = { epoch: 'e', through: 3, read: [] };
    const { getLater, world, lines } = setUp({ offset: 4, end: 4, stored });
    expect(await getLater({ epoch: 'e', through: 9, read: [] })).toEqual({ state: stored, isVoid: true });
    expect([world.stored, lines]).toEqual([stored, []]);
  });

  it('of messages in whose places are others by now is void, as those are younger than its being read', async () => {
    const stored = { epoch: 'e', through: 3, read: [5] };
    const { get, world, lines } = setUp({ offset: 9, end: 9, stored });
    world.timeMs = 1_060_001;
    expect(await get()).toEqual({ state: NOTHING, isVoid: true });
    expect([world.stored, world.looked]).toEqual([NOTHING, [5]]);
    expect(lines).toMatchObject([{ channel: 'a', route: 'r', through: 5 }]);
    expect(await get()).toEqual({ state: NOTHING, isVoid: false });
    expect(world.looked).toEqual([5]);
  });

  it.each([
    ['are about as old, by clocks that differ', 1_060_000],
    ['are gone', undefined],
  ])('of messages that %s is read', async (_, timeMs) => {
    const stored = { epoch: 'e', through: 3, read: [] };
    const { get, world } = setUp({ offset: 9, end: 9, stored });
    world.timeMs = timeMs;
    expect(await get()).toEqual({ state: stored, isVoid: false });
    expect([world.stored, world.looked]).toEqual([stored, [3]]);
  });

  it('is looked at so once, and not again where it is remembered', async () => {
    const { get, world } = setUp({ offset: 9, end: 9, stored: { epoch: 'e', through: 3, read: [] } });
    world.timeMs = 2_000_000;
    expect(await get({ epoch: 'e', through: 2, read: [] })).toMatchObject({ state: { through: 3 } });
    expect(world.looked).toEqual([]);
    expect(await get({ epoch: 'old', through: 2, read: [] })).toMatchObject({ isVoid: true });
  });

  it('is not decided where the log begins anew meanwhile', async () => {
    const stored = { epoch: 'e', through: 9, read: [] };
    const { getLater, world, log } = setUp({ offset: 4, end: 4, stored });
    world.onAsked = () => {
      if (world.asked === 2) log.begin('f', 4, 0);
    };
    await expect(getLater()).rejects.toMatchObject({ code: 'INBOX_UNAVAILABLE' });
    expect(world.stored).toEqual(stored);
  });
});
