import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Acts } from '../../src/http/acts.ts';
import type { Priority } from '../../src/protocol/frame.ts';
import { LIMITS, openConnection, PENDING_BYTES } from './open-connection.ts';

const CHANNELS = ['a', 'b', 'c'] as const;
const channel = fc.constantFrom(...CHANNELS);
const priority = fc.constantFrom<Priority>(0, 0, 1, 2);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ publish: channel, priority }) },
  { weight: 2, arbitrary: fc.record({ subscribe: fc.uniqueArray(channel, { minLength: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ unsubscribe: fc.uniqueArray(channel, { minLength: 1 }) }) },
  { weight: 3, arbitrary: fc.constantFrom('flush', 'full', 'writable') },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A message, and where it is in the log. */
interface Published {
  readonly channel: string;
  readonly offset: number;
}

/** One stream, what was done to it, and all that its page must be told. */
class Model {
  readonly real = openConnection({
    channels: ['a'],
    route: { replay: { kind: 'last', count: 2 }, history: { size: 100, ageMs: 3_600_000, bytes: 1_048_576 } },
  });
  readonly acts = new Acts({
    hub: this.real.hub,
    wheel: this.real.wheel,
    authenticator: { mayRead: async () => undefined },
    limits: LIMITS,
    control: true,
    patienceMs: 1000,
    channelState: () => 'open',
    hasSeat: () => true,
    recount: () => undefined,
  });
  readonly #published: Published[] = [];
  readonly #on = new Set<string>(['a']);
  /** By channel, what it must get, in order, from each time that it came to be on it. */
  readonly owed: number[] = [];
  /** Of these, what was published while it was on the channel. */
  readonly #live = new Set<number>();

  async run(step: Step): Promise<void> {
    const { res, hub, connection, destination } = this.real;
    if (step === 'flush') hub.flush();
    else if (step === 'full') {
      if (!res.isFull) res.answer(false);
    } else if (step === 'writable') res.becomeWritable();
    else if ('publish' in step) this.#publish(step.publish, step.priority);
    else if ('subscribe' in step) {
      const isSlow = connection.waitingBytes > PENDING_BYTES;
      const fresh = step.subscribe.filter((name) => !this.#on.has(name));
      const asked = step.subscribe.map(destination);
      const refused = await this.acts.subscribe(connection, asked, { isVouched: false });
      expect([...refused]).toEqual(isSlow ? fresh.map((name) => [name, 'SLOW']) : []);
      if (isSlow) return;
      // What is replayed of all of them is in order of the log.
      const replayed = fresh.flatMap((name) =>
        this.#published
          .map((one, i) => ({ ...one, i }))
          .filter((one) => one.channel === name)
          .slice(-2),
      );
      for (const { i } of replayed.sort((x, y) => x.offset - y.offset)) this.owed.push(i);
      for (const name of fresh) this.#on.add(name);
    } else {
      expect([...(await this.acts.unsubscribe(connection, step.unsubscribe))]).toEqual([]);
      for (const name of step.unsubscribe) this.#on.delete(name);
    }
  }

  #publish(name: string, priority: Priority): void {
    const { source, connection, res } = this.real;
    // It is not to be cut off.
    if (connection.waitingBytes > PENDING_BYTES / 2) res.becomeWritable();
    const sink = source.sink(name);
    if (sink === undefined) return;
    const i = this.#published.length;
    sink.publish({ event: undefined, data: `${name}${i}`, priority });
    this.#published.push({ channel: name, offset: source.log.offset });
    if (!this.#on.has(name)) return;
    this.owed.push(i);
    this.#live.add(i);
  }

  /** What the page saw is what it was owed, and no cursor passed what was still to come. */
  check(): void {
    const { read, hub, res, connection } = this.real;
    hub.flush();
    for (let i = 0; i < 20; i += 1) res.becomeWritable();
    expect(connection.isOpen).toBe(true);
    const on = new Set<string>();
    const got: number[] = [];
    for (const { event, data, id } of read().events) {
      if (event === 'sidestream.open' || event === 'sidestream.subscribed')
        for (const { channel: name } of JSON.parse(data).channels) {
          expect(on.has(name), `${name} is told once`).toBe(false);
          on.add(name);
        }
      else if (event === 'sidestream.unsubscribed')
        for (const name of JSON.parse(data).channels) {
          expect(on.delete(name), `${name} was told before`).toBe(true);
        }
      else if (event === 'message') {
        expect(on.has(data.charAt(0)), `${data} is of a channel that it is on`).toBe(true);
        got.push(Number(data.slice(1)));
      }
      this.#checkCursor(id, got);
    }
    expect([...on].sort()).toEqual([...this.#on].sort());
    // A higher priority may overtake where the reader is behind.
    expect([...got].sort((x, y) => x - y)).toEqual([...this.owed].sort((x, y) => x - y));
  }

  /** Whoever comes back with an id has all that came live up to it. What is replayed is older than the id of its moment may be. */
  #checkCursor(id: string, got: readonly number[]): void {
    const offset = Number(id.split('.')[1]);
    for (const i of this.#live) {
      const one = this.#published[i];
      if (one !== undefined && one.offset <= offset) expect(got.includes(i), `${id} covers ${i}`).toBe(true);
    }
  }
}

it('a live stream that is put on channels and taken off gets each event once that is its, behind what it is told, whatever its socket does, and no cursor passes one', async () => {
  let behind = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const model = new Model();
      for (const step of steps) {
        await model.run(step);
        if (model.real.connection.waitingBytes > 0) behind += 1;
      }
      model.check();
    }),
    { numRuns: 300 },
  );
  expect(behind).toBeGreaterThan(100);
});
