import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Failures } from '../../src/http/failures.ts';
import type { ToWorker } from '../../src/workers/messages.ts';
import { type Counting, Rounds } from '../../src/workers/rounds.ts';
import { SharedCounts } from '../../src/workers/shared-counts.ts';
import { WholeCounts } from '../../src/workers/whole-counts.ts';
import { ManualClock } from '../support/clock.ts';

const KEY = 'connections';
/** Longer than a round takes to begin. */
const ROUND_MS = 200;

/** Workers and the rounds of their primary process, whose messages are heard one by one, when the test says so. */
class World {
  readonly own: number[];
  readonly #workers: SharedCounts[];
  readonly #inboxes: ToWorker[][];
  readonly #peers: Counting[];
  readonly #rounds: Rounds<Counting>;

  constructor(count: number) {
    this.own = Array<number>(count).fill(0);
    this.#inboxes = this.own.map(() => []);
    this.#rounds = new Rounds(() => count);
    this.#workers = this.own.map(() => new SharedCounts(() => this.#rounds.changed()));
    this.#peers = this.#inboxes.map((inbox) => ({
      state: 'listening',
      send: (message) => void inbox.push(message),
    }));
    for (const peer of this.#peers) this.#rounds.join(peer);
    this.settle();
  }

  get total(): number {
    return this.own.reduce((sum, count) => sum + count, 0);
  }

  get remembered(): number {
    return this.#workers.reduce((sum, { size }) => sum + size, 0);
  }

  /** A request comes to a worker; says whether it is let in. */
  ask(worker: number, limit: number): boolean {
    const own = this.own[worker] ?? 0;
    if (this.#workers[worker]?.leaveRoom(KEY, own, limit) !== true) return false;
    this.#set(worker, own + 1);
    return true;
  }

  leave(worker: number): void {
    const own = this.own[worker] ?? 0;
    if (own > 0) this.#set(worker, own - 1);
  }

  /** A worker hears the next message, if there is one. */
  hear(worker: number): boolean {
    const [message, counts, peer] = [
      this.#inboxes[worker]?.shift(),
      this.#workers[worker],
      this.#peers[worker],
    ];
    if (message === undefined || counts === undefined || peer === undefined) return false;
    if (message.kind === 'word') counts.hear(message);
    if (message.kind === 'count') {
      const { counts: told, failures } = counts.take();
      this.#rounds.hear(peer, told, failures);
    }
    return true;
  }

  /** Some milliseconds pass, but where a worker was asked and has not answered: it is not hung. */
  pass(): void {
    const isAsked = this.#inboxes.some((inbox) => inbox.some(({ kind }) => kind === 'count'));
    if (!isAsked) vi.advanceTimersByTime(ROUND_MS);
  }

  run({ kind, worker, times }: Step, limit: number): void {
    const one = worker % this.own.length;
    for (let i = 0; kind === 'ask' && i < times; i += 1) this.ask(one, limit);
    for (let i = 0; kind === 'leave' && i < times; i += 1) this.leave(one);
    if (kind === 'hear') this.hear(one);
    if (kind === 'pass') this.pass();
  }

  /** Everything is heard, until there is nothing more to say. */
  settle(): void {
    for (let quiet = 0; quiet < 3; quiet += 1) {
      this.pass();
      for (let worker = 0; worker < this.own.length; worker += 1) while (this.hear(worker)) quiet = 0;
    }
  }

  stop(): void {
    this.#rounds.stop();
  }

  #set(worker: number, own: number): void {
    this.own[worker] = own;
    this.#workers[worker]?.tell(KEY, own);
  }
}

const KINDS = ['ask', 'ask', 'ask', 'ask', 'leave', 'hear', 'hear', 'hear', 'pass'] as const;
const step = fc.record({ kind: fc.constantFrom(...KINDS), worker: fc.nat(), times: fc.nat({ max: 12 }) });

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('what several workers let in by themselves', () => {
  it('is within the limit together, but for one less than there are workers, however late they hear', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 30 }),
        fc.array(step, { maxLength: 150, size: 'max' }),
        (workers, limit, steps) => {
          const world = new World(workers);
          for (const step of steps) {
            world.run(step, limit);
            expect(world.total).toBeLessThanOrEqual(limit + workers - 1);
          }
          world.stop();
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('reaches the limit, whichever of them is asked, when they have heard of each other', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 30 }),
        fc.nat(),
        (workers, limit, one) => {
          const world = new World(workers);
          for (let rounds = 0; rounds < 60 && world.total < limit; rounds += 1) {
            while (world.ask(one % workers, limit));
            world.settle();
          }
          expect(world.total).toBe(limit);
          for (let worker = 0; worker < workers; worker += 1) expect(world.ask(worker, limit)).toBe(false);
          world.stop();
        },
      ),
    );
  });

  it('is forgotten when all have left', () => {
    const world = new World(3);
    for (let i = 0; i < 9; i += 1) world.ask(i % 3, 100);
    world.settle();
    expect(world.remembered).toBeGreaterThan(0);
    for (let i = 0; i < 9; i += 1) world.leave(i % 3);
    world.settle();
    expect(world.remembered).toBe(0);
    world.stop();
  });
});

describe('a share of the room', () => {
  it('is the least that the last three words left: others may still go by the one before theirs', () => {
    const counts = new SharedCounts(() => undefined);
    const word = (others: number) =>
      counts.hear({ counts: [[KEY, others, 0]], failures: [], among: 2, isFirst: true });
    const nothingNew = () => counts.hear({ counts: [], failures: [], among: 2, isFirst: true });
    word(8);
    word(0);
    expect(counts.leaveRoom(KEY, 1, 10)).toBe(false);
    nothingNew();
    expect(counts.leaveRoom(KEY, 1, 10)).toBe(false);
    nothingNew();
    expect(counts.leaveRoom(KEY, 1, 10)).toBe(true);
  });
});

describe('what all hold', () => {
  it('loses what a worker held that is gone, and tells the others of it', () => {
    const whole = new WholeCounts<string>();
    whole.hear('a', [['x', 2]]);
    whole.hear('b', [
      ['x', 3],
      ['y', 1],
    ]);
    expect(whole.takeTouched()).toEqual(['x', 'y']);
    whole.forget('b');
    expect(whole.wordFor('a', whole.takeTouched())).toEqual([
      ['x', 0, 2],
      ['y', 0, 0],
    ]);
    expect(whole.wordFor('c')).toEqual([['x', 2, 0]]);
    whole.forget('b');
    expect(whole.takeTouched()).toEqual([]);
  });
});

describe('a message', () => {
  it('is bounded: what does not fit is said to be there, and follows', () => {
    let said = 0;
    const counts = new SharedCounts(() => {
      said += 1;
    });
    const keys = Array.from({ length: 12_000 }, (_, n) => `user ${n}`);
    for (const key of keys) counts.tell(key, 1);
    expect(said).toBe(1);
    const told: string[] = [];
    for (let taken = 1; taken <= said; taken += 1) {
      const { counts: part } = counts.take();
      expect(part.length).toBeLessThanOrEqual(5000);
      told.push(...part.map(([key]) => key));
    }
    expect(told).toEqual(keys);
    counts.tell('user '.repeat(100_000), 1);
    counts.tell('another', 1);
    expect(counts.take().counts).toHaveLength(1);
    expect(counts.take().counts).toEqual([['another', 1]]);
  });
});

describe('bad tokens', () => {
  it('that came to others count as if they had come here', () => {
    const [here, there] = [new SharedCounts(() => undefined), new SharedCounts(() => undefined)];
    const failures = new Failures(new ManualClock(), 1, here);
    const others = new Failures(new ManualClock(), 1, there);
    for (let i = 0; i < 19; i += 1) others.failed('2001:db8::1');
    here.hear({ counts: [], failures: there.take().failures, among: 2, isFirst: true });
    expect(failures.mayVerify('2001:db8::2')).toBe(true);
    failures.failed('2001:db8::3');
    expect(failures.mayVerify('2001:db8::2')).toBe(false);
    // What one heard of is not told again.
    expect(here.take().failures).toEqual([['2001:db8:0:0::/64', 1]]);
    expect(here.take().failures).toEqual([]);
  });

  it('are told of so many clients at a time, and of those in full', () => {
    const counts = new SharedCounts(() => undefined);
    for (let client = 0; client < 1500; client += 1) counts.failed(`client ${client}`);
    counts.failed('client 0');
    const { failures } = counts.take();
    expect(failures).toHaveLength(1000);
    expect(failures[0]).toEqual(['client 0', 2]);
    counts.failed('client 1400');
    expect(counts.take().failures).toEqual([['client 1400', 1]]);
  });
});
