import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { History, type Shelf } from '../../src/hub/history.ts';
import { Log } from '../../src/hub/log.ts';
import { type Droppable, Retention } from '../../src/hub/retention.ts';
import { ManualClock } from '../support/clock.ts';
import { countedBytes, makeEntry, makeHistory, offsetsOf } from './entries.ts';

class Page implements Droppable {
  bytes = 0;
  readonly #retention: Retention;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  hold(bytes: number): void {
    this.drop();
    this.bytes = bytes;
    this.#retention.use(this, bytes);
  }

  touch(): void {
    if (this.bytes > 0) this.#retention.use(this, 0);
  }

  drop(): void {
    this.#retention.release(this);
    this.bytes = 0;
  }
}

const MAX_BYTES = 10 * countedBytes(100);
/** What a history takes besides its entries. */
const OWN_BYTES = makeHistory().history.ownBytes;
const LIMITS = { size: 100, ageMs: 10_000, bytes: 1_000_000 };

function setUp(maxBytes = MAX_BYTES) {
  const clock = new ManualClock();
  const retention = new Retention(maxBytes, clock);
  const log = new Log('e');
  const make = (name: string, shelf: Shelf) => new History(log, name, shelf, LIMITS);
  const append = (history: History, bytes = 100) => {
    log.offset += 1;
    history.append(makeEntry(log, { offset: log.offset, timeMs: clock.wall(), bytes }));
  };
  return { clock, retention, log, make, append };
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      at: fc.nat({ max: 3 }),
      bytes: fc.constantFrom(1, 100, 2000, 8000),
    }),
  },
  fc.record({
    kind: fc.constantFrom('hold' as const, 'touch' as const, 'drop' as const),
    at: fc.nat({ max: 2 }),
    bytes: fc.constantFrom(1, 500, 3000, 9000),
  }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 2000, 20_000, 100_000) }),
  fc.record({ kind: fc.constant('empty' as const), at: fc.nat({ max: 3 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Four channels on two routes, and three that are read again. */
class Story {
  readonly #setup = setUp();
  readonly #shelves = [this.#setup.retention.shelf(), this.#setup.retention.shelf()];
  readonly #pages = [0, 1, 2].map(() => new Page(this.#setup.retention));
  /** All that there ever were: a history that was given up must not hold anything. */
  readonly #histories = new Set<History>();

  run(step: Step): void {
    const { clock, retention, append, log } = this.#setup;
    if (step.kind === 'append') append(this.#history(step.at), step.bytes);
    else if (step.kind === 'empty') {
      const history = log.histories.get(String(step.at));
      history?.drop();
      history?.retire();
    } else if (step.kind === 'pass') {
      clock.advance(step.ms);
      retention.sweep(clock.wall());
    } else {
      const page = this.#pages[step.at];
      if (step.kind === 'hold') page?.hold(step.bytes);
      else if (step.kind === 'touch') page?.touch();
      else page?.drop();
    }
    this.check();
  }

  check(): void {
    const { retention } = this.#setup;
    const kept = [...this.#histories].reduce(
      (sum, { bytes, size, ownBytes }) => sum + bytes + (size === 0 ? 0 : ownBytes),
      0,
    );
    const read = this.#pages.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(retention.bytes).toBe(kept + read);
    // One that was just read may be larger than all there is; then there is nothing else.
    const isAlone = kept === 0 && this.#pages.filter(({ bytes }) => bytes > 0).length === 1;
    if (!isAlone) expect(retention.bytes).toBeLessThanOrEqual(MAX_BYTES);
  }

  end(): void {
    const { clock, retention, log } = this.#setup;
    clock.advance(100_000);
    retention.sweep(clock.wall());
    expect([retention.bytes, log.histories.size]).toEqual([0, 0]);
    expect(this.#shelves.map(({ first }) => first)).toEqual([undefined, undefined]);
  }

  #history(at: number): History {
    const { log, make } = this.#setup;
    const shelf = this.#shelves[at % 2];
    const known = log.histories.get(String(at));
    if (known !== undefined) return known;
    if (shelf === undefined) throw new TypeError('two shelves');
    const made = make(String(at), shelf);
    this.#histories.add(made);
    return made;
  }
}

describe('the memory of all histories', () => {
  it('is never more than allowed, counts what is held, and is all given back in time', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const story = new Story();
        for (const step of steps) story.run(step);
        story.end();
      }),
      { numRuns: 300 },
    );
  });

  it('is taken from what has been quiet the longest, on whatever route, oldest entry first', () => {
    const { clock, retention, make, append, log } = setUp(4 * countedBytes(1000) + 3 * OWN_BYTES);
    const shelves = [retention.shelf(), retention.shelf()];
    const [a, b, c] = ['a', 'b', 'c'].map((name, i) => make(name, shelves[i % 2] ?? retention.shelf()));
    if (a === undefined || b === undefined || c === undefined) throw new TypeError('three histories');
    for (const history of [b, a, a, c]) {
      clock.advance(1);
      append(history, 1000);
    }
    clock.advance(1);
    append(c, 1000);
    expect([b.size, a.size, c.size]).toEqual([0, 2, 2]);
    clock.advance(1);
    append(c, 1000);
    expect([offsetsOf(a.after(-1)), a.evictedThrough]).toEqual([[3], 2]);
    // Nobody held it, so its place is free; what it lacked stays known.
    expect([log.histories.has('b'), log.floor]).toEqual([false, 1]);
  });

  it('is taken from what was read again first, unless somebody is about to use it', () => {
    const { clock, retention, make, append } = setUp(1000 + 2 * countedBytes(100) + OWN_BYTES);
    const history = make('a', retention.shelf());
    const page = new Page(retention);
    page.hold(1000);
    append(history);
    append(history);
    append(history);
    expect([page.bytes, history.size]).toEqual([1000, 2]);
    clock.advance(999);
    page.touch();
    clock.advance(1000);
    append(history);
    expect([page.bytes, history.size]).toEqual([0, 3]);
  });

  it('is not taken from histories for reading ever more again', () => {
    const { retention, make, append } = setUp(4000);
    const history = make('a', retention.shelf());
    append(history);
    const pages = Array.from({ length: 10 }, () => new Page(retention));
    for (const page of pages) page.hold(1000);
    expect(history.size).toBe(1);
    expect(pages.map(({ bytes }) => bytes > 0)).toEqual([...Array(7).fill(false), true, true, true]);
  });
});
