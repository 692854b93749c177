import { describe, expect, it } from 'vitest';
import { toIdentity } from '../../src/auth/identity.ts';
import { TICK_MS } from '../../src/clock.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { encodeEvent } from '../../src/protocol/sse.ts';
import { FakeSubscriber } from '../hub/fakes.ts';
import { ManualClock } from '../support/clock.ts';
import { HEARTBEAT_MS, openConnection, PENDING_BYTES, published, STALLED_MS } from './open-connection.ts';

describe('a stream begins', () => {
  it('with the head, a retry within its range, and sidestream.open with the cursor of this moment', () => {
    const { res, read, connection, hub } = openConnection({ channels: ['a', 'b'] });
    expect(res.head[0]).toBe('200 OK');
    expect(res.head).toEqual(
      expect.arrayContaining([
        'Content-Type: text/event-stream',
        'Cache-Control: private, no-cache, no-store, no-transform',
        'X-Accel-Buffering: no',
      ]),
    );
    const [open] = read().events;
    expect(open).toMatchObject({
      event: 'sidestream.open',
      id: hub.cursor(connection),
      retry: 6500,
    });
    expect(JSON.parse(open?.data ?? '')).toEqual({
      connection: connection.id,
      channels: [
        { channel: 'a', resume: 'live', replayed: 0 },
        { channel: 'b', resume: 'live', replayed: 0 },
      ],
    });
  });

  it('with the retry line alone where control events are off', () => {
    const { first, send, read } = openConnection({ control: false });
    expect(first.toString()).toBe('retry: 6500\n\n');
    send('a', 'x');
    expect(published(read())).toEqual(['x']);
  });

  it('with what its cursor is worth, counted by verdict', () => {
    const { read, metrics } = openConnection({ cursor: parseCursor('e.0') });
    expect(JSON.parse(read().events[0]?.data ?? '').channels).toEqual([
      { channel: 'a', resume: 'gap', reason: 'evicted', replayed: 0 },
    ]);
    expect([...metrics.resumes]).toEqual([['gap', 1]]);
  });
});

describe('a reader that keeps up', () => {
  it('gets each turn as it comes, and nothing waits', () => {
    const { send, read, metrics, connection } = openConnection();
    for (const data of ['1', '2', '3']) send('a', data);
    expect(published(read())).toEqual(['1', '2', '3']);
    expect([connection.waitingBytes, metrics.pendingBytes, metrics.slowConnections]).toEqual([0, 0, 0]);
  });

  it('is counted in bytes as they are written', () => {
    const { send, res, metrics } = openConnection();
    send('a', 'x'.repeat(500));
    expect(metrics.sentBytes).toBe(res.bytes.length);
  });
});

describe('a reader that is behind', () => {
  it('is written nothing until its socket has room, then everything, in order', () => {
    const { send, res, read, metrics } = openConnection();
    res.answer(false);
    for (const data of ['1', '2', '3']) send('a', data);
    expect(published(read())).toEqual(['1']);
    expect(metrics.slowConnections).toBe(1);
    expect(metrics.pendingBytes).toBeGreaterThan(0);
    res.becomeWritable();
    expect(published(read())).toEqual(['1', '2', '3']);
    expect([metrics.pendingBytes, metrics.slowConnections]).toEqual([0, 0]);
  });

  it('gets of a turn of several chunks no more than up to the one that filled its socket', () => {
    const { connection, res, read } = openConnection();
    const chunks = ['1', '2', '3', '4'].map((data) => encodeEvent({ data }));
    res.answer(true, false, true, false);
    connection.deliver({ frames: [], parts: chunks, ends: [] });
    expect(published(read())).toEqual(['1', '2']);
    expect(connection.waitingBytes).toBe(2 * encodeEvent({ data: '1' }).length);
    res.becomeWritable();
    expect(published(read())).toEqual(['1', '2', '3', '4']);
    expect(connection.waitingBytes).toBe(0);
  });

  it('may fall behind again while it catches up, and again afterwards', () => {
    const { send, res, read, metrics } = openConnection();
    res.answer(false, false, true, false);
    for (const data of ['1', '2', '3', '4']) send('a', data);
    res.becomeWritable();
    expect(published(read())).toEqual(['1', '2']);
    res.becomeWritable();
    expect(published(read())).toEqual(['1', '2', '3', '4']);
    expect([metrics.slowConnections, res.isFull]).toEqual([1, true]);
    res.becomeWritable();
    expect([metrics.pendingBytes, metrics.slowConnections]).toEqual([0, 0]);
    send('a', '5');
    expect(published(read())).toEqual(['1', '2', '3', '4', '5']);
  });

  it('gets a comment where nothing waits, since its socket layer sends what it holds only with the next write', () => {
    const { send, res, read } = openConnection();
    res.answer(false);
    send('a', '1');
    res.becomeWritable();
    expect(read().comments).toEqual(['']);
  });

  it('is cut off as slow as soon as more waits than limits.pending, and releases all it held', () => {
    const { send, res, endings, hub, metrics, connection } = openConnection();
    res.answer(false);
    send('a', '1');
    while (connection.isOpen && metrics.pendingBytes <= PENDING_BYTES) send('a', 'x'.repeat(100));
    expect([endings, res.cutOff]).toEqual([['slow'], true]);
    expect([metrics.pendingBytes, metrics.slowConnections, hub.subscriberCount('a')]).toEqual([0, 0, 0]);
  });

  it('is not cut off for one event larger than limits.pending, but for what comes on top of it', () => {
    const { connection, res, send, read, endings } = openConnection();
    const chunks = Array.from({ length: 5 }, () => encodeEvent({ data: 'x'.repeat(PENDING_BYTES) }));
    res.answer(false);
    connection.deliver({ frames: [], parts: chunks, ends: [] });
    send('a', 'y'.repeat(PENDING_BYTES / 2));
    expect(connection.isOpen).toBe(true);
    res.answer(true, false);
    res.becomeWritable();
    send('a', 'z'.repeat(PENDING_BYTES));
    expect(endings).toEqual(['slow']);
    expect(read().events.filter(({ data }) => data.startsWith('x'))).toHaveLength(3);
  });

  it('is not cut off while no more than limits.pending waits', () => {
    const { send, res, connection, metrics } = openConnection();
    res.answer(false);
    send('a', '1');
    // What stands around a payload whose offset has one digit.
    const overhead = 'id: e.3\ndata: \n\n'.length;
    send('a', 'x'.repeat(PENDING_BYTES - overhead));
    expect([metrics.pendingBytes, connection.isOpen]).toEqual([PENDING_BYTES, true]);
  });

  it.each(['drop', 'latest'] as const)(
    'of a route that spares it events stays as long as it reads at all: %s',
    (slow) => {
      const { send, res, endings, pass, connection } = openConnection({ route: { slow } });
      res.answer(false);
      send('a', '1');
      for (let i = 0; i < 4; i += 1) {
        send('a', '2');
        send('a', '3');
        pass(STALLED_MS * 0.6);
        res.answer(false);
        res.becomeWritable();
      }
      expect(connection.isOpen).toBe(true);
      for (let i = 0; i < 3; i += 1) pass(STALLED_MS * 0.6);
      expect([endings, res.cutOff]).toEqual([['slow'], true]);
    },
  );

  it('is cut off as slow once it has been behind for limits.stalled, though it reads a little all the time', () => {
    const { send, res, read, endings, pass } = openConnection();
    res.answer(false);
    for (const data of ['1', '2', '3', '4']) send('a', data);
    pass(STALLED_MS / 2);
    res.answer(false);
    res.becomeWritable();
    expect(published(read())).toEqual(['1', '2']);
    pass(STALLED_MS / 2 - 1);
    expect(endings).toEqual([]);
    pass(TICK_MS + 1);
    expect([endings, res.cutOff]).toEqual([['slow'], true]);
  });

  it('has its time counted anew once it has caught up', () => {
    const { send, res, endings, pass } = openConnection();
    for (let i = 0; i < 3; i += 1) {
      res.answer(false);
      send('a', 'x');
      pass(STALLED_MS - 1);
      res.becomeWritable();
    }
    expect(endings).toEqual([]);
  });

  it('is kept from being given up by the socket layer, so that only limits.stalled says how long it may stay', () => {
    const { send, res, pass } = openConnection();
    res.answer(false);
    send('a', '1');
    // uWebSockets.js gives up a socket 8 to 12 s after a write that did not go through.
    for (let elapsedMs = 0; elapsedMs < STALLED_MS - 8000; elapsedMs += 8000) {
      const { rewinds } = res;
      for (let ms = 0; ms < 8000; ms += TICK_MS) pass(TICK_MS);
      expect(res.rewinds).toBeGreaterThan(rewinds);
    }
  });

  it('does not hold up the others', () => {
    const { send, res, join } = openConnection();
    const other = new FakeSubscriber();
    join(other, 'a');
    res.answer(false);
    for (const data of ['1', '2']) send('a', data);
    expect(other.data).toEqual(['1', '2']);
  });
});

describe('a stream that is closed', () => {
  it('gets what waits in the hub, a retry and sidestream.close, and ends in good order', () => {
    const { publish, connection, read, res, endings } = openConnection();
    publish('a', 'last');
    connection.close('draining', 1234);
    const parser = read();
    expect(published(parser)).toEqual(['last']);
    expect(parser.events.at(-1)).toMatchObject({
      event: 'sidestream.close',
      data: '{"reason":"draining","retry":1234}',
      retry: 1234,
    });
    expect([res.isEnded, res.cutOff, endings]).toEqual([true, false, ['draining']]);
  });

  it('gets the retry line alone where control events are off', () => {
    const { connection, res, first } = openConnection({ control: false });
    connection.close('draining', 1234);
    expect(res.bytes.subarray(first.length).toString()).toBe('retry: 1234\n\n');
  });

  it('while its reader is behind gets the farewell last, and nothing that came after', () => {
    const { send, connection, read, res, endings } = openConnection();
    res.answer(false);
    for (const data of ['1', '2']) send('a', data);
    connection.close('draining', 1);
    send('a', 'too late');
    connection.close('max-age', 2);
    expect(endings).toEqual([]);
    res.becomeWritable();
    expect(published(read())).toEqual(['1', '2']);
    expect(read().events.at(-1)?.data).toBe('{"reason":"draining","retry":1}');
    expect([endings, res.isEnded, res.cutOff]).toEqual([['draining'], true, false]);
  });

  it('and does not read its farewell is cut off in the end', () => {
    const { send, connection, res, endings, pass } = openConnection();
    res.answer(false);
    send('a', '1');
    connection.close('draining', 1);
    pass(STALLED_MS + TICK_MS);
    expect([endings, res.cutOff]).toEqual([['slow'], true]);
  });

  it.each(['revoked', 'expired', 'disconnected'] as const)(
    'as %s while its reader is behind does not wait longer than a second for it',
    (reason) => {
      const { send, connection, res, endings, pass, metrics, hub } = openConnection();
      res.answer(false);
      for (const data of ['1', '2']) send('a', data);
      pass(STALLED_MS / 2);
      connection.close(reason, 1);
      pass(1000 - 2 * TICK_MS);
      expect(endings).toEqual([]);
      pass(2 * TICK_MS);
      expect([endings, res.cutOff]).toEqual([[reason], true]);
      expect([metrics.pendingBytes, metrics.slowConnections, hub.subscriberCount('a')]).toEqual([0, 0, 0]);
    },
  );

  it('as draining, and revoked before its reader has taken the farewell, is cut off as soon', () => {
    const { send, connection, res, read, endings, pass } = openConnection();
    res.answer(false);
    send('a', '1');
    connection.close('draining', 1);
    connection.close('revoked', 2);
    pass(1000);
    expect([endings, res.cutOff, read().events.at(-1)?.data]).toEqual([['draining'], true, '1']);
  });

  it('as revoked gets its farewell where its reader catches up within that second', () => {
    const { send, connection, res, read, endings, pass } = openConnection();
    res.answer(false);
    send('a', '1');
    connection.close('revoked', 1);
    pass(500);
    res.becomeWritable();
    pass(STALLED_MS);
    expect(read().events.at(-1)?.data).toBe('{"reason":"revoked","retry":1}');
    expect([endings, res.cutOff]).toEqual([['revoked'], false]);
  });

  it('as expired at the token’s time is cut off within a second where its reader is behind', () => {
    const clock = new ManualClock();
    const identity = toIdentity({ sub: '42', exp: (clock.wall() + 2000) / 1000 });
    const { send, res, endings, pass } = openConnection({ identity });
    res.answer(false);
    send('a', '1');
    pass(2000);
    pass(1000);
    expect([endings, res.cutOff]).toEqual([['expired'], true]);
  });

  it('leaves all its channels and stops its timers', () => {
    const { connection, hub, metrics, pass } = openConnection({ channels: ['a', 'b'] });
    connection.close('draining');
    expect(['a', 'b'].map((channel) => hub.subscriberCount(channel))).toEqual([0, 0]);
    pass(10 * HEARTBEAT_MS);
    expect(metrics.heartbeats).toBe(0);
  });

  it('by the client is released once, and its response is never touched again', () => {
    const { connection, res, endings, send, hub, pass } = openConnection();
    res.becomeAborted();
    connection.abort('slow');
    connection.close('draining');
    connection.onAborted();
    send('a', 'x');
    pass(10 * HEARTBEAT_MS);
    expect([endings, hub.subscriberCount('a')]).toEqual([['client'], 0]);
  });
});

describe('a heartbeat', () => {
  it('is written to a stream that was quiet, again and again', () => {
    const { read, metrics, pass } = openConnection();
    for (let elapsedMs = 0; elapsedMs < 3 * HEARTBEAT_MS; elapsedMs += TICK_MS) pass(TICK_MS);
    expect([read().comments, metrics.heartbeats]).toEqual([['', '', ''], 3]);
  });

  it('is not written where something else was, however long the stream lasts', () => {
    const { send, metrics, pass } = openConnection();
    for (let i = 0; i < 10; i += 1) {
      pass(HEARTBEAT_MS / 2);
      send('a', 'x');
    }
    expect(metrics.heartbeats).toBe(0);
  });

  it('is not written at all where heartbeats are off', () => {
    const { metrics, pass } = openConnection({ sse: { heartbeatMs: 0 } });
    for (let i = 0; i < 10; i += 1) pass(HEARTBEAT_MS);
    expect(metrics.heartbeats).toBe(0);
  });

  it('may find that the reader is behind', () => {
    const { res, metrics, pass, endings } = openConnection();
    res.answer(false);
    pass(HEARTBEAT_MS);
    expect([metrics.heartbeats, metrics.slowConnections]).toEqual([1, 1]);
    pass(STALLED_MS + TICK_MS);
    expect(endings).toEqual(['slow']);
  });
});

describe('the maximum age', () => {
  const maxAgeMs = 60_000;

  it('closes a stream in good order, at most a tenth before its time and never after', () => {
    const { endings, read, pass } = openConnection({ sse: { maxAgeMs } });
    pass(0.9 * maxAgeMs - 1);
    expect(endings).toEqual([]);
    pass(0.1 * maxAgeMs + TICK_MS);
    expect(endings).toEqual(['max-age']);
    expect(read().events.at(-1)).toMatchObject({
      event: 'sidestream.close',
      data: expect.stringContaining('"max-age"'),
    });
  });

  it('closes a stream with a reader that is behind once it has caught up', () => {
    const { send, res, endings, pass } = openConnection({ sse: { maxAgeMs } });
    pass(0.9 * maxAgeMs - 1000);
    res.answer(false);
    send('a', 'x');
    pass(0.1 * maxAgeMs + 1000);
    res.becomeWritable();
    pass(TICK_MS);
    expect(endings).toEqual(['max-age']);
  });

  it('is no limit where it is 0', () => {
    const { connection, pass } = openConnection();
    pass(1e9);
    expect(connection.isOpen).toBe(true);
  });
});
