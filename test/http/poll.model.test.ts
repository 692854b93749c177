import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { setUpPolls, WAIT_MS } from './open-poll.ts';
import type { PollBody } from './poll-frames.ts';

const CHANNELS = ['a', 'b'] as const;
const channel = fc.constantFrom(...CHANNELS);

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('publish' as const), channel }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('poll' as const), limit: fc.constantFrom(1, 2, 100) }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), channel }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(200, WAIT_MS, 90_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom<'abort' | 'close'>('abort', 'close') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('interrupt' as const), is: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Tally {
  gaps: number;
  given: number;
  readonly ends: Map<string, number>;
}

/** What the client knows of a channel: everything up to a serial, but for what it was told it has lost. */
class Known {
  #next = 1;
  #isExcused = false;

  gap(): void {
    this.#isExcused = true;
  }

  event(serial: number): void {
    if (serial < this.#next) throw new Error(`${serial} is given twice, or out of order`);
    if (serial > this.#next && !this.#isExcused) throw new Error(`${this.#next} was missed without a word`);
    this.#next = serial + 1;
    this.#isExcused = false;
  }

  end(published: number): void {
    if (this.#next <= published && !this.#isExcused)
      throw new Error(`${this.#next} was missed without a word`);
  }
}

/** The hub itself, and a client that polls it with the cursor of the last answer. */
class World {
  readonly #real: ReturnType<typeof setUpPolls>;
  readonly #tally: Tally;
  readonly #published = { a: 0, b: 0 };
  readonly #known = { a: new Known(), b: new Known() };
  #cursor = '';
  #asked: ReturnType<ReturnType<typeof setUpPolls>['ask']> | undefined;
  #polls = 0;

  constructor(history: { size: number; ageMs: number; bytes: number }, tally: Tally) {
    this.#real = setUpPolls({ route: { history }, lingerMs: 60_000 });
    this.#tally = tally;
    this.poll(100);
  }

  async run(step: Step): Promise<void> {
    const { source, pass } = this.#real;
    if (step.kind === 'publish') this.#publish(step.channel);
    else if (step.kind === 'poll') this.poll(step.limit);
    else if (step.kind === 'turn') await turn();
    else if (step.kind === 'lose') source.sink(step.channel)?.gap('error');
    else if (step.kind === 'pass') pass(step.ms);
    else if (step.kind === 'abort') this.#asked?.res.becomeAborted();
    else if (step.kind === 'interrupt') this.#interrupt(step.is);
    else this.#asked?.poll.close('draining');
    this.#read();
  }

  poll(limit: number): void {
    if (this.#asked !== undefined) return;
    this.#polls += 1;
    this.#asked = this.#real.ask({ channels: CHANNELS, cursor: this.#cursor, limit });
    this.#read();
  }

  /** Asks until there is nothing more. */
  async end(): Promise<void> {
    this.#interrupt(false);
    for (let left = this.#published.a + this.#published.b + 2; left > 0; left -= 1) {
      this.poll(100);
      await turn();
      await turn();
      this.#read();
      if (this.#asked !== undefined) this.#real.pass(WAIT_MS + 200);
      this.#read();
    }
    for (const name of CHANNELS) this.#known[name].end(this.#published[name]);
    const { endings, hub, pass, metrics } = this.#real;
    expect(endings).toHaveLength(this.#polls);
    for (const ending of endings) this.#tally.ends.set(ending, (this.#tally.ends.get(ending) ?? 0) + 1);
    for (let i = 0; i < 3; i += 1) pass(90_000);
    expect([hub.channelCount, metrics.pendingBytes]).toEqual([0, 0]);
  }

  #publish(name: (typeof CHANNELS)[number]): void {
    // Where nobody has been for long, nobody is fed.
    if (this.#real.source.sink(name) === undefined) return;
    this.#published[name] += 1;
    this.#real.publish(name, `${this.#published[name]}`, name);
  }

  #interrupt(is: boolean): void {
    const { source } = this.#real;
    if (source.interrupted && !is) for (const name of CHANNELS) source.sink(name)?.gap('disconnected');
    source.interrupted = is;
  }

  #read(): void {
    if (!this.#asked?.res.isEnded) return;
    const { told } = this.#asked.res;
    this.#asked = undefined;
    if (told !== undefined) this.#take(told);
  }

  #take({ cursor, channels, events }: PollBody): void {
    this.#cursor = cursor;
    for (const { channel: name, resume } of channels) if (resume !== 'recovered') this.#gap(name);
    for (const { event, data } of events) {
      if (event === 'sidestream.gap') this.#gap(JSON.parse(data).channel);
      else if (event === 'a' || event === 'b') {
        this.#known[event].event(Number(data));
        this.#tally.given += 1;
      }
    }
  }

  #gap(name: string): void {
    this.#tally.gaps += 1;
    if (name === 'a' || name === 'b') this.#known[name].gap();
  }
}

it('who polls is given everything once and in order, or told that it cannot be had', async () => {
  const tally: Tally = { gaps: 0, given: 0, ends: new Map() };
  const history = fc.record({
    size: fc.constantFrom(0, 1, 3, 100, 100),
    ageMs: fc.constantFrom(1000, 600_000),
    bytes: fc.constantFrom(1000, 1_000_000),
  });
  await fc.assert(
    fc.asyncProperty(history, fc.array(step, { maxLength: 80, size: 'max' }), async (kept, steps) => {
      const world = new World(kept, tally);
      for (const step of steps) await world.run(step);
      await world.end();
    }),
    { numRuns: 200 },
  );
  expect(tally.given).toBeGreaterThan(500);
  expect(tally.gaps).toBeGreaterThan(50);
  for (const ending of ['answered', 'client', 'draining'])
    expect(tally.ends.get(ending), ending).toBeGreaterThan(20);
});
