import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { toIdentity } from '../../src/auth/identity.ts';
import { TICK_MS } from '../../src/clock.ts';
import { Renderings } from '../../src/http/renderings.ts';
import { type AskSetup, type PollSetup, STALLED_MS, setUpPolls, WAIT_MS } from './open-poll.ts';
import { bodyOf } from './poll-frames.ts';

/** A client that has asked once, so its channels are open, and has a cursor. */
function following(options: AskSetup & { readonly setup?: Parameters<typeof setUpPolls>[0] } = {}) {
  const { setup, ...asked } = options;
  const real = setUpPolls(setup);
  const first = real.ask(asked).res.told;
  if (first === undefined) throw new Error('the first poll was not answered');
  return { ...real, cursor: first.cursor, again: (more: AskSetup = {}) => real.ask({ ...asked, ...more }) };
}
const data = (events: readonly { readonly data: string }[] | undefined) => events?.map((event) => event.data);

describe('a poll', () => {
  it('without a cursor is answered at once, with one from which on nothing is missed', async () => {
    const { ask, send, cursor } = setUpPolls();
    const { res } = ask();
    expect(res.told).toEqual({
      cursor: cursor(),
      channels: [{ channel: 'a', resume: 'live', replayed: 0 }],
      events: [],
      retry: 6500,
    });
    send('a', 'one');
    send('a', 'two');
    const next = ask({ cursor: res.told?.cursor ?? '' }).res;
    await turn();
    expect(next.told).toMatchObject({
      cursor: cursor(),
      channels: [{ channel: 'a', resume: 'recovered', replayed: 2 }],
    });
    expect(data(next.told?.events)).toEqual(['one', 'two']);
  });

  it('without a cursor is given what the route replays', async () => {
    const { ask, send } = setUpPolls({ route: { replay: { kind: 'last', count: 1 } } });
    ask();
    send('a', 'one');
    send('a', 'two');
    const { res } = ask();
    await turn();
    expect(data(res.told?.events)).toEqual(['two']);
    expect(res.told?.cursor).toBe(res.told?.events[0]?.id);
  });

  it('waits where nothing was missed, and is answered with what the first turn brings that brings something', async () => {
    const { again, cursor, publish, hub, send, endings } = following();
    const { res } = again({ cursor });
    expect(res.isEnded).toBe(false);
    publish('a', 'one');
    publish('a', 'two');
    hub.flush();
    await turn();
    expect(data(res.told?.events)).toEqual(['one', 'two']);
    expect(res.told?.cursor).toBe(res.told?.events.at(-1)?.id);
    send('a', 'three');
    expect(endings).toEqual(['answered', 'answered']);
  });

  it('is answered with nothing when its wait is over, and the cursor of then', () => {
    const { again, cursor, pass, send, ask } = following();
    const { res } = again({ cursor });
    ask({ channels: ['b'] });
    send('b', 'not for it');
    pass(WAIT_MS - TICK_MS);
    expect(res.isEnded).toBe(false);
    pass(2 * TICK_MS);
    expect(res.told).toMatchObject({ channels: [{ resume: 'recovered', replayed: 0 }], events: [] });
    expect(res.told?.cursor).not.toBe(cursor);
  });

  it('is given what came in the very turn in which its wait is over', () => {
    const { again, cursor, publish, pass } = following();
    const { res } = again({ cursor });
    publish('a', 'just in time');
    pass(WAIT_MS + TICK_MS);
    expect(data(res.told?.events)).toEqual(['just in time']);
  });

  it('that does not want to wait does not', () => {
    const { again, cursor } = following();
    expect(again({ cursor, waitMs: 0 }).res.told).toMatchObject({ cursor, events: [] });
  });

  it('is told at once what it lost, and not again', async () => {
    const { again, cursor, send } = following({
      setup: { route: { history: { size: 0, ageMs: 1000, bytes: 1000 } } },
    });
    send('a', 'gone');
    const { res } = again({ cursor });
    await turn();
    expect(res.told?.channels).toEqual([{ channel: 'a', resume: 'gap', reason: 'evicted', replayed: 0 }]);
    expect(again({ cursor: res.told?.cursor ?? '' }).res.isEnded).toBe(false);
  });

  it('with a cursor of another log is told so at once', () => {
    const { again, cursor } = following();
    const { res } = again({ cursor: 'other.7' });
    expect(res.told).toMatchObject({ cursor, channels: [{ resume: 'reset', reason: 'epoch' }] });
  });

  it('waits while NATS is away, and is told of the gap when it is back', async () => {
    const { again, cursor, source, hub } = following();
    source.interrupted = true;
    const { res } = again({ cursor });
    expect(res.isEnded).toBe(false);
    source.interrupted = false;
    source.sink('a')?.gap('disconnected');
    hub.flush();
    await turn();
    expect(res.told?.events).toMatchObject([{ event: 'sidestream.gap' }]);
  });

  it('of an unavailable channel is told so when its wait is over', () => {
    const { again, cursor, source, hub, pass } = following();
    source.sink('a')?.gap('unavailable');
    hub.flush();
    const told = again({ cursor }).res.told;
    expect(told?.channels).toMatchObject([{ resume: 'gap', reason: 'unavailable' }]);
    const { res } = again({ cursor: told?.cursor ?? '' });
    pass(WAIT_MS + TICK_MS);
    expect(res.told?.events).toEqual([
      { event: 'sidestream.gap', data: '{"channel":"a","reason":"unavailable"}' },
    ]);
  });

  it('is given no more than it asked for; the rest comes next', async () => {
    const { again, cursor, send } = following();
    for (const text of ['1', '2', '3', '4', '5']) send('a', text);
    const seen: string[][] = [];
    for (let at = cursor; seen.length < 3; ) {
      const { res } = again({ cursor: at, limit: 2 });
      await turn();
      seen.push(data(res.told?.events) ?? []);
      at = res.told?.cursor ?? '';
    }
    expect(seen).toEqual([['1', '2'], ['3', '4'], ['5']]);
  });

  it('is given no more than limits.pending, but always one event', async () => {
    const { again, cursor, publish, hub } = following();
    const { res } = again({ cursor });
    for (const size of [2000, 500, 500]) publish('a', 'x'.repeat(size));
    hub.flush();
    await turn();
    expect(res.told?.events.map((event) => event.data.length)).toEqual([2000]);
    const next = again({ cursor: res.told?.cursor ?? '' }).res;
    await turn();
    expect(next.told?.events.map((event) => event.data.length)).toEqual([500]);
  });

  it('of several channels is given them in order of arrival', async () => {
    const { again, cursor, publish, hub } = following({ channels: ['a', 'b'] });
    const { res } = again({ cursor });
    for (const [channel, text] of [
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
    ] as const)
      publish(channel, text);
    hub.flush();
    await turn();
    expect(data(res.told?.events)).toEqual(['1', '2', '3']);
  });
});

describe('the answer to a poll', () => {
  it('is JSON that nobody keeps, on a connection that may be used again', () => {
    const { ask } = setUpPolls();
    const { res } = ask({ headers: [['Access-Control-Allow-Origin', '*']] });
    expect(res.head).toEqual([
      '200 OK',
      'Content-Type: application/json',
      'Cache-Control: no-store',
      'Vary: Accept',
      'Access-Control-Allow-Origin: *',
    ]);
    expect(res.closesConnection).toBe(false);
  });

  it('counts in what is sent, with what it would be without compression', async () => {
    const { again, cursor, send, metrics } = following();
    const before = [metrics.sentBytes, metrics.plainBytes] as const;
    const chosen = new Renderings({ compression: ['gzip'] }).choose('sse', 'gzip');
    const { res } = again({ cursor, chosen });
    send('a', 'x'.repeat(2000));
    await turn();
    expect(metrics.sentBytes - before[0]).toBe(res.bytes.length);
    expect(metrics.plainBytes - before[1]).toBe(gunzipSync(res.bytes).length);
  });
});

describe('the answer to a poll that takes compression', () => {
  const chosen = new Renderings({ compression: ['gzip'] }).choose('sse', 'gzip');

  it('is a whole compressed body, from a size on from which that pays', async () => {
    const { again, cursor, send } = following();
    const { res } = again({ cursor, chosen });
    send('a', 'x'.repeat(2000));
    await turn();
    expect(res.head).toContain('Content-Encoding: gzip');
    expect(bodyOf(gunzipSync(res.bytes)).events).toMatchObject([{ data: 'x'.repeat(2000) }]);
  });

  it('is as it is below, and caches are told that it depends', () => {
    const { again, cursor } = following();
    const { res } = again({ cursor, chosen, waitMs: 0 });
    expect(res.told?.cursor).toBe(cursor);
    expect(res.head).toContain('Vary: Accept-Encoding');
    expect(res.head).not.toContain('Content-Encoding: gzip');
  });
});

describe('a waiting poll', () => {
  it.each(['draining', 'revoked', 'disconnected'] as const)(
    'that is closed (%s) is answered with what there is, and when to come back',
    (reason) => {
      const { again, cursor, publish, endings } = following();
      const { res, poll } = again({ cursor });
      publish('a', 'of this turn');
      poll.close(reason, 1234);
      expect(res.told).toMatchObject({ retry: 1234, close: { reason, retry: 1234 } });
      expect(data(res.told?.events)).toEqual(['of this turn']);
      expect(res.closesConnection).toBe(true);
      expect(endings.at(-1)).toBe(reason);
    },
  );

  it('ends with its token', () => {
    const { again, cursor, pass, clock } = following();
    const identity = toIdentity({ sub: 'u', exp: (clock.wall() + 5000) / 1000 });
    const { res } = again({ cursor, identity });
    pass(4000);
    expect(res.isEnded).toBe(false);
    pass(1000 + TICK_MS);
    expect(res.told).toMatchObject({ cursor, events: [], close: { reason: 'expired' } });
  });

  it('that is cut off is not answered', () => {
    const { again, cursor, endings } = following();
    const { res, poll } = again({ cursor });
    poll.abort('draining');
    expect([res.cutOff, res.chunks]).toEqual([true, []]);
    expect(endings.at(-1)).toBe('draining');
  });

  it('whose client goes away is forgotten', () => {
    const { again, cursor, endings, hub, send, pass } = following();
    const { res } = again({ cursor });
    expect(hub.subscriberCount('a')).toBe(1);
    res.becomeAborted();
    expect([hub.subscriberCount('a'), endings]).toEqual([0, ['answered', 'client']]);
    send('a', 'late');
    pass(2 * WAIT_MS);
    expect(endings).toHaveLength(2);
  });
});

describe('an answer that its client does not take', () => {
  const large = 'x'.repeat(40_000);
  /** Polls that have been answered and have taken so much. */
  async function unread(count: number, room: number, setup: PollSetup = {}) {
    const real = following({ setup: { pendingBytes: 1_000_000, ...setup } });
    const { metrics, cursor, again, send } = real;
    const sentBefore = metrics.sentBytes;
    const asked = Array.from({ length: count }, () => again({ cursor, room }));
    send('a', large);
    await turn();
    // What is counted of what waits, and of what was taken.
    const counted = () => [metrics.slowConnections, metrics.pendingBytes, metrics.sentBytes - sentBefore];
    return { ...real, asked, counted, real };
  }
  const [room] = [10_000];

  it('keeps its place until it has been taken, and what waits is counted, what all have once', async () => {
    const { asked, counted, endings, metrics, hub } = await unread(3, room);
    expect([endings, hub.subscriberCount('a')]).toEqual([['answered'], 0]);
    const total = asked[0]?.res.bytes.length ?? 0;
    expect(total).toBe(room);
    expect(counted()).toEqual([3, expect.any(Number), 3 * room]);
    expect(metrics.pendingBytes).toBeGreaterThan(3 * (large.length - room));
    expect(metrics.pendingMemoryBytes).toBeLessThan(1.1 * large.length);
    for (const { res } of asked) {
      res.room = 20_000;
      res.becomeWritable();
      expect(res.isEnded).toBe(false);
    }
    for (const { res } of asked) {
      res.room = Infinity;
      res.becomeWritable();
      expect(data(res.told?.events)).toEqual([large]);
    }
    expect(endings).toEqual(['answered', 'answered', 'answered', 'answered']);
    expect(counted()).toEqual([0, 0, 3 * (asked[0]?.res.bytes.length ?? 0)]);
    expect(metrics.pendingMemoryBytes).toBe(0);
  });

  it('is cut off after limits.stalled, however slowly it is read, and until then its socket is kept', async () => {
    const { asked, endings, metrics, pass } = await unread(1, room);
    const { res } = asked[0] ?? expect.unreachable();
    for (let ms = 0; ms < STALLED_MS - 1000; ms += 1000) {
      pass(1000);
      res.room = 1;
      res.becomeWritable();
    }
    expect([res.isEnded, res.rewinds]).toEqual([false, 5]);
    pass(1000 + TICK_MS);
    expect([res.cutOff, endings.at(-1)]).toEqual([true, 'slow']);
    expect([metrics.slowConnections, metrics.pendingBytes, metrics.pendingMemoryBytes]).toEqual([0, 0, 0]);
    pass(2 * STALLED_MS);
    expect(endings).toHaveLength(2);
  });

  it('is cut off where together with others it is more than limits.pendingTotal', async () => {
    const { asked, endings, metrics } = await unread(1, room, { totalBytes: large.length });
    expect([asked[0]?.res.cutOff, endings.at(-1)]).toEqual([true, 'slow']);
    expect([metrics.slowConnections, metrics.pendingMemoryBytes]).toEqual([0, 0]);
  });

  it('is let go of when its client goes, and not answered anew when it is closed', async () => {
    const { asked, endings, metrics } = await unread(2, room);
    for (const { poll } of asked) poll.close('draining');
    expect(endings).toHaveLength(1);
    for (const { res } of asked) res.becomeAborted();
    expect(endings.slice(1)).toEqual(['client', 'client']);
    expect([metrics.slowConnections, metrics.pendingBytes, metrics.pendingMemoryBytes]).toEqual([0, 0, 0]);
  });
});

describe('many polls of one channel', () => {
  it('are answered a slice of a turn at a time, and what came meanwhile is in the answers of the later ones', async () => {
    const { again, cursor, publish, hub, clock, endings } = following();
    const asked = Array.from({ length: 100 }, () => again({ cursor }));
    // Each answer takes a millisecond.
    for (const { res } of asked) {
      const { cork } = res;
      res.cork = (callback) => {
        clock.advance(1);
        return cork.call(res, callback);
      };
    }
    publish('a', 'one');
    hub.flush();
    expect(endings).toHaveLength(1);
    const answered = () => asked.filter(({ res }) => res.isEnded).length;
    await turn();
    expect(answered()).toBeLessThanOrEqual(4);
    publish('a', 'two');
    for (let before = -1; answered() < 100; ) {
      expect(answered()).toBeGreaterThan(before);
      before = answered();
      await turn();
    }
    expect(data(asked[0]?.res.told?.events)).toEqual(['one']);
    expect(data(asked[99]?.res.told?.events)).toEqual(['one', 'two']);
  });
});

describe('a poll that waits for what it missed to be read', () => {
  it('keeps its cursor where it is closed before', async () => {
    const { again, cursor, send, endings } = following();
    send('a', 'missed');
    const { res, poll } = again({ cursor });
    expect(res.isEnded).toBe(false);
    poll.close('draining', 1000);
    expect(res.told).toMatchObject({ cursor, channels: [], events: [], close: { reason: 'draining' } });
    await turn();
    expect(endings).toHaveLength(2);
  });

  it('is given it, though its wait is over meanwhile', async () => {
    const { again, cursor, send } = following();
    send('a', 'missed');
    const { res } = again({ cursor, waitMs: 0 });
    await turn();
    expect(data(res.told?.events)).toEqual(['missed']);
  });

  it('is not answered once its client has gone', async () => {
    const { again, cursor, send, endings } = following();
    send('a', 'missed');
    const { res } = again({ cursor });
    res.becomeAborted();
    await turn();
    expect(res.chunks).toEqual([]);
    expect(endings.at(-1)).toBe('client');
  });
});
