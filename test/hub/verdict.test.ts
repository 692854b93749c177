import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../src/hub/recovery.ts';
import { FakeSubscriber, LINGER_MS, setUpHub } from './fakes.ts';

const CHANNELS = ['a', 'b'] as const;
const channel = fc.constantFrom(...CHANNELS);
const step = fc.oneof(
  fc.record({
    kind: fc.constantFrom('publish' as const, 'gap' as const, 'join' as const, 'leave' as const),
    channel,
  }),
  fc.constantFrom({ kind: 'linger' as const }, { kind: 'mark' as const }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Two channels' fate, with cursors taken at some moments of it. */
class Story {
  readonly #real = setUpHub();
  readonly #reader = new FakeSubscriber();
  /** Cursors, each with the channels of which nothing has been missed since. */
  readonly #marks: { readonly cursor: string; readonly intact: Set<string> }[] = [];

  run(step: Step): void {
    const { hub, join, source, publish, pass, cursor } = this.#real;
    switch (step.kind) {
      case 'join':
        join(this.#reader, step.channel);
        return;
      case 'leave':
        if (this.#isFed(step.channel)) hub.unsubscribe(this.#reader, join(this.#reader, step.channel));
        return;
      case 'publish':
        this.#missed(this.#isFed(step.channel) ? [step.channel] : []);
        publish(step.channel, 'x');
        return;
      case 'gap':
        this.#missed(this.#isFed(step.channel) ? [step.channel] : []);
        source.sink(step.channel)?.gap('disconnected');
        return;
      case 'linger':
        pass(2 * LINGER_MS);
        this.#missed(CHANNELS.filter((name) => !this.#isFed(name)));
        return;
      case 'mark':
        this.#marks.push({ cursor: cursor(), intact: new Set(source.fed) });
    }
  }

  /** What is told of each channel to a connection with each of the cursors, and what it should be. */
  *verdicts(): Generator<[Verdict, 'recovered' | 'gap', string]> {
    for (const name of CHANNELS) {
      const channel = this.#real.join(this.#reader, name);
      for (const { cursor, intact } of this.#marks) {
        const expected = intact.has(name) ? 'recovered' : 'gap';
        yield [this.#real.opened(channel, cursor)?.resume ?? 'live', expected, `${name} since ${cursor}`];
      }
    }
  }

  #isFed(name: string): boolean {
    return this.#real.source.fed.includes(name);
  }

  #missed(names: readonly string[]): void {
    for (const { intact } of this.#marks) for (const name of names) intact.delete(name);
  }
}

describe('what a connection is told of a channel as it joins', () => {
  it('is "live" where it brings no cursor', () => {
    const { opened, join } = setUpHub();
    expect(opened(join(new FakeSubscriber(), 'a'), undefined)?.resume).toBe('live');
  });

  it.each([
    ['of another process', 'other.1'],
    ['of a later moment than this process has seen', 'e.1000'],
    ['of several processes, none of them this one', 'x.1_y.2'],
  ])('is "reset" where its cursor is %s', (_, cursor) => {
    const { opened, join } = setUpHub();
    expect(opened(join(new FakeSubscriber(), 'a'), cursor)).toMatchObject({
      resume: 'reset',
      reason: 'epoch',
    });
  });

  it('is "recovered" exactly where the channel was fed all the time since its cursor and brought nothing', () => {
    const told = { recovered: 0, gap: 0 };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25, size: 'max' }), (steps) => {
        const story = new Story();
        for (const step of steps) story.run(step);
        for (const [verdict, expected, what] of story.verdicts()) {
          told[expected] += 1;
          expect(verdict, what).toBe(expected);
        }
      }),
      { numRuns: 500 },
    );
    // The property says something only where both verdicts came up often.
    expect(Math.min(told.recovered, told.gap)).toBeGreaterThan(50);
  });

  it('goes by the position of this process where the cursor holds several', () => {
    const { opened, join, cursor } = setUpHub();
    const channel = join(new FakeSubscriber(), 'a');
    expect(opened(channel, `other.7_${cursor()}`)?.resume).toBe('recovered');
  });

  it('is "gap" while the source may be missing messages, whatever the cursor', () => {
    const { opened, source, join, cursor } = setUpHub();
    const channel = join(new FakeSubscriber(), 'a');
    const now = cursor();
    expect(opened(channel, now)?.resume).toBe('recovered');
    source.interrupted = true;
    expect(opened(channel, now)).toMatchObject({ resume: 'gap', reason: 'disconnected' });
    expect(opened(channel, undefined)?.resume).toBe('live');
  });
});
