import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TICK_MS } from '../../src/clock.ts';
import { FakeSubscriber, LINGER_MS, setUpHub } from './fakes.ts';

const CHANNELS = ['a', 'b', 'c', 'd'];
const MAX_CHANNELS = 3;
const READERS = 3;

const channel = fc.constantFrom(...CHANNELS);
const reader = fc.nat({ max: READERS - 1 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('join' as const), reader, channel }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('leave' as const), reader, channel }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('publish' as const, 'gap' as const), channel }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(1, LINGER_MS / 2, LINGER_MS + TICK_MS),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The hub beside the simplest description of what it promises. */
class Model {
  readonly real = setUpHub({ maxChannels: MAX_CHANNELS });
  readonly readers = Array.from({ length: READERS }, () => new FakeSubscriber());
  /** What each reader is to have, in order. */
  readonly expected: string[][] = this.readers.map(() => []);
  /** Who is on each channel that is held. */
  readonly #held = new Map<string, Set<number>>();
  /** Channels without readers, in the order in which they were left, and when. */
  readonly #leftMs = new Map<string, number>();
  /** Not flushed yet: what, and for whom. */
  #turn: { readonly channel: string; readonly text: string; readonly readers: Set<number> }[] = [];
  #published = 0;

  run(step: Step): void {
    if (step.kind === 'join') this.#join(step.reader, step.channel);
    else if (step.kind === 'leave') this.#leave(step.reader, step.channel);
    else if (step.kind === 'flush') this.flush();
    else if (step.kind === 'pass') this.#pass(step.ms);
    else this.#arrive(step.kind, step.channel);
    this.#check();
  }

  flush(): void {
    for (const { text, readers } of this.#turn)
      for (const reader of readers) this.expected[reader]?.push(text);
    this.#turn = [];
    this.real.hub.flush();
    expect(this.readers.map(({ events }) => events.map(({ event, data }) => `${event} ${data}`))).toEqual(
      this.expected,
    );
  }

  #join(reader: number, channel: string): void {
    const { hub, join } = this.real;
    const inUse = this.#held.size - this.#leftMs.size;
    const takesPlace = (this.#held.get(channel)?.size ?? 0) === 0;
    const room = inUse + Number(takesPlace) <= MAX_CHANNELS;
    expect(hub.hasRoomFor([channel])).toBe(room);
    const subscriber = this.readers[reader];
    if (!room || subscriber === undefined) return;
    const [oldest] = this.#leftMs.keys();
    if (!this.#held.has(channel) && this.#held.size === MAX_CHANNELS && oldest !== undefined)
      this.#forget(oldest);
    this.#leftMs.delete(channel);
    this.#held.set(channel, (this.#held.get(channel) ?? new Set()).add(reader));
    expect(join(subscriber, channel).name).toBe(channel);
  }

  #leave(reader: number, channel: string): void {
    const { hub, join, source } = this.real;
    const [held, subscriber] = [this.#held.get(channel), this.readers[reader]];
    if (held === undefined || subscriber === undefined || !held.has(reader) || !source.fed.includes(channel))
      return;
    // Joining again changes nothing, and gives the channel.
    hub.unsubscribe(subscriber, join(subscriber, channel));
    // Joining again has flushed, where something of this channel waited.
    if (this.#turn.some((entry) => entry.channel === channel)) this.flush();
    for (const entry of this.#turn) if (entry.channel === channel) entry.readers.delete(reader);
    held.delete(reader);
    if (held.size === 0) this.#leftMs.set(channel, this.real.clock.now());
  }

  #arrive(kind: 'publish' | 'gap', channel: string): void {
    const { publish, source } = this.real;
    const readers = new Set(this.#held.get(channel));
    this.#published += 1;
    const data = `${channel}${this.#published}`;
    const text =
      kind === 'publish' ? `message ${data}` : `sidestream.gap {"channel":"${channel}","reason":"too-large"}`;
    this.#turn.push({ channel, text, readers });
    if (kind === 'publish') publish(channel, data);
    else source.sink(channel)?.gap('too-large');
  }

  #pass(ms: number): void {
    this.real.pass(ms);
    const nowMs = this.real.clock.now();
    for (const [channel, leftMs] of this.#leftMs) {
      const open = this.real.source.fed.includes(channel);
      if (leftMs + LINGER_MS > nowMs) expect(open, `${channel} is closed early`).toBe(true);
      if (leftMs + LINGER_MS + TICK_MS <= nowMs) expect(open, `${channel} is closed late`).toBe(false);
      if (!open) this.#forget(channel);
    }
  }

  #forget(channel: string): void {
    this.#leftMs.delete(channel);
    this.#held.delete(channel);
  }

  #check(): void {
    const { hub, source } = this.real;
    expect([...source.fed].sort()).toEqual([...this.#held.keys()].sort());
    expect([hub.channelCount, hub.lingeringCount]).toEqual([this.#held.size, this.#leftMs.size]);
    expect(hub.channelCount).toBeLessThanOrEqual(MAX_CHANNELS);
    for (const channel of CHANNELS)
      expect(hub.subscriberCount(channel)).toBe(this.#held.get(channel)?.size ?? 0);
  }
}

describe('the hub, whatever order things happen in', () => {
  it('gives each subscriber exactly what came between its join and its leave, in order over all its channels, and keeps one feed per channel', () => {
    let delivered = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const model = new Model();
        for (const step of steps) model.run(step);
        model.flush();
        for (const { events } of model.readers) {
          const offsets = events.map(({ id }) => Number(id.split('.')[1]));
          expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
          delivered += events.length;
        }
      }),
      { numRuns: 500 },
    );
    expect(delivered).toBeGreaterThan(500);
  });
});
