import { describe, expect, it } from 'vitest';
import { TICK_MS, TimerWheel } from '../../src/clock.ts';
import type { Channel, Subscriber } from '../../src/hub/channel.ts';
import { Log } from '../../src/hub/log.ts';
import type { Counted } from '../../src/inbox/reading.ts';
import { InboxRefusal } from '../../src/inbox/refusal.ts';
import { merge, nothingRead, type ReadState } from '../../src/inbox/state.ts';
import { Tally } from '../../src/inbox/tally.ts';
import { Unread } from '../../src/inbox/unread.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

/** A channel whose log is `e`, in which offsets are what is published. */
function setUp(messages: readonly number[] = []) {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const log = new Log('e');
  const told: string[] = [];
  const stored: { state: ReadState | undefined; fails: boolean; isVoid: boolean; asked: number } = {
    state: undefined,
    fails: false,
    isVoid: false,
    asked: 0,
  };
  /** Counting waits for these, where there are any. */
  const gates: Promise<void>[] = [];
  const destination = new Router({ a: routeConfig({ channel: 'a', subject: 'a' }) }).resolve('a');
  if (destination === undefined) throw new TypeError('there is no such channel');
  const present = { isRead: true };
  const tally = new Tally({
    destination,
    source: { log, interrupted: false, open: () => ({ close: () => {} }) },
    clock,
    wheel,
    reading: {
      run: (_, work) => work(),
      async count(_, __, state): Promise<Counted> {
        const unread = new Unread(state);
        const through = log.offset;
        await gates.shift();
        for (const offset of messages) unread.add({ offset });
        return { unread, through };
      },
    },
    marks: {
      async get(_, { log: { epoch = '' } }, remembered = nothingRead(epoch)) {
        stored.asked += 1;
        if (stored.fails) throw new InboxRefusal('INBOX_UNAVAILABLE', 'not now');
        const none = nothingRead(epoch);
        const of = merge(stored.state ?? none, none);
        return stored.isVoid ? { state: of, isVoid: true } : { state: merge(remembered, of), isVoid: false };
      },
    },
    isRead: () => present.isRead,
    tell: ({ unread, through }) => told.push(`${unread} ${through}`),
    tellOne: (subscriber, { unread }) => told.push(`${unread} to ${subscriber.turn}`),
  });
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += TICK_MS) {
      clock.advance(TICK_MS);
      wheel.advance();
      // Its questions are answered in turns to come.
      for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const publish = (offset: number, ttlMs?: number) => {
    log.offset = offset;
    tally.arrived(
      { event: undefined, data: '', timeMs: clock.wall(), ...(ttlMs !== undefined && { ttlMs }) },
      offset,
    );
  };
  const join = (turn: number): Subscriber => {
    const channels = [{ name: 'a' } as Channel];
    const subscriber: Subscriber = { channels, turn, view: undefined, deliver: () => {} };
    tally.joined(subscriber);
    return subscriber;
  };
  return { tally, told, stored, gates, present, log, pass, publish, join };
}

describe('the count of a channel', () => {
  it('has what comes while it is made once, and what is read meanwhile not at all', async () => {
    const { tally, told, gates, pass, publish, join } = setUp([1, 2, 3]);
    let open = () => {};
    gates.push(
      new Promise((resolve) => {
        open = resolve;
      }),
    );
    join(1);
    await pass(500);
    expect(told).toEqual([]);
    publish(3);
    publish(4);
    publish(5);
    tally.learned({ epoch: 'e', through: 1, read: [4] });
    open();
    await pass(500);
    expect(told).toEqual(['3 e.1']);
  });

  it('is made anew where it broke while it was made', async () => {
    const { tally, told, gates, pass, join } = setUp([1, 2]);
    let open = () => {};
    gates.push(
      new Promise((resolve) => {
        open = resolve;
      }),
    );
    join(1);
    await pass(200);
    tally.broke();
    open();
    await pass(1000);
    expect(told).toEqual(['2 e.0']);
  });

  it('of a log that began anew has nothing of the old one, read or not', async () => {
    const { tally, told, log, stored, pass, publish, join } = setUp();
    stored.state = { epoch: 'e', through: 9, read: [] };
    join(1);
    await pass(500);
    expect(told).toEqual(['0 e.9']);
    log.begin('f', 0, 0);
    tally.broke();
    publish(1);
    await pass(500);
    // Counted anew, from a log that has nothing here; then what comes.
    publish(2);
    await pass(500);
    expect(told.at(-1)).toBe('1 f.0');
  });

  it('has what was taken for read and turns out not to be, by whoever finds that', async () => {
    const { tally, told, stored, pass, join } = setUp([1, 2, 3]);
    stored.state = { epoch: 'e', through: 2, read: [] };
    join(1);
    await pass(500);
    stored.state = nothingRead('e');
    stored.isVoid = true;
    tally.suspect();
    await pass(500);
    stored.isVoid = false;
    tally.learned({ epoch: 'e', through: 2, read: [] });
    await pass(500);
    tally.annulled({ epoch: 'e', through: 1, read: [] });
    await pass(500);
    expect(told).toEqual(['1 e.2', '3 e.0', '1 e.2', '2 e.1']);
  });

  it('is told when it changes, and otherwise to who joins alone', async () => {
    const { told, pass, publish, join } = setUp();
    join(1);
    await pass(500);
    join(2);
    await pass(500);
    publish(1);
    await pass(500);
    expect(told).toEqual(['0 e.0', '0 to 2', '1 e.0']);
  });

  it('falls when something ends, without anybody asking', async () => {
    const { told, pass, publish, join } = setUp();
    join(1);
    await pass(500);
    publish(1, 2000);
    await pass(500);
    expect(told.at(-1)).toBe('1 e.0');
    await pass(2000);
    expect(told.at(-1)).toBe('0 e.0');
  });

  it('is asked for again after a while where it failed, however much comes', async () => {
    const { told, stored, pass, publish, join } = setUp([1]);
    stored.fails = true;
    join(1);
    for (let offset = 2; offset < 12; offset += 1) {
      publish(offset);
      await pass(200);
    }
    expect([told, stored.asked]).toEqual([[], 1]);
    stored.fails = false;
    await pass(5000);
    expect(told.length).toBe(1);
  });

  it('that failed holds on to nobody; who is still there is told by the next', async () => {
    const { told, stored, pass, join } = setUp([1]);
    join(1);
    await pass(500);
    stored.fails = true;
    await pass(31_000);
    join(2);
    await pass(500);
    stored.fails = false;
    await pass(6000);
    expect(told).toEqual(['1 e.0', '1 e.0']);
  });

  it('costs nothing while nobody is there, and is told to who comes then', async () => {
    const { told, stored, present, pass, publish, join } = setUp();
    present.isRead = false;
    publish(1);
    await pass(1000);
    expect([told, stored.asked]).toEqual([[], 0]);
    present.isRead = true;
    join(1);
    await pass(500);
    expect(told.length).toBe(1);
  });

  it('is told four times a second at most, however often it changes', async () => {
    const { told, pass, publish, join } = setUp();
    join(1);
    await pass(1000);
    for (let offset = 1; offset <= 20; offset += 1) {
      publish(offset);
      await pass(TICK_MS);
    }
    await pass(500);
    expect(told.at(-1)).toBe('20 e.0');
    expect(told.length).toBeLessThanOrEqual(2 + Math.ceil((20 * TICK_MS) / 250));
  });

  it('is told to nobody who has left before', async () => {
    const { told, present, pass, join } = setUp();
    join(1);
    await pass(500);
    join(2);
    present.isRead = false;
    await pass(500);
    present.isRead = true;
    join(3);
    await pass(500);
    expect(told).toEqual(['0 e.0', '0 to 3']);
  });

  it('is not told to who was taken off the channel while it was counted', async () => {
    const { told, pass, join } = setUp();
    join(1);
    await pass(500);
    const off = join(2);
    join(3);
    off.channels.length = 0;
    await pass(500);
    expect(told).toEqual(['0 e.0', '0 to 3']);
  });

  it('is not told any more once the channel is closed', async () => {
    const { tally, told, pass, join } = setUp();
    join(1);
    tally.close();
    await pass(1000);
    expect(told).toEqual([]);
  });
});
