import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHeartbeat, MAX_HEARTBEAT_BYTES } from '../../src/cluster/peer.ts';
import { BEAT_MS, GONE_MS } from '../../src/cluster/peers.ts';
import { responsible } from '../../src/cluster/responsible.ts';
import { createLog } from '../../src/log.ts';
import { idsOf, TestCluster } from './cluster.ts';

const HERE = 'sidestream.peer.here';

describe('an instance', () => {
  it('knows itself, and nobody else, alone', () => {
    const a = new TestCluster().add('a');
    expect([idsOf(a), a.changes, a.peers.isResponsible('x')]).toEqual(['a', [], true]);
    expect([a.peers.has('a'), a.peers.has('b')]).toEqual([true, false]);
  });

  it('knows those who are there long before it settles, and they know it at once', () => {
    const cluster = new TestCluster();
    const [b, a] = [cluster.add('b'), cluster.add('a')];
    cluster.pass(1000);
    const c = cluster.add('c');
    expect([a, b].map(idsOf)).toEqual(['a b c', 'a b c']);
    expect(c.peers.settlesInMs).toBeGreaterThan(0);
    cluster.pass(400);
    expect(idsOf(c)).toBe('a b c');
    cluster.pass(200);
    expect(c.peers.settlesInMs).toBe(0);
    expect(c.peers.all.map(({ host }) => host)).toEqual(['a.example', 'b.example', 'c.example']);
  });

  it('is told of in the log without what the line says of who tells it', () => {
    const cluster = new TestCluster();
    const lines: string[] = [];
    const log = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) });
    cluster.add('a', { log: log.child({ worker: 1 }) });
    const own = { instance: 'b', host: 'h', version: '1', startedMs: 0, worker: 2 };
    cluster.add('b', { own }).peers.stop();
    expect(lines.map((line) => JSON.parse(line).message)).toEqual([
      'an instance appeared',
      'an instance left',
    ]);
    // Which of two that have the same name counts is up to who reads them.
    for (const line of lines)
      expect(line.match(/"(worker|peerWorker)":\d/g)).toEqual(['"worker":1', '"peerWorker":2']);
  });

  it('says that it is there once a second, and is known for as long as it does', () => {
    const cluster = new TestCluster();
    const [a, b] = [cluster.add('a'), cluster.add('b')];
    cluster.pass(500);
    const before = cluster.nats.subjects.length;
    cluster.pass(60 * BEAT_MS);
    const beats = cluster.nats.subjects.length - before;
    expect(beats).toBeGreaterThan(110);
    expect(beats).toBeLessThan(140);
    expect([a.changes, b.changes]).toEqual([['+b'], ['+a']]);
  });

  it('that comes is not answered by a hundred at once, nor by any twice', () => {
    const cluster = new TestCluster();
    let chance = 0;
    cluster.clock.random = () => {
      chance = (chance + 0.137) % 1;
      return chance;
    };
    for (let i = 0; i < 100; i += 1) cluster.add(`peer-${i}`);
    cluster.pass(3000);
    cluster.add('newcomer');
    const perTick = Array.from({ length: 5 }, () => {
      const before = cluster.nats.subjects.length;
      cluster.pass(100);
      return cluster.nats.subjects.length - before;
    });
    expect(Math.max(...perTick)).toBeLessThan(100);
    expect(perTick.reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(101);
    expect(idsOf([...cluster.running].at(-1) ?? cluster.add('x')).split(' ')).toHaveLength(101);
  });

  it('that says farewell is gone at once', () => {
    const cluster = new TestCluster();
    const [a, b] = [cluster.add('a'), cluster.add('b')];
    cluster.pass(1000);
    b.peers.stop();
    expect([idsOf(a), a.changes]).toEqual(['a', ['+b', '-b']]);
  });

  it('that dies without a word is gone after some seconds, and not sooner', () => {
    const cluster = new TestCluster();
    const [a, b] = [cluster.add('a'), cluster.add('b')];
    cluster.pass(1000);
    cluster.kill(b);
    cluster.pass(GONE_MS - BEAT_MS - 200);
    expect(idsOf(a)).toBe('a b');
    cluster.pass(2 * BEAT_MS + 300);
    expect([idsOf(a), a.changes]).toEqual(['a', ['+b', '-b']]);
  });

  it('that was taken for gone reappears when it is heard again', () => {
    const cluster = new TestCluster();
    const [a, b] = [cluster.add('a'), cluster.add('b')];
    cluster.pass(1000);
    b.bus.isConnected = false;
    b.peers.disconnected();
    cluster.pass(6000);
    b.bus.isConnected = true;
    b.peers.connected();
    cluster.pass(1000);
    expect([a.changes, b.changes]).toEqual([['+b', '-b', '+b'], ['+a']]);
  });

  it('goes by when it hears something, not by anybody’s clock', () => {
    const cluster = new TestCluster();
    const own = { instance: 'b', host: 'h', version: '1', startedMs: -8e15 };
    const a = cluster.add('a');
    cluster.add('b', { own });
    cluster.pass(20_000);
    expect(a.changes).toEqual(['+b']);
  });
});

describe('while NATS is away', () => {
  it('nobody is gone, nor until it is back for as long as it takes; then who is gone is', () => {
    const cluster = new TestCluster();
    const [a, b, c] = [cluster.add('a'), cluster.add('b'), cluster.add('c')];
    cluster.pass(1000);
    for (const { bus, peers } of [a, b, c]) {
      bus.isConnected = false;
      peers.disconnected();
    }
    cluster.kill(c);
    cluster.pass(60_000);
    expect(idsOf(a)).toBe('a b c');
    for (const { bus, peers } of [a, b]) {
      bus.isConnected = true;
      peers.reconnected();
    }
    cluster.pass(GONE_MS - 100);
    expect(idsOf(a)).toBe('a b c');
    cluster.pass(1500);
    expect([idsOf(a), a.changes]).toEqual(['a b', ['+b', '+c', '-c']]);
  });

  it('or this process was held up, nobody is gone either', () => {
    const cluster = new TestCluster();
    const [a, b] = [cluster.add('a'), cluster.add('b')];
    cluster.pass(1000);
    cluster.running.delete(a);
    // What comes waits in the socket.
    a.bus.isConnected = false;
    cluster.pass(30_000);
    cluster.running.add(a);
    a.wheel.advance();
    a.bus.isConnected = true;
    cluster.pass(2000);
    expect([idsOf(a), a.changes, b.peers.has('b')]).toEqual(['a b', ['+b'], true]);
  });
});

describe('what others can publish', () => {
  it('is no instance where it is not one', () => {
    const cluster = new TestCluster();
    const a = cluster.add('a');
    const good = { instance: 'x', host: 'h', version: '1', startedMs: 1, attached: {} };
    const bad: unknown[] = [
      null,
      [],
      'x',
      {},
      ...[undefined, '', 'a b', 'x'.repeat(65), 7, { a: 1 }].map((instance) => ({ ...good, instance })),
      { ...good, host: 1 },
      { ...good, host: 'x'.repeat(300) },
      { ...good, version: null },
      { ...good, startedMs: '1' },
      { ...good, startedMs: 1e300 },
      { ...good, worker: -1 },
      { ...good, worker: '1' },
      { ...good, attached: [] },
      { ...good, attached: null },
      { ...good, attached: { pad: 'x'.repeat(MAX_HEARTBEAT_BYTES) } },
    ];
    for (const value of bad) a.bus.publish(HERE, JSON.stringify(value));
    for (const text of ['', '{', '\u0000', '{"instance":']) a.bus.publish(HERE, text);
    expect(idsOf(a)).toBe('a');
    a.bus.publish(HERE, JSON.stringify(good));
    expect(idsOf(a)).toBe('a x');
  });

  it('never throws, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        decodeHeartbeat(bytes);
        return true;
      }),
    );
  });

  it('does not make this instance forget itself, nor fill its memory', () => {
    const cluster = new TestCluster();
    const a = cluster.add('a', { maxPeers: 3 });
    a.bus.publish('sidestream.peer.gone', JSON.stringify({ instance: 'a' }));
    for (const instance of ['p1', 'p2', 'p3', 'p4', 'p5'])
      a.bus.publish(HERE, JSON.stringify({ instance, host: 'h', version: '1', startedMs: 1 }));
    expect(idsOf(a)).toBe('a p1 p2 p3');
    expect(a.lines.filter(({ message }) => message.startsWith('there are more instances'))).toHaveLength(1);
  });
});

describe('what is attached to heartbeats', () => {
  it('is heard by the others, by the name of who told it, and after it appeared', () => {
    const cluster = new TestCluster();
    const [a, b] = [cluster.add('a'), cluster.add('b')];
    const heard: string[] = [];
    let told = 0;
    a.peers.attach('count', { tell: () => ++told, hear: () => undefined });
    b.peers.attach('count', {
      tell: () => undefined,
      hear: (instance, value) => heard.push(`${instance} ${value} ${b.peers.has(instance)}`),
    });
    cluster.pass(2500);
    expect(heard.length).toBeGreaterThan(1);
    expect(heard).toEqual(heard.map((_, index) => `a ${index + 1} true`));
  });

  it('is left out where it fails or is too large, and the heartbeat goes out', () => {
    const cluster = new TestCluster();
    const [a, b] = [cluster.add('a'), cluster.add('b')];
    a.peers.attach('broken', {
      tell: () => {
        throw new Error('broken');
      },
      hear: () => undefined,
    });
    a.peers.attach('large', { tell: () => 'x'.repeat(MAX_HEARTBEAT_BYTES), hear: () => undefined });
    cluster.pass(10_000);
    expect([idsOf(b), b.changes]).toEqual(['a b', ['+a']]);
  });
});

describe('of all instances', () => {
  const names = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 20 }).map((ids) => ids.sort());

  it('exactly one is responsible for a key, and stays it when another goes', () => {
    fc.assert(
      fc.property(names, fc.string(), fc.nat(), (instances, key, pick) => {
        const chosen = responsible(instances, key);
        const gone = instances[pick % instances.length];
        const rest = instances.filter((instance) => instance !== gone);
        expect(instances).toContain(chosen);
        if (gone !== chosen) expect(responsible(rest, key)).toBe(chosen);
      }),
    );
  });

  it('each is responsible for its share', () => {
    const instances = ['one', 'two', 'three', 'four'].sort();
    const counts = new Map<string | undefined, number>();
    for (let i = 0; i < 10_000; i += 1) {
      const chosen = responsible(instances, `channel-${i}`);
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
    }
    for (const instance of instances) expect(Math.abs((counts.get(instance) ?? 0) - 2500)).toBeLessThan(250);
  });

  it('agree on who it is', () => {
    const cluster = new TestCluster();
    const members = ['a', 'b', 'c'].map((instance) => cluster.add(instance));
    cluster.pass(1000);
    for (let i = 0; i < 100; i += 1)
      expect(members.filter(({ peers }) => peers.isResponsible(`key-${i}`))).toHaveLength(1);
  });
});
