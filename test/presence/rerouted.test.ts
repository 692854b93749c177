import { describe, expect, it } from 'vitest';
import { type Node, World } from './world.ts';

const HALL = 'bare-a';
const FOLLOWED = ['occupied', 'vacated', 'join', 'leave'] as const;

function open(node: Node, user: string): () => void {
  const stream = { id: `${user}-${node.streams.size}`, user, channel: HALL };
  node.open(stream);
  return () => node.close(stream);
}

describe('where presence is switched on while streams are open', () => {
  it('everybody is known everywhere, whichever instance had the config first', () => {
    const world = new World();
    const [first, second, third] = [world.start(), world.start(), world.start()];
    world.pass(2000);
    open(first, 'ada');
    open(second, 'bob');
    first.reroute(true);
    open(first, 'eve');
    // Long after what the first one told was passed over by the others.
    world.pass(20_000);
    second.reroute(true);
    world.pass(20_000);
    third.reroute(true);
    world.pass(5000);
    for (const node of world.nodes) {
      expect(node.says(HALL)).toBe(world.truth(HALL));
      expect(node.presence.observed).toMatchObject({ incomplete: 0, messages: { missed: 0 } });
    }
  });

  it('the others are asked where more is followed than before, and not for whatever else a config says', () => {
    const world = new World();
    const [one] = [world.start(), world.start()];
    const received = () => {
      world.pass(5000);
      return one.presence.observed.messages.snapshotsReceived;
    };
    const before = received();
    one.reroute(true);
    expect(received()).toBe(before + 1);
    one.reroute(true, { throttle: '1s' });
    expect(received()).toBe(before + 1);
    one.reroute({ leaveAfter: '1s' }, { throttle: '1s' });
    expect(received()).toBe(before + 2);
  });

  it('those who come are told of, though the channel was followed before; and nobody is ever nameless', () => {
    const world = new World({ events: FOLLOWED });
    const node = world.start();
    world.pass(2000);
    open(node, 'ada');
    world.pass(1000);
    node.reroute({ leaveAfter: '1s' });
    world.pass(200);
    expect(node.says(HALL)).toBe('1: ada ×1');
    const close = open(node, 'bob');
    world.pass(1000);
    close();
    world.pass(20_000);
    expect(node.says(HALL)).toBe('1: ada ×1');
    expect([...node.told]).toEqual([
      [`${HALL} ada`, ['join']],
      [`${HALL} bob`, ['join', 'leave']],
    ]);
    expect(node.published).toEqual([
      `channel.occupied ${HALL}`,
      `presence.join ${HALL} ada`,
      `presence.join ${HALL} bob`,
      `presence.leave ${HALL} bob`,
    ]);
  });

  it('another instance that does not follow it yet makes nobody nameless', () => {
    const world = new World({ events: FOLLOWED });
    const [first, second] = [world.start(), world.start()];
    world.pass(2000);
    open(second, 'bob');
    world.pass(1000);
    first.reroute(true);
    open(first, 'ada');
    world.pass(5000);
    expect(first.says(HALL)).toBe('1: ada ×1');
    expect([...first.told.keys()]).toEqual([`${HALL} ada`]);
    second.reroute(true);
    world.pass(20_000);
    for (const node of world.nodes) expect(node.says(HALL)).toBe(world.truth(HALL));
    const published = world.nodes.flatMap((node) => node.published);
    expect(published.filter((event) => event.startsWith('presence.')).sort()).toEqual([
      `presence.join ${HALL} ada`,
      `presence.join ${HALL} bob`,
    ]);
  });
});

describe('where presence is switched off while streams are open', () => {
  it('those who were known leave, as they would have; the channel stays occupied, and is vacated as if it had never been on', () => {
    const world = new World({ events: FOLLOWED });
    const node = world.start();
    node.reroute({ leaveAfter: '1s' });
    world.pass(2000);
    const close = open(node, 'ada');
    world.pass(1000);
    node.published.length = 0;
    node.told.clear();
    node.reroute(false);
    open(node, 'bob')();
    world.pass(3000);
    expect([...node.told]).toEqual([[`${HALL} ada`, ['leave']]]);
    expect(node.published).toEqual([`presence.leave ${HALL} ada`]);
    close();
    world.pass(14_000);
    expect(node.presence.observed).toMatchObject({ channels: 1, members: 1 });
    world.pass(2000);
    expect(node.presence.observed).toMatchObject({ channels: 0, members: 0 });
    expect(node.published.slice(1)).toEqual([`channel.vacated ${HALL}`]);
  });

  it('who is away while leaveAfter becomes another leaves as late as it was, once', () => {
    const world = new World();
    const node = world.start();
    node.reroute({ leaveAfter: '5s' });
    world.pass(2000);
    open(node, 'ada')();
    world.pass(1000);
    node.reroute({ leaveAfter: '1h' });
    open(node, 'bob');
    world.pass(2000);
    expect(node.says(HALL)).toBe('2: ada ×0 bob ×1');
    world.pass(3000);
    expect(node.says(HALL)).toBe('1: bob ×1');
    world.pass(60_000);
    expect(node.presence.observed.members).toBe(1);
  });
});
