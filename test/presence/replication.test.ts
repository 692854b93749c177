import { describe, expect, it } from 'vitest';
import { type Node, World } from './world.ts';

const ROOM = 'room-a';
const SUBJECT = 'sidestream.peer.presence';

function open(node: Node, user: string, channel = ROOM): () => void {
  const stream = { id: `${user}-${node.streams.size}`, user, channel };
  node.open(stream);
  return () => node.close(stream);
}

/** Two that know each other. */
function two(options: ConstructorParameters<typeof World>[0] = {}) {
  const world = new World(options);
  const [one, other] = [world.start(), world.start()];
  world.pass(2000);
  /** Says something to one as if it came from the other. */
  const forge = (message: object) => {
    const forged = { kind: 'delta', instance: other.peers.own.instance, number: 1, channels: [], ...message };
    one.bus.take(SUBJECT, Buffer.from(JSON.stringify(forged)));
  };
  const agree = () => {
    world.pass(12_000);
    for (const node of [one, other]) expect(node.says(ROOM)).toBe(world.truth(ROOM));
  };
  return { world, one, other, forge, agree };
}

describe('what instances tell each other', () => {
  it('is told in one message for all who come in a tenth of a second', () => {
    const { world, one, other } = two({ messageBytes: 65_536 });
    for (let n = 0; n < 500; n += 1) open(one, `${n}`);
    world.pass(200);
    expect(other.says(ROOM)).toBe(world.truth(ROOM));
    expect(one.presence.observed.messages).toMatchObject({ deltasSent: 1, snapshotsSent: 0 });
  });

  it('is nothing of who came and went in between', () => {
    const { world, one } = two();
    open(one, 'ada')();
    world.pass(1000);
    expect(one.presence.observed.messages.deltasSent).toBe(0);
  });

  it('is told to a newcomer in parts, while it goes on changing', () => {
    const { world, one } = two({ messageBytes: 200 });
    const closings = Array.from({ length: 100 }, (_, n) => open(one, `${n}`));
    world.pass(1000);
    const late = world.start();
    world.pass(400);
    const known = late.presence.page(ROOM, { limit: 1000, after: undefined }).members.length;
    expect(known).toBeGreaterThan(0);
    expect(known).toBeLessThan(100);
    for (const close of closings.slice(50, 70)) close();
    open(one, 'late');
    world.pass(1000);
    for (const close of closings.slice(0, 20)) close();
    world.pass(10_000);
    expect(late.says(ROOM)).toBe(world.truth(ROOM));
    expect(late.presence.observed).toMatchObject({ incomplete: 0, messages: { snapshotsReceived: 1 } });
  });

  it('has nobody in an answer who went before any delta told of them', () => {
    const { world, one, other, agree } = two();
    open(one, 'ada');
    world.pass(200);
    const close = open(one, 'bob');
    one.bus.take(
      `${SUBJECT}.node-1`,
      Buffer.from(JSON.stringify({ kind: 'ask', instance: 'node-2', question: 1 })),
    );
    close();
    agree();
    expect(other.presence.observed.messages.missed).toBe(0);
  });

  it('is asked for where a delta was lost, also the last one', () => {
    const { world, one, other, agree } = two();
    world.network.trouble = { loss: 2, repetition: 0, delay: 0 };
    open(one, 'ada');
    world.pass(300);
    world.network.trouble = { loss: 0, repetition: 0, delay: 0 };
    agree();
    expect(other.presence.observed.messages).toMatchObject({ missed: 1, snapshotsReceived: 1 });
    agree();
    expect(other.presence.observed.messages).toMatchObject({ missed: 1, snapshotsReceived: 1 });
  });

  it('tells backends of those who came in a delta that was lost, whichever instance is to tell', () => {
    const { world, one, agree } = two({ events: ['join'] });
    world.network.trouble = { loss: 2, repetition: 0, delay: 0 };
    const channels = Array.from({ length: 8 }, (_, n) => `room-${n}`);
    for (const channel of channels) open(one, 'ada', channel);
    world.pass(300);
    world.network.trouble = { loss: 0, repetition: 0, delay: 0 };
    agree();
    const published = world.nodes.flatMap((node) => node.published);
    expect(published.sort()).toEqual(channels.map((channel) => `presence.join ${channel} ada`));
  });

  it('has those as away whose instance went in good order: it has said how each of its streams ended', () => {
    const { world, one, other } = two();
    open(one, 'ada');
    open(other, 'bob');
    world.pass(300);
    world.stop(other);
    world.pass(200);
    expect(one.peers.all.length).toBe(1);
    expect(one.says(ROOM)).toBe('2: ada ×1 bob ×0');
    world.pass(6000);
    expect(one.says(ROOM)).toBe('1: ada ×1');
  });
});

describe('what is said in another’s name', () => {
  it.each([
    ['a number far ahead', { number: Number.MAX_SAFE_INTEGER }],
    ['members that there are not', { number: 7, channels: [[ROOM, 3, [['u:zoe', 1, 0]]]] }],
    ['an end of all', { number: 7, channels: [[ROOM, 0, [['u:bob', 0, 0]]]] }],
    ['a total that is none', { number: 7, channels: [[ROOM, 1_000_000, []]] }],
  ])('is set right again: %s', (_, message) => {
    const { world, one, other, forge, agree } = two();
    open(one, 'ada');
    open(other, 'bob');
    world.pass(300);
    forge(message);
    agree();
    open(other, 'eve');
    agree();
  });

  it('is ignored where it answers no question, or comes from nobody that is known', () => {
    const { world, one, other, forge } = two();
    open(other, 'bob');
    world.pass(300);
    const members = [[ROOM, 1, [['u:zoe', 1, 0]]]];
    forge({ kind: 'part', question: 1, part: 0, isLast: true, channels: members });
    forge({ instance: 'nobody', channels: members });
    forge({ instance: 'nobody', kind: 'ask', question: 1 });
    expect(one.says(ROOM)).toBe('1: bob ×1');
    world.pass(1000);
    expect(one.presence.observed.messages.snapshotsSent).toBe(0);
  });

  it('opens no channel that there is not, and no prototype', () => {
    const { one, forge } = two();
    const change = ['u:zoe', 1, 0, JSON.parse('{"__proto__":{"x":1}}')];
    const names = ['nowhere', '__proto__', 'constructor', 'room-*', 'room-', 'x'.repeat(100_000)];
    forge({ channels: names.map((name) => [name, 1, [change]]) });
    expect(one.presence.observed).toMatchObject({ channels: 0, members: 0 });
    forge({ number: 2, channels: [[ROOM, 1, [['__proto__', 1, 0], change]]] });
    expect(one.presence.observed).toMatchObject({ channels: 1, members: 2 });
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  it('is complained of where it is no message, once in a while', () => {
    const { one } = two();
    for (let n = 0; n < 1000; n += 1) one.bus.take(SUBJECT, Buffer.from('{'));
    expect(one.problems.length).toBe(1);
    expect(one.problems[0]).toContain('a message about presence that is none was ignored');
  });
});

describe('members for whom there is no room', () => {
  it('are counted on every instance, and listed as soon as there is room, their own ones too', () => {
    const { world, one, other } = two({ maxMembers: 100 });
    const closings = Array.from({ length: 80 }, (_, n) => open(one, `a${n}`));
    world.pass(300);
    for (let n = 0; n < 80; n += 1) open(other, `b${n}`);
    world.pass(300);
    for (const { presence } of [one, other]) {
      expect(presence.page(ROOM, { limit: 1000, after: undefined }).count).toBe(160);
      expect(presence.page(ROOM, { limit: 1000, after: undefined }).members.length).toBe(100);
      expect(presence.observed).toMatchObject({ members: 100, hidden: 60 });
    }
    for (const close of closings) close();
    world.pass(12_000);
    for (const node of [one, other]) {
      expect(node.says(ROOM)).toBe(world.truth(ROOM));
      expect(node.presence.observed).toMatchObject({ members: 80, hidden: 0 });
    }
  });
});
