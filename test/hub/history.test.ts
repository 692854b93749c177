import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, entryBytes, History, hasEnded } from '../../src/hub/history.ts';
import { countedBytes, makeEntry, makeHistory, offsetsOf } from './entries.ts';

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      skip: fc.nat({ max: 3 }),
      ttlMs: fc.constantFrom(undefined, 5, 50),
      bytes: fc.constantFrom(10, 500, 5000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 10, 100) }),
  },
  fc.constantFrom(
    { kind: 'evict' as const },
    { kind: 'refresh' as const },
    { kind: 'break' as const },
    { kind: 'restart' as const },
  ),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A history, and what it may be held to after each step. */
class Story {
  readonly #limits: { readonly size: number; readonly ageMs: number; readonly bytes: number };
  readonly #setup: ReturnType<typeof makeHistory>;
  #nowMs = 1000;
  #offset = 0;
  #through = 0;

  constructor(limits: { readonly size: number; readonly ageMs: number; readonly bytes: number }) {
    this.#limits = limits;
    this.#setup = makeHistory(limits);
  }

  run(step: Step): void {
    const { history } = this.#setup;
    const before = history.after(-1);
    if (step.kind === 'pass') this.#nowMs += step.ms;
    else if (step.kind === 'append') before.push(this.#append(step));
    else if (step.kind === 'evict') history.evict(this.#nowMs);
    else if (step.kind === 'refresh') history.refresh(this.#nowMs);
    else this.#void(step.kind);
    this.#check(before);
  }

  #append({ skip, ttlMs, bytes }: Extract<Step, { kind: 'append' }>): Entry {
    const { history, log } = this.#setup;
    this.#offset += 1 + skip;
    const entry = makeEntry(log, {
      offset: this.#offset,
      timeMs: this.#nowMs,
      ...(ttlMs !== undefined && { ttlMs }),
      bytes,
    });
    history.append(entry);
    return entry;
  }

  #void(kind: 'break' | 'restart'): void {
    const { history } = this.#setup;
    this.#offset += 1;
    this.#through = this.#offset;
    if (kind === 'break') history.breaks(this.#offset, 'disconnected', this.#nowMs);
    else history.restart(this.#offset, this.#nowMs);
  }

  #check(before: readonly Entry[]): void {
    const { history, budget } = this.#setup;
    const kept = history.after(-1);
    const { size, bytes, ageMs } = this.#limits;
    expect(kept).toEqual(before.slice(before.length - kept.length));
    expect(history.size).toBe(kept.length);
    expect([history.oldest, history.newest]).toEqual([kept[0], kept.at(-1)]);
    expect(kept.length).toBeLessThanOrEqual(size);
    expect(history.bytes).toBe(kept.reduce((sum, entry) => sum + entryBytes(entry), 0));
    // A place on the shelf takes memory as well, as long as there is something on it.
    expect(budget.bytes).toBe(history.bytes + (kept.length === 0 ? 0 : history.ownBytes));
    if (kept.length > 1) expect(history.bytes).toBeLessThanOrEqual(bytes);
    const newestMs = kept.at(-1)?.timeMs ?? 0;
    for (const entry of kept) expect(entry.timeMs).toBeGreaterThan(newestMs - ageMs);
    // What had ended by itself is no loss; whatever else went is said, and nothing more than that.
    const lost = before
      .slice(0, before.length - kept.length)
      .filter((entry) => !hasEnded(entry, this.#nowMs));
    this.#through = Math.max(this.#through, ...offsetsOf(lost));
    expect(history.evictedThrough).toBe(this.#through);
  }
}

describe('a history', () => {
  it('keeps the newest within its bounds, counts them, and knows exactly from where on it is complete', () => {
    const limits = fc.record({
      size: fc.constantFrom(0, 1, 3, 40),
      ageMs: fc.constantFrom(20, 60_000),
      bytes: fc.constantFrom(1000, 1_000_000),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 60, size: 'max' }), (limits, steps) => {
        const story = new Story(limits);
        for (const step of steps) story.run(step);
      }),
      { numRuns: 200 },
    );
  });

  it('gives what came after a position', () => {
    const { history, log } = makeHistory();
    for (const offset of [2, 5, 9]) history.append(makeEntry(log, { offset }));
    const expected = new Map([
      [-1, [2, 5, 9]],
      [1, [2, 5, 9]],
      [2, [5, 9]],
      [4, [5, 9]],
      [9, []],
      [100, []],
    ]);
    for (const [offset, offsets] of expected) expect(offsetsOf(history.after(offset))).toEqual(offsets);
  });

  it('says the reason and the time of the newest that is missing', () => {
    const { history, log } = makeHistory({ size: 1 });
    history.append(makeEntry(log, { offset: 1, timeMs: 100 }));
    history.breaks(2, 'disconnected', 200);
    history.append(makeEntry(log, { offset: 3, timeMs: 300 }));
    expect([history.evictedThrough, history.evictedReason, history.evictedMs]).toEqual([
      2,
      'disconnected',
      200,
    ]);
    history.append(makeEntry(log, { offset: 4, timeMs: 400 }));
    expect([history.evictedThrough, history.evictedReason, history.evictedMs]).toEqual([3, 'evicted', 300]);
  });

  it('begins where the log says that memory begins', () => {
    expect(makeHistory({ floor: 7, offset: 9 }).history.evictedThrough).toBe(7);
  });

  it('that keeps nothing is complete from its own beginning only, and says nothing of others as it goes', () => {
    const { history, log } = makeHistory({ size: 0, floor: 7, offset: 9 });
    expect(history.evictedThrough).toBe(9);
    history.append(makeEntry(log, { offset: 12 }));
    expect(history.evictedThrough).toBe(12);
    history.retire();
    expect([log.histories.size, log.floor]).toEqual([0, 7]);
  });

  it('keeps what is being joined to beyond its bounds until that is done, and no longer', () => {
    const { history, log, budget } = makeHistory({ size: 2, ageMs: 100, bytes: 1000 });
    const [one, other] = [{}, {}];
    const append = (from: number, through: number, timeMs: number) => {
      for (let offset = from; offset <= through; offset += 1)
        history.append(makeEntry(log, { offset, timeMs }));
    };
    append(1, 3, 0);
    history.hold(one, 3);
    append(4, 20, 50);
    history.refresh(500);
    expect([history.size, history.evictedThrough]).toEqual([17, 3]);
    history.held = true;
    history.release(one, 60);
    expect([offsetsOf(history.after(-1)), history.evictedThrough]).toEqual([[19, 20], 18]);
    history.hold(other, 20);
    append(21, 25, 70);
    // The budget of all may take what it needs.
    history.evict(0);
    expect(history.evictedThrough).toBe(21);
    history.drop();
    expect([history.size, budget.bytes]).toEqual([0, 0]);
  });

  it('keeps it for each who joins to it, whoever else began or ended meanwhile', () => {
    const { history, log } = makeHistory({ size: 1 });
    const append = (offset: number) => history.append(makeEntry(log, { offset }));
    const [first, second] = [{}, {}];
    for (let offset = 1; offset <= 3; offset += 1) append(offset);
    history.hold(first, 3);
    append(4);
    history.hold(second, 4);
    append(5);
    expect(offsetsOf(history.after(-1))).toEqual([4, 5]);
    history.release(first, 0);
    append(6);
    expect([offsetsOf(history.after(-1)), history.evictedThrough]).toEqual([[5, 6], 4]);
    history.release(second, 0);
    expect(offsetsOf(history.after(-1))).toEqual([6]);
  });

  it('that keeps nothing does so while it is joined to, and gives up its place once nobody needs it', () => {
    const { history, log, budget } = makeHistory({ size: 0 });
    const holder = {};
    history.hold(holder, 0);
    history.append(makeEntry(log, { offset: 1 }));
    history.retire();
    expect(offsetsOf(log.histories.get('a')?.after(-1) ?? [])).toEqual([1]);
    history.release(holder, 0);
    expect([history.evictedThrough, log.histories.size, budget.bytes]).toEqual([1, 0, 0]);
  });

  it('gives up its place in the log once nobody needs it, and leaves word of what is missing', () => {
    const { history, log, shelf } = makeHistory({ floor: 1 });
    history.append(makeEntry(log, { offset: 5, timeMs: 50 }));
    history.held = true;
    history.evict(0);
    history.retire();
    expect(log.histories.get('a')).toBe(history);
    history.held = false;
    history.append(makeEntry(log, { offset: 6, timeMs: 60 }));
    history.retire();
    expect(log.histories.get('a')).toBe(history);
    history.evict(0);
    history.retire();
    expect([log.histories.size, log.floor, log.floorMs, shelf.first]).toEqual([0, 6, 60, undefined]);
    expect(new History(log, 'a', shelf, { size: 1, ageMs: 1, bytes: 1 }).evictedThrough).toBe(6);
  });

  it('says nothing of the log any more once it was given up', () => {
    const { history, log } = makeHistory();
    history.breaks(7, 'too-old', 70);
    log.begin('f', 0, 0);
    history.breaks(7, 'too-old', 70);
    history.release({}, 0);
    expect([log.floor, log.floorMs]).toEqual([0, 0]);
  });

  it('never lowers what the log says of its beginning', () => {
    const { history, log } = makeHistory({ floor: 1 });
    log.floor = 20;
    history.retire();
    expect(log.floor).toBe(20);
  });

  it('keeps one event that is larger than its bound: it is what everybody waits for', () => {
    const { history, log } = makeHistory({ bytes: 1000 });
    history.append(makeEntry(log, { offset: 1, bytes: 10 }));
    history.append(makeEntry(log, { offset: 2, bytes: 5000 }));
    expect(offsetsOf(history.after(-1))).toEqual([2]);
    expect(history.bytes).toBe(countedBytes(5000));
  });

  it('takes its place on the shelf by when it was appended to, and leaves it when it is empty', () => {
    const { history: a, log, shelf, budget } = makeHistory();
    const [b, c] = ['b', 'c'].map(
      (name) => new History(log, name, shelf, { size: 9, ageMs: 100, bytes: 9999 }),
    );
    const order = () => {
      const names: string[] = [];
      for (let at = shelf.first; at !== undefined; at = at.next) names.push(at.channel);
      return names.join('');
    };
    for (const [offset, history] of [a, b, c, a, b, b].entries())
      history?.append(makeEntry(log, { offset, timeMs: offset }));
    expect(order()).toBe('cab');
    a.drop();
    expect(order()).toBe('cb');
    c?.refresh(1000);
    b?.refresh(1000);
    expect([order(), budget.bytes]).toEqual(['', 0]);
    c?.append(makeEntry(log, { offset: 9, timeMs: 1000 }));
    expect(order()).toBe('c');
  });
});

describe('a log that begins anew', () => {
  it('empties what memory keeps of channels that are open, forgets the others, and gives all bytes back', () => {
    const { history, log, shelf, budget } = makeHistory();
    const other = new History(log, 'b', shelf, { size: 9, ageMs: 100, bytes: 9999 });
    for (const each of [history, other]) each.append(makeEntry(log, { offset: 5 }));
    history.held = true;
    log.begin('f', 30, 77);
    expect([...log.histories.keys()]).toEqual(['a']);
    expect([history.size, history.evictedThrough, history.evictedMs]).toEqual([0, 30, 77]);
    expect([log.epoch, log.offset, log.flushed, log.floor, log.floorMs]).toEqual(['f', 30, 30, 30, 77]);
    expect([budget.bytes, shelf.first]).toEqual([0, undefined]);
  });

  it('has what waits handed over before: it has positions of the old one', () => {
    const { log } = makeHistory({ offset: 4 });
    const seen: unknown[] = [];
    log.onBegin = () => seen.push(log.epoch, log.offset);
    log.begin('f', 0, 0);
    expect(seen).toEqual(['e', 4]);
  });
});
