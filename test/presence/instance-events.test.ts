import { describe, expect, it } from 'vitest';
import { BackendEvents } from '../../src/presence/backend-events.ts';
import { InstanceEvents } from '../../src/presence/instance-events.ts';
import { type Member, TestCluster } from '../cluster/cluster.ts';

function setUp() {
  const cluster = new TestCluster();
  const told: object[] = [];
  const add = (instance: string): Member & { events: InstanceEvents } => {
    const member = cluster.add(instance);
    const backend = new BackendEvents({
      prefix: 'sidestream',
      instance,
      events: ['instances'],
      wall: () => cluster.clock.wall(),
      publish(subject, payload) {
        const { time, ...fields } = JSON.parse(payload);
        if (member.bus.isConnected) told.push({ subject: subject.split('.').at(-1), ...fields });
        return member.bus.isConnected;
      },
    });
    const now = () => cluster.clock.now();
    const events = new InstanceEvents({ events: backend, peers: member.peers, connections: () => 3, now });
    events.connected();
    return Object.assign(member, { events });
  };
  return { cluster, told, add };
}

const gone = (instance: string, reason: string) => ({
  subject: 'gone',
  instance,
  host: `${instance}.example`,
  reason,
});

describe('what backends are told of instances', () => {
  it('each says itself that it appeared, with its streams, and again after NATS was away', () => {
    const { cluster, told, add } = setUp();
    const [a] = [add('a'), add('b')];
    cluster.pass(2000);
    const appeared = (instance: string) => ({
      subject: 'appeared',
      instance,
      host: `${instance}.example`,
      connections: 3,
    });
    expect(told).toEqual([appeared('a'), appeared('b')]);
    a.events.reconnected();
    expect(told.slice(2)).toEqual([appeared('a')]);
  });

  it('one that stops says so, and nobody else does', () => {
    const { cluster, told, add } = setUp();
    const [, , c] = [add('a'), add('b'), add('c')];
    cluster.pass(2000);
    told.length = 0;
    c.events.stop();
    c.peers.stop();
    cluster.kill(c);
    cluster.pass(20_000);
    expect(told).toEqual([gone('c', 'stopped')]);
  });

  it('of one that died one of the others tells, and each of them has its share', () => {
    const tellers = new Set<string>();
    for (let i = 0; i < 20; i += 1) {
      const { cluster, told, add } = setUp();
      const [a, b, dying] = [add('a'), add('b'), add(`dying-${i}`)];
      cluster.pass(2000);
      told.length = 0;
      cluster.kill(dying);
      cluster.pass(5000);
      expect(told).toEqual([gone(`dying-${i}`, 'lost')]);
      tellers.add(a.peers.isResponsible(`dying-${i}`) ? 'a' : b.peers.isResponsible(`dying-${i}`) ? 'b' : '');
    }
    expect([...tellers].sort()).toEqual(['a', 'b']);
  });

  it('of several that die together each is told of, though one of the dead was to tell of another', () => {
    for (let i = 0; i < 20; i += 1) {
      const { cluster, told, add } = setUp();
      add('a');
      const dying = [add(`x-${i}`), add(`y-${i}`), add(`z-${i}`)];
      cluster.pass(2000);
      told.length = 0;
      for (const member of dying) {
        cluster.kill(member);
        // They are missed one after the other.
        cluster.pass(800);
      }
      cluster.pass(20_000);
      const names = ['x', 'y', 'z'].map((name) => `${name}-${i}`);
      expect(told).toHaveLength(3);
      expect(told).toEqual(expect.arrayContaining(names.map((name) => gone(name, 'lost'))));
    }
  });

  it('of one that another has told of nothing is told when that one dies later', () => {
    for (let i = 0; i < 20; i += 1) {
      const { cluster, told, add } = setUp();
      const [, b, dying] = [add('a'), add('b'), add(`dying-${i}`)];
      cluster.pass(2000);
      cluster.kill(dying);
      cluster.pass(20_000);
      told.length = 0;
      cluster.kill(b);
      cluster.pass(20_000);
      expect(told).toEqual([gone('b', 'lost')]);
    }
  });

  it('one that was only held up appears again, once', () => {
    const { cluster, told, add } = setUp();
    const [, , c] = [add('a'), add('b'), add('c')];
    cluster.pass(2000);
    told.length = 0;
    // Its timers stand still, and it hears nothing.
    cluster.kill(c);
    cluster.pass(5000);
    c.bus.isConnected = true;
    cluster.running.add(c);
    cluster.pass(3000);
    expect(told).toEqual([gone('c', 'lost'), { subject: 'appeared', instance: 'c', host: 'c.example' }]);
  });
});
