import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CALM } from './network.ts';
import { CHANNELS, LEAVE_AFTER_MS, type Node, type Stream, World } from './world.ts';

const MOST_NODES = 4;
/** Until all is known: an instance is missed, a question is asked again, an answer comes. */
const CONVERGED_MS = 20_000;

const which = fc.nat({ max: 1000 });
const chance = fc.constantFrom(0, 0.1, 0.5);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      which,
      channel: fc.constantFrom(...CHANNELS),
      user: fc.constantFrom(undefined, 'ada', 'bob', 'eve', 'zoe'),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('close' as const), which }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('start', 'stop', 'kill', 'cut', 'mend' as const), which }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('trouble' as const),
      loss: chance,
      repetition: chance,
      delay: chance,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(100, 300, 1000, 4000, LEAVE_AFTER_MS),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Model {
  readonly world: World;
  #opened = 0;

  constructor(random: () => number) {
    this.world = new World({ chance: random, messageBytes: 100 });
    this.world.start();
    this.world.start();
  }

  run(step: Step): void {
    const { world } = this;
    if (step.kind === 'pass') world.pass(step.ms);
    else if (step.kind === 'turn') world.turn();
    else if (step.kind === 'trouble') world.network.trouble = step;
    else if (step.kind === 'open') this.#open(step);
    else if (step.kind === 'close') this.#close(step.which);
    else this.#trouble(step.kind, step.which);
  }

  /** All goes well again, and some time passes. */
  calm(): void {
    this.world.network.trouble = CALM;
    for (const node of this.world.nodes) node.mend();
    this.world.pass(CONVERGED_MS + LEAVE_AFTER_MS);
  }

  check(): void {
    for (const node of this.world.nodes) {
      expect(node.peers.all.length).toBe(this.world.nodes.length);
      for (const channel of CHANNELS) expect(node.says(channel)).toBe(this.world.truth(channel));
      expect(node.presence.observed.incomplete).toBe(0);
      checkTold(node);
    }
  }

  closeAll(): void {
    for (const node of this.world.nodes) for (const stream of node.streams.values()) node.close(stream);
  }

  #open({ which, channel, user }: Pick<Stream, 'channel' | 'user'> & { which: number }): void {
    this.#opened += 1;
    this.#node(which).open({ id: `${this.#opened}`, user, channel });
  }

  #close(which: number): void {
    const all = this.world.nodes.flatMap((node) =>
      [...node.streams.values()].map((stream) => [node, stream] as const),
    );
    const [node, stream] = all[which % Math.max(all.length, 1)] ?? [];
    if (stream !== undefined) node?.close(stream);
  }

  #trouble(kind: 'start' | 'stop' | 'kill' | 'cut' | 'mend', which: number): void {
    const { world } = this;
    const node = this.#node(which);
    if (kind === 'start' && world.nodes.length < MOST_NODES) world.start();
    if (kind === 'cut') node.cut();
    if (kind === 'mend') node.mend();
    if ((kind === 'stop' || kind === 'kill') && world.nodes.length > 1) world[kind](node);
  }

  #node(which: number): Node {
    const node = this.world.nodes[which % this.world.nodes.length];
    if (node === undefined) throw new Error('there is always one');
    return node;
  }
}

/** Of each member joins and leaves alternate, beginning with a join, and end with what is so. */
function checkTold({ told, presence }: Node): void {
  const there = new Set<string>();
  for (const channel of CHANNELS)
    for (const { user, id } of presence.page(channel, { limit: 1000, after: undefined }).members)
      there.add(`${channel} ${user ?? id}`);
  for (const [key, events] of told) {
    expect(events).toEqual(events.map((_, index) => (index % 2 === 0 ? 'join' : 'leave')));
    expect([key, events.at(-1)]).toEqual([key, there.has(key) ? 'join' : 'leave']);
    there.delete(key);
  }
  expect([...there]).toEqual([]);
}

it('whatever is lost, late, doubled or dead, all instances come to know who is there, and at the end of nobody', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), fc.nat(), (steps, seed) => {
      const model = new Model(random(seed));
      for (const step of steps) model.run(step);
      model.calm();
      model.check();
      model.closeAll();
      model.calm();
      model.check();
      for (const { presence } of model.world.nodes) {
        expect(presence.observed).toMatchObject({ members: 0, hidden: 0, channels: 0 });
        expect([...presence.attendance.all()]).toEqual([]);
      }
    }),
    { numRuns: 500 },
  );
}, 120_000);

/** Numbers from 0 up to 1 that are the same for the same seed. Mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
