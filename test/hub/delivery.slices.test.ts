import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Channel, Subscriber } from '../../src/hub/channel.ts';
import type { View } from '../../src/hub/log.ts';
import type { Batch } from '../../src/protocol/batch.ts';
import type { ManualClock } from '../support/clock.ts';
import { setUpRoutes, turn } from './delivery-routes.ts';

/** Milliseconds of a turn that channels of each size may have, and subscribers between two looks at the clock. */
const [SLICE_MS, STRIDE] = [3, 8];
const MIB = 1024 * 1024;

/** Counts what it is given; each batch takes a millisecond. */
class Counter implements Subscriber {
  readonly channels: Channel[] = [];
  turn = 0;
  view: View | undefined;
  frames = 0;
  batches = 0;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  deliver({ frames }: Batch): void {
    this.#clock.advance(1);
    this.frames += frames.length;
    this.batches += 1;
  }
}

/** A hub of core channels `c-1`, `c-2` and so on, with so many subscribers each. */
function setUp(...sizes: readonly number[]) {
  const real = setUpRoutes({ c: { log: 'core' } });
  const { hub, destination, publish, clock } = real;
  const readers = sizes.map((size, i) => {
    const all = Array.from({ length: size }, () => new Counter(clock));
    for (const one of all) hub.subscribe(one, destination(`c-${i + 1}`));
    return all;
  });
  return {
    ...real,
    readers,
    send: (index: number, data = 'x') => publish([`c-${index + 1}`], data),
    /** How many of a channel's subscribers have been given this much. */
    served: (index: number, frames = 1) => readers[index]?.filter((one) => one.frames >= frames).length ?? 0,
  };
}

describe('while the many of one channel are gone through, a slice each turn', () => {
  it('a small channel is served in the very next turn, again and again, and the many go on in each', async () => {
    const { send, served, readers } = setUp(1000, 1);
    const [only] = readers[1] ?? [];
    send(0);
    for (let sent = 1, before = 0; served(0) < 1000; sent += 1) {
      send(1);
      await turn();
      expect(only?.frames, 'the small one').toBe(sent);
      expect(served(0), 'the large one goes on').toBeGreaterThan(before);
      expect(served(0) - before, 'by no more than a slice').toBeLessThanOrEqual(STRIDE);
      before = served(0);
    }
  });

  it('so is a channel of 256, and one of 257 waits for its turn', async () => {
    const { send, served } = setUp(300, 256, 257);
    send(0);
    await turn();
    const before = served(0);
    for (const times of [1, 2, 3]) {
      send(1);
      send(2);
      await turn();
      expect(served(1, times)).toBe(256);
      if (times === 1) expect([served(0) > before, served(2)]).toEqual([true, 0]);
    }
  });

  it('several large ones take turns: none waits for the end of another', async () => {
    const { send, served } = setUp(400, 400, 400);
    for (const index of [0, 1, 2]) send(index);
    for (let i = 0; i < 9; i += 1) await turn();
    const counts = [served(0), served(1), served(2)];
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(STRIDE);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  it('what is published meanwhile on the same channel reaches those behind at once, the others in the next round', async () => {
    const { send, served, readers } = setUp(400);
    send(0);
    for (let i = 0; i < 10; i += 1) await turn();
    const before = served(0);
    expect(before).toBeLessThan(400);
    send(0);
    while (served(0) < 400) await turn();
    while (served(0, 2) < 400) await turn();
    const twice = readers[0]?.filter(({ batches }) => batches === 2).length;
    expect(twice).toBe(before);
    expect(readers[0]?.every(({ frames }) => frames === 2)).toBe(true);
  });
});

it('thousands of small channels of one turn are served a slice at a time as well', async () => {
  const { send, served, clock } = setUp(...Array.from({ length: 500 }, () => 1));
  for (let index = 0; index < 500; index += 1) send(index);
  const count = () => Array.from({ length: 500 }, (_, index) => served(index)).reduce((a, b) => a + b);
  let before = 0;
  while (count() < 500) {
    const startMs = clock.now();
    await turn();
    expect(count()).toBeGreaterThan(before);
    expect(clock.now() - startMs).toBeLessThanOrEqual(SLICE_MS + STRIDE);
    before = count();
  }
});

it('more than 16 MiB on their way are handed over at once, before more is taken in', async () => {
  const { send, served } = setUp(300);
  send(0, 'x'.repeat(15 * MIB));
  await turn();
  expect(served(0), 'a slice').toBe(STRIDE);
  send(0, 'x'.repeat(2 * MIB));
  await turn();
  expect([served(0), served(0, 2)]).toEqual([300, 300]);
  // That is over then.
  send(0);
  await turn();
  expect(served(0, 3)).toBe(STRIDE);
});

/** Ends a channel: all leave, and its linger is over. What is left of it is for the garbage collector. */
function end({ readers, hub, pass }: ReturnType<typeof setUp>, index: number): WeakRef<Channel> {
  const all = readers[index] ?? [];
  const [channel] = all[0]?.channels ?? [];
  if (channel === undefined) throw new TypeError('there is no channel');
  for (const one of all) hub.unsubscribe(one, channel);
  readers[index] = [];
  pass(1000);
  return new WeakRef(channel);
}

it('a channel that is gone is let go of, though a large one is never through', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const real = setUp(400, 400);
  real.send(1);
  const keepBusy = async (turns: number) => {
    for (let i = 0; i < turns; i += 1) {
      real.send(0);
      await turn();
    }
  };
  await keepBusy(200);
  expect(real.served(1)).toBe(400);
  const gone = end(real, 1);
  expect(real.hub.channelCount).toBe(1);
  await keepBusy(200);
  collect();
  expect(gone.deref() === undefined).toBe(true);
});
