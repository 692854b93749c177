import { describe, expect, it } from 'vitest';
import { Backlog } from '../../src/hub/backlog.ts';
import { Encoder } from '../../src/hub/encoder.ts';
import { History } from '../../src/hub/history.ts';
import { Log } from '../../src/hub/log.ts';
import { Reader } from '../../src/hub/reader.ts';
import { Retention } from '../../src/hub/retention.ts';
import type { ArchiveStart } from '../../src/hub/source.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';
import { makeEntry, offsetsOf } from './entries.ts';
import { FakeArchive } from './fake-archive.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const behind = (offset: number): ArchiveStart => ({ kind: 'after', offset });
const last = (count: number): ArchiveStart => ({ kind: 'last', count });
const since = (timeMs: number): ArchiveStart => ({ kind: 'since', timeMs });
const ALL: ArchiveStart = { kind: 'all' };
const VALUES: ArchiveStart = { kind: 'values' };

/** A channel that has messages 1 to 20, at as many milliseconds, of which memory has those from 11 on. */
function setUp({ limit = 100, maxBytes = 1_000_000, evictedThrough = 10 } = {}) {
  const clock = new ManualClock({ wallMs: 0 });
  const log = new Log('e');
  log.begin('e', 20, 10);
  log.floor = evictedThrough;
  log.floorMs = evictedThrough;
  const retention = new Retention(maxBytes, clock);
  const history = new History(log, 'a', retention.shelf(), {
    size: 20 - evictedThrough,
    ageMs: 60_000,
    bytes: 1_000_000,
  });
  for (let offset = evictedThrough + 1; offset <= 20; offset += 1)
    history.append(makeEntry(log, { offset, timeMs: offset }));
  const archive = new FakeArchive();
  for (let offset = 1; offset <= 20; offset += 1) archive.store({ offset, timeMs: offset });
  const router = new Router({ any: routeConfig({ channel: '{name}', subject: 's.{name}' }) });
  const destination = router.resolve('a');
  if (destination === undefined) throw new TypeError('a is a channel');
  const reader = new Reader();
  const encoder = new Encoder(clock);
  const backlog = new Backlog({
    clock,
    retention,
    reader,
    archive,
    destination,
    history,
    limit,
    encode: (publication, offset) => encoder.entry(log, publication, offset),
  });
  /** As somebody who waits for it. */
  const read = async (start: ArchiveStart) => {
    backlog.await();
    await backlog.extend(start).finally(() => backlog.leave(0));
  };
  return { clock, log, history, archive, reader, retention, backlog, read };
}

describe('what memory no longer holds', () => {
  it('is read in one go for all who ask in one turn, from where the furthest asks', async () => {
    const { backlog, read, archive } = setUp();
    const starts = [behind(8), behind(3), behind(5), behind(3)];
    expect(starts.map((start) => backlog.covers(start, 0))).toEqual([false, false, false, false]);
    await Promise.all(starts.map((start) => read(start)));
    expect(archive.asked).toEqual([{ from: behind(3), through: 20, limit: 100 }]);
    expect(starts.map((start) => backlog.covers(start, 0))).toEqual([true, true, true, true]);
    expect(backlog.covers(behind(2), 0)).toBe(false);
    expect(offsetsOf(backlog.page?.entries ?? [])).toEqual(Array.from({ length: 17 }, (_, i) => i + 4));
  });

  it('is gathered while other channels are read first, and read again for who asked for more too late', async () => {
    const { backlog, read, archive } = setUp();
    archive.hold();
    const early = read(behind(8));
    await turn();
    await turn();
    const late = read(behind(2));
    archive.release();
    await Promise.all([early, late]);
    expect(archive.asked).toHaveLength(1);
    expect([backlog.covers(behind(8), 0), backlog.covers(behind(2), 0)]).toEqual([true, false]);
    await read(behind(2));
    expect(backlog.covers(behind(2), 0)).toBe(true);
  });

  it.each([
    ['after a position', behind(4), 4],
    ['the newest so many', last(15), 5],
    ['since a moment', since(5), 4],
    ['all', ALL, 0],
    ['the current values', VALUES, 0],
  ])('is covered once it was read: %s', async (_, start, complete) => {
    const { backlog, read } = setUp();
    expect(backlog.covers(start, 0)).toBe(false);
    await read(start);
    expect(backlog.covers(start, 0)).toBe(true);
    expect(backlog.page?.after).toBe(complete);
  });

  it.each([
    ['after a position', behind(10)],
    ['the newest so many', last(10)],
    ['since a moment', since(11)],
  ])('is not asked for where memory has it: %s', (_, start) => {
    expect(setUp().backlog.covers(start, 0)).toBe(true);
  });

  it('is nothing where memory goes back to the beginning, but for the current values', () => {
    const { backlog } = setUp({ evictedThrough: 0 });
    expect([behind(0), last(100), since(-5), ALL].every((start) => backlog.covers(start, 0))).toBe(true);
    expect(backlog.covers(VALUES, 0)).toBe(false);
  });

  it('of the moment of the newest that is missing is not in memory', () => {
    expect(setUp().backlog.covers(since(10), 0)).toBe(false);
  });

  it.each([
    ['after a position', behind(2), behind(5), behind(0)],
    ['the newest so many', last(15), last(13), last(16)],
    ['since a moment', since(2), since(5), since(1)],
  ])('is not asked for again where there is no more to be had: %s', async (_, start, later, earlier) => {
    const { backlog, read } = setUp({ limit: 12 });
    await read(start);
    expect([backlog.page?.after, backlog.page?.cut]).toEqual([8, 'too-many']);
    expect([backlog.covers(start, 0), backlog.covers(later, 0)]).toEqual([true, true]);
    expect([backlog.cutOf(start), backlog.cutOf(later)]).toEqual(['too-many', 'too-many']);
    // What is missing of it is nothing to who asks for more.
    expect([backlog.covers(earlier, 0), backlog.cutOf(earlier)]).toEqual([false, undefined]);
  });

  it('is read for nobody where all who waited have gone before it was its turn', async () => {
    const { backlog, archive, reader, history } = setUp();
    let end = () => {};
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    for (let n = 0; n < 16; n += 1)
      void reader.read(
        () => true,
        () => held,
      );
    const waits = [behind(3), behind(4)].map((start) => {
      backlog.await();
      return backlog.extend(start);
    });
    await turn();
    backlog.leave(0);
    backlog.leave(0);
    end();
    await Promise.all(waits);
    expect([archive.asked, backlog.page, history.isHeldBy(backlog)]).toEqual([[], undefined, false]);
  });

  it('that could not be read for want of a permission is asked for again after five seconds', async () => {
    const { backlog, read, clock, archive } = setUp();
    archive.lost = { through: 20, reason: 'unavailable' };
    await read(behind(3));
    expect([backlog.covers(behind(3), 0), backlog.cutOf(behind(3))]).toEqual([true, 'unavailable']);
    clock.advance(5000);
    expect([backlog.covers(behind(3), 0), backlog.cutOf(behind(3))]).toEqual([false, undefined]);
  });

  it('of current values is read again after five seconds, however often it is asked for', async () => {
    const { backlog, read, clock, archive } = setUp();
    await read(VALUES);
    for (let ms = 0; ms < 4999; ms += 1000) {
      expect(backlog.covers(VALUES, 0)).toBe(true);
      backlog.touch();
      clock.advance(ms === 4000 ? 999 : 1000);
    }
    expect(backlog.covers(VALUES, 0)).toBe(true);
    clock.advance(1);
    expect(backlog.covers(VALUES, 0)).toBe(false);
    await Promise.all([read(VALUES), read(VALUES)]);
    expect([backlog.covers(VALUES, 0), archive.asked.length]).toEqual([true, 2]);
  });

  it('no longer counts when memory has moved on past its end, so that there is no hole between', async () => {
    const { backlog, read, history, log } = setUp();
    await read(behind(4));
    for (let offset = 21; offset <= 30; offset += 1)
      history.append(makeEntry(log, { offset, timeMs: offset }));
    expect([history.evictedThrough, backlog.covers(behind(4), 0)]).toEqual([20, true]);
    history.append(makeEntry(log, { offset: 31, timeMs: 31 }));
    expect([history.evictedThrough, backlog.page]).toEqual([21, undefined]);
    expect(backlog.covers(behind(4), 0)).toBe(false);
  });

  it('counts for nothing where the log began anew while it was read, or since', async () => {
    const { backlog, read, archive, log, retention } = setUp();
    archive.hold();
    const reading = read(behind(4));
    await turn();
    await turn();
    log.begin('f', 0, 0);
    archive.release();
    await reading;
    expect([backlog.page, backlog.bytes, retention.bytes]).toEqual([undefined, 0, 0]);
    log.begin('e', 20, 0);
    await read(behind(4));
    expect(backlog.page?.through).toBe(20);
    log.begin('f', 0, 0);
    expect(backlog.page).toBeUndefined();
  });

  it('is not kept where the channel was closed while it was read', async () => {
    const { backlog, read, archive, history, retention } = setUp();
    archive.hold();
    const reading = read(behind(4));
    await turn();
    await turn();
    history.drop();
    backlog.close();
    archive.release();
    await reading;
    expect([backlog.bytes, retention.bytes]).toEqual([0, 0]);
  });

  it('fails for all who wait for it, and is read by the next who asks', async () => {
    const { backlog, read, archive, reader } = setUp();
    archive.isFailing = true;
    const results = await Promise.allSettled([read(behind(4)), read(behind(5))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    archive.isFailing = false;
    await read(behind(4));
    expect(backlog.covers(behind(4), 0)).toBe(true);
    expect([reader.reads, reader.failures]).toEqual([2, 1]);
  });

  it('is counted as long as it is held, and given back when nobody has used it for a minute', async () => {
    const { backlog, read, retention, history, clock } = setUp();
    await read(behind(4));
    expect(backlog.bytes).toBeGreaterThan(0);
    expect(retention.bytes).toBe(history.bytes + history.ownBytes + backlog.bytes);
    clock.advance(50_000);
    backlog.touch();
    clock.advance(50_000);
    retention.sweep(0);
    expect(backlog.page).toBeDefined();
    clock.advance(10_001);
    retention.sweep(0);
    expect([backlog.page, backlog.bytes, retention.bytes]).toEqual([
      undefined,
      0,
      history.bytes + history.ownBytes,
    ]);
  });
});
