import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { openConnection, published } from '../http/open-connection.ts';
import { FakeSubscriber } from './fakes.ts';
import { setUpStreamHub } from './stream-hub.ts';

const KEPT = { size: 10, ageMs: 60_000, bytes: 1_000_000 };
const KV: Partial<RouteConfig> = { source: { kind: 'kv', bucket: 'B' } };

describe('who joins without a cursor', () => {
  it.each<[string, RouteConfig['replay'], number[]]>([
    ['none', { kind: 'none' }, []],
    ['last', { kind: 'last', count: 1 }, [25]],
    ['so many', { kind: 'last', count: 15 }, Array.from({ length: 15 }, (_, i) => i + 11)],
    ['all', { kind: 'all' }, Array.from({ length: 25 }, (_, i) => i + 1)],
    ['since', { kind: 'since', ageMs: 1000 }, [21, 22, 23, 24, 25]],
  ])('is sent what replay asks for, from memory and from the log: %s', async (_, replay, expected) => {
    const { connect, messages, message, settle, clock, hub } = setUpStreamHub({ route: { replay } });
    messages(1, 20);
    clock.advance(10_000);
    messages(21, 25);
    const client = connect();
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'live', replayed: expected.length }]);
    message({ offset: 26 });
    hub.flush();
    expect(client.received).toEqual([...expected, 26].map((offset) => `e.${offset} ${offset}`));
  });

  it('is sent no more than the newest `limits.replay`, and is owed no more', async () => {
    const { connect, messages, settle } = setUpStreamHub({
      route: { replay: { kind: 'all' } },
      maxReplay: 3,
    });
    messages(1, 20);
    const client = connect();
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'live', replayed: 3 }]);
    expect(client.received).toEqual(['e.18 18', 'e.19 19', 'e.20 20']);
  });

  it('is sent nothing that has ended', async () => {
    const { connect, message, settle, clock } = setUpStreamHub({
      route: { replay: { kind: 'last', count: 2 } },
    });
    message({ offset: 1 });
    message({ offset: 2, ttlMs: 100 });
    message({ offset: 3 });
    clock.advance(100);
    const client = connect();
    await settle();
    expect(client.received).toEqual(['e.1 1', 'e.3 3']);
  });
});

describe('who joins a key-value route', () => {
  it('is sent the current value of each key, then the changes', async () => {
    const { connect, message, settle, hub } = setUpStreamHub({ route: KV });
    for (const [offset, key] of ['x', 'y', 'x', 'z', 'y'].entries()) message({ offset: offset + 1, key });
    const client = connect();
    await settle();
    message({ offset: 6, key: 'x' });
    hub.flush();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'live', replayed: 3 }]);
    expect(client.received).toEqual(['e.3 3', 'e.4 4', 'e.5 5', 'e.6 6']);
  });

  it('is not sent an older value where the newest has ended', async () => {
    const { connect, message, settle, clock } = setUpStreamHub({ route: KV });
    const first = connect();
    message({ offset: 1, key: 'x' });
    await settle();
    message({ offset: 2, key: 'x', ttlMs: 100 });
    clock.advance(100);
    const client = connect();
    await settle();
    expect(first.opened).toBeDefined();
    expect(client.received).toEqual([]);
  });

  it.each([
    ['another log', 'f.3'],
    ['a position that never was', 'e.1000'],
  ])('is sent the current values where its cursor is of %s', async (_, cursor) => {
    const { connect, message, settle } = setUpStreamHub({ route: { ...KV, history: { ...KEPT, size: 1 } } });
    for (const [offset, key] of ['x', 'y', 'x'].entries()) message({ offset: offset + 1, key });
    const client = connect(cursor);
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'reset', reason: 'epoch', replayed: 2 }]);
    expect(client.received).toEqual(['e.2 2', 'e.3 3']);
  });

  it('and comes back to it is told what was deleted, whoever was sent the current values before', async () => {
    const { connect, message, settle, archive } = setUpStreamHub({
      route: { ...KV, history: { ...KEPT, size: 1 } },
    });
    message({ offset: 1, key: 'x' });
    message({ offset: 2, key: 'y' });
    message({ offset: 3, key: 'x', isDelete: true });
    message({ offset: 4, key: 'z' });
    const fresh = connect();
    await settle();
    expect(fresh.received).toEqual(['e.2 2', 'e.4 4']);
    for (let i = 0; i < 3; i += 1) {
      const [back, another] = [connect('e.2'), connect()];
      await settle();
      expect(back.opened?.[0]).toMatchObject({ resume: 'recovered', replayed: 2 });
      expect(back.received).toEqual(['e.3 3', 'e.4 4']);
      expect(another.received).toEqual(['e.2 2', 'e.4 4']);
    }
    // Both are kept: neither costs the other's readers a read.
    expect(archive.asked).toHaveLength(2);
  });

  it('is sent no value for long that the bucket dropped without a word', async () => {
    const { connect, message, settle, archive, clock } = setUpStreamHub({ route: KV });
    message({ offset: 1, key: 'x' });
    message({ offset: 2, key: 'y' });
    const first = connect();
    await settle();
    archive.purge(1, 'purged');
    expect(first.received).toEqual(['e.1 1', 'e.2 2']);
    for (let seconds = 0; seconds < 5; seconds += 1) {
      clock.advance(1000);
      connect();
      await settle();
    }
    const client = connect();
    await settle();
    expect(client.received).toEqual(['e.2 2']);
    expect(archive.asked).toHaveLength(2);
  });

  it('is told where there are more values than `limits.replay`', async () => {
    const { connect, message, settle } = setUpStreamHub({ route: KV, maxReplay: 2 });
    for (const [offset, key] of ['x', 'y', 'z'].entries()) message({ offset: offset + 1, key });
    const client = connect();
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'gap', reason: 'too-many', replayed: 2 }]);
  });
});

describe('who comes back', () => {
  it('is sent exactly what it missed: from the log, from memory, then live', async () => {
    const { connect, messages, message, settle, hub } = setUpStreamHub();
    messages(1, 30);
    const client = connect('e.7');
    await settle();
    message({ offset: 31 });
    hub.flush();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'recovered', replayed: 23 }]);
    expect(client.received).toEqual(Array.from({ length: 24 }, (_, i) => `e.${i + 8} ${i + 8}`));
  });

  it('misses nothing and gets nothing twice of what comes while the log is read', async () => {
    const { connect, messages, settle, archive, hub } = setUpStreamHub();
    messages(1, 30);
    archive.hold();
    const client = connect('e.7');
    await settle();
    messages(31, 35);
    hub.flush();
    await settle();
    expect(client.opened).toBeUndefined();
    archive.release();
    messages(36, 37);
    await settle();
    messages(38, 39);
    hub.flush();
    expect(client.received).toEqual(Array.from({ length: 32 }, (_, i) => `e.${i + 8} ${i + 8}`));
  });

  it('is not sent what memory has before others had their turn; who is sent nothing waits for nobody', async () => {
    const { connect, messages, message, settle, hub, clock } = setUpStreamHub();
    messages(1, 30);
    const live = connect();
    const clients = Array.from({ length: 10 }, () => connect('e.25'));
    const current = connect('e.30');
    expect([live, current].map(({ opened }) => opened?.[0]?.replayed)).toEqual([0, 0]);
    expect(clients.filter(({ opened }) => opened !== undefined)).toEqual([]);
    for (const { res } of clients) {
      const write = res.write.bind(res);
      res.write = (chunk) => {
        clock.advance(2);
        return write(chunk);
      };
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    const first = clients.filter(({ opened }) => opened !== undefined).length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(10);
    message({ offset: 31 });
    hub.flush();
    await settle();
    expect(live.received).toEqual(['e.31 31']);
    const expected = Array.from({ length: 6 }, (_, i) => `e.${i + 26} ${i + 26}`);
    for (const client of clients) expect(client.received).toEqual(expected);
    expect(clients.map(({ opened }) => opened?.[0]?.replayed)).toEqual([
      ...Array(first).fill(5),
      ...Array(10 - first).fill(6),
    ]);
  });

  it('shares one read with a thousand others', async () => {
    const { connect, messages, settle, archive, hub } = setUpStreamHub();
    messages(1, 30);
    const clients = Array.from({ length: 1000 }, (_, i) => connect(`e.${5 + (i % 10)}`));
    await settle();
    for (const [i, client] of clients.entries()) expect(client.received).toHaveLength(25 - (i % 10));
    expect([archive.asked.length, hub.archiveReads]).toEqual([1, { all: 1, failed: 0 }]);
  });

  it('is told a gap, and sent what there still is, where the log has it no longer', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub();
    messages(1, 30);
    archive.purge(12, 'purged');
    const client = connect('e.7');
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'gap', reason: 'purged', replayed: 18 }]);
    expect(client.received[0]).toBe('e.13 13');
  });

  it('is told a gap where it missed more than `limits.replay`, and sent the newest of it', async () => {
    const { connect, messages, settle } = setUpStreamHub({ maxReplay: 3 });
    messages(1, 30);
    const client = connect('e.7');
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'gap', reason: 'too-many', replayed: 3 }]);
    expect(client.received).toEqual(['e.28 28', 'e.29 29', 'e.30 30']);
    // Where it is cut off now, it goes on from there: the gap has been told with this very cursor.
    expect(client.parser.events[0]?.id).toBe('e.27');
  });

  it('is sent all of it, and told what is missing of just that, whatever was missing for another', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub();
    messages(1, 30);
    archive.lost = { through: 18, reason: 'too-large' };
    const short = connect('e.15');
    await settle();
    expect(short.opened).toEqual([{ channel: 'a', resume: 'gap', reason: 'too-large', replayed: 15 }]);
    const far = connect('e.2');
    await settle();
    expect(far.opened).toEqual([{ channel: 'a', resume: 'gap', reason: 'too-large', replayed: 28 }]);
    const later = connect('e.18');
    await settle();
    expect(later.opened).toEqual([{ channel: 'a', resume: 'recovered', replayed: 12 }]);
  });

  it('is told what the log has lost, though all it has was read for who joined without a cursor', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub({ route: { replay: { kind: 'all' } } });
    messages(1, 30);
    archive.purge(15, 'too-old');
    const fresh = connect();
    await settle();
    expect(fresh.opened).toEqual([{ channel: 'a', resume: 'live', replayed: 15 }]);
    const client = connect('e.7');
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'gap', reason: 'too-old', replayed: 15 }]);
  });

  it('is served from memory where that goes back further than what was read again', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub({
      route: { replay: { kind: 'all' } },
      maxReplay: 3,
    });
    messages(1, 30);
    connect();
    await settle();
    expect(archive.asked).toHaveLength(1);
    const client = connect('e.28');
    await settle();
    expect(client.opened?.[0]).toMatchObject({ resume: 'recovered', replayed: 2 });
    expect(archive.asked).toHaveLength(1);
  });

  it('is served from memory what the log itself has no longer', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub();
    messages(1, 30);
    archive.purge(25, 'purged');
    const lost = connect('e.7');
    await settle();
    expect(lost.opened?.[0]).toMatchObject({ resume: 'gap', reason: 'purged' });
    const client = connect('e.22');
    await settle();
    expect(client.opened?.[0]).toMatchObject({ resume: 'recovered', replayed: 8 });
  });

  it('is closed where the log cannot be read now, and keeps the cursor that it had', async () => {
    const { connect, messages, settle, archive, metrics, hub } = setUpStreamHub();
    messages(1, 30);
    archive.hold();
    archive.isFailing = true;
    const held = connect();
    const client = connect('e.7');
    await settle();
    messages(31, 100);
    expect(held.connection.channels[0]?.history.size).toBe(70);
    archive.release();
    await settle();
    // Nothing is held any longer for who is no longer there.
    expect(held.connection.channels[0]?.history.size).toBe(10);
    expect(client.notices).toEqual([expect.stringMatching(/^sidestream\.close \{"reason":"overloaded"/)]);
    expect([client.opened, client.lastEventId, client.res.isEnded]).toEqual([undefined, '', true]);
    expect([hub.subscriberCount('a'), metrics.pendingBytes]).toEqual([1, 0]);
  });

  it('is sent what memory has where its cursor is of another log', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub();
    messages(1, 30);
    const client = connect('f.7');
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'reset', reason: 'epoch', replayed: 10 }]);
    expect(archive.asked).toEqual([]);
  });

  it.each([10, 0])(
    'is sent all of it, however fast messages come while the log is read: memory of %i',
    async (size) => {
      const { connect, messages, settle, archive, hub } = setUpStreamHub({
        route: { history: { ...KEPT, size } },
      });
      const held = connect();
      await settle();
      messages(1, 30);
      archive.hold();
      const client = connect('e.7');
      await settle();
      messages(31, 500);
      archive.release();
      await settle();
      expect(client.opened).toEqual([{ channel: 'a', resume: 'recovered', replayed: 493 }]);
      expect(archive.asked).toHaveLength(1);
      // Then memory is as small as it was.
      messages(501, 501);
      hub.flush();
      expect(held.connection.channels[0]?.history.size).toBe(size);
      expect(client.received.at(-1)).toBe('e.501 501');
    },
  );

  it('and who joins at that moment hold what comes while the log is read for each of them', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub({
      route: { history: { ...KEPT, size: 1 }, replay: { kind: 'last', count: 15 } },
    });
    messages(1, 30);
    archive.hold();
    const back = connect('e.7');
    await settle();
    messages(31, 40);
    const fresh = connect();
    await settle();
    messages(41, 50);
    archive.release();
    await settle();
    expect(back.opened?.[0]).toMatchObject({ resume: 'recovered', replayed: 43 });
    expect(fresh.opened?.[0]).toMatchObject({ resume: 'live', replayed: 15 });
    expect(archive.asked).toHaveLength(2);
  });

  it('is told a gap in the end where there is no memory left for what comes while the log is read', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub({ historyBytes: 5000 });
    messages(1, 30);
    archive.hold();
    const client = connect('e.7');
    let offset = 30;
    for (let round = 0; round < 6; round += 1) {
      await settle();
      messages(offset + 1, offset + 50);
      offset += 50;
      archive.release();
      archive.hold();
    }
    await settle();
    expect(archive.asked.length).toBeLessThanOrEqual(4);
    expect(client.opened?.[0]).toMatchObject({ resume: 'gap', reason: 'evicted' });
  });

  it.each([10, 0])('and leaves while the log is read leaves nothing behind: memory of %i', async (size) => {
    const { connect, messages, settle, archive, hub, pass, clock, source } = setUpStreamHub({
      lingerMs: 0,
      route: { history: { ...KEPT, size } },
    });
    messages(1, 30);
    archive.hold();
    const client = connect('e.7');
    await settle();
    messages(31, 40);
    client.leave();
    pass(1000);
    archive.release();
    await settle();
    expect(hub.channelCount).toBe(0);
    clock.advance(60_000);
    // No more than what memory kept, and now that is too old.
    hub.sweep();
    expect([hub.historyBytes, source.log.histories.size]).toEqual([0, 0]);
  });

  it('and leaves before it is its turn is not read for', async () => {
    const { connect, message, settle, archive, hub } = setUpStreamHub({ lingerMs: 60_000 });
    const channels = Array.from({ length: 60 }, (_, i) => `channel-${i}`);
    for (let offset = 1; offset <= 30; offset += 1) message({ offset }, ...channels);
    archive.hold();
    const gone = channels.map((channel) => connect('e.7', [channel]));
    const stays = connect('e.7', ['channel-59']);
    await settle();
    expect(archive.asked).toHaveLength(16);
    for (const client of gone) client.leave();
    archive.release();
    await settle();
    expect(archive.asked).toHaveLength(17);
    expect(stays.opened?.[0]).toMatchObject({ resume: 'recovered', replayed: 23 });
    expect(hub.archiveReads).toEqual({ all: 17, failed: 0 });
  });

  it('of a route that keeps nothing finds nothing kept', () => {
    const { message, source, hub } = setUpStreamHub({ route: { history: { ...KEPT, size: 0 } } });
    for (let offset = 1; offset < 10; offset += 1) message({ offset }, `channel-${offset}`);
    expect([source.log.histories.size, hub.historyBytes]).toEqual([0, 0]);
  });

  it('of a route that keeps nothing is not told that nothing came while nobody was there to see it', async () => {
    const { connect, settle, source, archive } = setUpStreamHub({ route: { history: { ...KEPT, size: 0 } } });
    // The source does not pass on what nobody reads and nobody keeps.
    source.log.offset = 5;
    archive.store({ offset: 5 });
    const client = connect('e.3');
    await settle();
    expect(client.opened?.[0]).toMatchObject({ resume: 'recovered', replayed: 1 });
    expect(client.received).toEqual(['e.5 5']);
  });
});

describe('a core route', () => {
  it('is replayed from memory to who comes back, and bounded by it', () => {
    const { connection, read, send, hub } = openConnection({ route: { history: { ...KEPT, size: 2 } } });
    for (const data of ['1', '2', '3']) send('a', data);
    expect(published(read())).toEqual(['1', '2', '3']);
    const [channel] = connection.channels;
    if (channel === undefined) throw new TypeError('one channel');
    const verdicts = [1, 2, 3, 4, 5].map((offset) => {
      const subscriber = new FakeSubscriber();
      const recovery = hub.recovery(subscriber, [channel], [{ epoch: 'e', offset }]);
      const [opened] = recovery.conclude().channels;
      return `${opened?.resume} ${opened?.replayed}`;
    });
    // 1 and 2: opened and settled; 3 to 5: the events, of which the first is gone.
    expect(verdicts).toEqual(['gap 2', 'gap 2', 'recovered 2', 'recovered 1', 'recovered 0']);
  });

  it('sends all who come back the same bytes, and lets go of them when nobody has come for a while', () => {
    const { connection, send, hub } = openConnection({ route: { history: KEPT } });
    for (const data of ['1', '2', '3']) send('a', data);
    const chunk = () => {
      const subscriber = new FakeSubscriber();
      const recovery = hub.recovery(subscriber, connection.channels, [{ epoch: 'e', offset: 2 }]);
      return hub.replayParts(recovery.conclude().replay, { takesParts: true, sharesAll: false })[0];
    };
    const first = chunk();
    hub.sweep();
    expect(chunk()).toBe(first);
    for (let i = 0; i < 2; i += 1) hub.sweep();
    expect(chunk()).not.toBe(first);
    expect(chunk()).toEqual(first);
  });
});
