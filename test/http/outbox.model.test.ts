import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Outbox } from '../../src/http/outbox.ts';
import { Waiting } from '../../src/http/waiting.ts';
import { Metrics } from '../../src/metrics.ts';
import type { Frame, Lane, Priority } from '../../src/protocol/frame.ts';
import { encodeEvent } from '../../src/protocol/sse.ts';
import { EventStreamParser, type ReceivedEvent } from '../support/event-stream.ts';

/** What a place takes besides its frame. */
const ITEM_BYTES = 100;
const LOG = { epoch: 'e' };
const KINDS = ['close', 'drop', 'drop2', 'latest', 'latest2'] as const;
type Kind = (typeof KINDS)[number];

const push = fc.record({
  push: fc.constantFrom(...KINDS),
  priority: fc.constantFrom<Priority>(0, 0, 0, 1, 2),
  key: fc.constantFrom('k', 'l'),
  size: fc.integer({ min: 1, max: 40 }),
});
const step = fc.oneof(
  { weight: 10, arbitrary: push },
  { weight: 6, arbitrary: fc.record({ next: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ drop: fc.integer({ min: 0, max: 1500 }) }) },
  { weight: 1, arbitrary: fc.record({ first: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({ cut: true }) },
  { weight: 1, arbitrary: fc.constant({ other: true }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A frame that was pushed, and what has become of it. */
interface Pushed {
  readonly frame: Frame;
  readonly kind: Kind;
  fate: 'waits' | 'written' | 'dropped' | Pushed;
}

/** An outbox, everything that was put into it, and its reader. */
class Model {
  readonly metrics = new Metrics();
  readonly #waiting = new Waiting(Infinity, this.metrics);
  readonly #outbox: Outbox;
  /** Of another connection, on the same channels. */
  readonly #other = new Outbox(this.#waiting, true);
  readonly #otherHas = new Set<Frame>();
  readonly #lanes = new Map<Kind, Lane>();
  readonly #pushed: Pushed[] = [];
  readonly #own: string[] = [];
  readonly #tells: boolean;
  readonly #parser = new EventStreamParser();
  #ownBytes = 0;
  /** Of what was written in part. */
  readonly #rests: Uint8Array[] = [];
  #owns = 0;

  constructor(tells: boolean) {
    this.#tells = tells;
    this.#outbox = new Outbox(this.#waiting, tells);
    for (const kind of KINDS.slice(1)) {
      const policy = kind.startsWith('drop') ? 'drop' : 'latest';
      this.#lanes.set(kind, { channel: kind, policy, counts: { dropped: 0, superseded: 0 } });
    }
  }

  run(step: Step): void {
    if ('push' in step) this.#push(step);
    else if ('next' in step) for (let i = 0; i < step.next; i += 1) this.#next();
    else if ('drop' in step) this.#drop(step.drop);
    else if ('first' in step) this.#first(step.first);
    else if ('cut' in step) this.#next(true);
    else while (this.#other.next() !== undefined) this.#otherHas.clear();
    this.#checkBytes();
  }

  #push({ push: kind, priority, key, size }: Extract<Step, { push: Kind }>): void {
    const sequence = this.#pushed.length + 1;
    const id = `e.${sequence}`;
    const bytes = encodeEvent({ id, data: `${sequence}`.padEnd(size, '.') });
    const lane = this.#lanes.get(kind);
    const common = { log: LOG, offset: sequence, isNotice: false, priority, lane, key };
    const frame: Frame = { sequence, bytes, idLength: `id: ${id}\n`.length, ...common };
    const pushed: Pushed = { frame, kind, fate: 'waits' };
    const older = this.#pushed.find(
      (one) =>
        one.fate === 'waits' && one.kind === kind && one.frame.key === key && lane?.policy === 'latest',
    );
    if (older !== undefined) older.fate = pushed;
    this.#pushed.push(pushed);
    this.#outbox.push(frame);
    // The other one has none of what may be replaced: what it holds is simply what it was given.
    if (lane?.policy === 'latest') return;
    this.#other.push(frame);
    this.#otherHas.add(frame);
  }

  /** Takes out what comes next, and writes it, or only the first half of it. */
  #next(isCut = false): boolean {
    const next = this.#outbox.next();
    if (next === undefined) {
      expect([this.#waits, this.#own, this.#rests], 'nothing waits').toEqual([[], [], []]);
      return false;
    }
    const { bytes, isRest } = next;
    expect(isRest, 'what had begun goes first').toBe(this.#rests.length > 0);
    if (isRest) {
      expect(bytes === this.#rests.shift(), 'that very rest').toBe(true);
      this.#ownBytes -= bytes.length;
    } else this.#readAll(bytes);
    if (!isCut || bytes.length < 2) return true;
    // From here on it is bytes on their way, no more to be dropped.
    const rest = bytes.subarray(bytes.length >> 1);
    this.#outbox.unshift(rest);
    this.#rests.unshift(rest);
    this.#ownBytes += rest.length;
    return true;
  }

  #readAll(bytes: Uint8Array): void {
    const before = this.#parser.events.length;
    this.#parser.push(bytes);
    for (const event of this.#parser.events.slice(before)) this.#read(event);
  }

  #read({ event, data, id }: ReceivedEvent): void {
    if (event === 'own') {
      expect(data, 'own events in order').toBe(this.#own.shift());
      this.#ownBytes -= encodeEvent({ event, data }).length;
    }
    if (event !== 'message') return;
    expect(this.#own, 'own events go first').toEqual([]);
    const one = this.#pushed[Number.parseInt(data, 10) - 1];
    expect(one?.fate, data).toBe('waits');
    if (one === undefined) return;
    this.#checkTurn(one);
    one.fate = 'written';
    this.#checkCursor(id);
    const last = this.#pushed.findLast(({ fate }) => fate === 'written' || fate === 'dropped')?.frame
      .sequence;
    expect(this.#outbox.isCursorBehind, `${id} after ${last}`).toBe(id !== `e.${last}`);
  }

  get #waits(): readonly Pushed[] {
    return this.#pushed.filter(({ fate }) => fate === 'waits');
  }

  /** Nothing of a higher priority waits, and nothing older of its own: but for what took an older one's place. */
  #checkTurn({ frame, kind }: Pushed): void {
    for (const other of this.#waits) {
      const isOlder = other.frame.sequence < frame.sequence;
      if (kind.startsWith('latest') || other.kind.startsWith('latest')) {
        if (isOlder && other.kind === kind && other.frame.key === frame.key)
          throw new Error('an old value waits');
        continue;
      }
      expect(other.frame.priority, 'a higher one waits').toBeLessThanOrEqual(frame.priority);
      if (isOlder) expect(other.frame.priority, 'an older one waits').toBeLessThan(frame.priority);
    }
  }

  /** Whatever the cursor covers was written, or is told, or was replaced by what was written or is behind the cursor. */
  #checkCursor(id: string): void {
    const cursor = Number(id.split('.')[1] ?? 0);
    for (const kind of KINDS) {
      const covered = this.#pushed.filter((one) => one.kind === kind && one.frame.sequence <= cursor);
      const missed = covered
        .map(newest)
        .filter(({ fate, frame }) => fate === 'waits' && frame.sequence <= cursor);
      expect(missed, `of ${kind} up to ${cursor}`).toEqual([]);
      const dropped = covered.filter(({ fate }) => fate === 'dropped').length;
      if (this.#tells) expect(this.#told('sidestream.gap', kind)).toBeGreaterThanOrEqual(dropped);
    }
  }

  #told(event: string, channel: string): number {
    const told = this.#parser.events
      .filter((one) => one.event === event)
      .map(({ data }) => JSON.parse(data) as { channel: string; skipped: number });
    return told.filter((one) => one.channel === channel).reduce((sum, { skipped }) => sum + skipped, 0);
  }

  /** The oldest of the lowest priority go, where they may; and no more than has to. */
  #drop(limit: number): void {
    let bytes = this.#outbox.bytes;
    const droppable = this.#waits
      .filter(({ kind }) => kind.startsWith('drop'))
      .sort((a, b) => a.frame.priority - b.frame.priority || a.frame.sequence - b.frame.sequence);
    for (const one of droppable) {
      if (bytes <= limit) break;
      one.fate = 'dropped';
      bytes -= one.frame.bytes.length;
    }
    this.#outbox.drop(limit);
    expect(this.#outbox.bytes).toBe(bytes);
  }

  #first(count: number): void {
    const parts = Array.from({ length: count }, () => {
      this.#owns += 1;
      this.#own.push(`${this.#owns}`);
      return encodeEvent({ event: 'own', data: `${this.#owns}` });
    });
    for (const { length } of parts) this.#ownBytes += length;
    this.#outbox.pushFirst(parts);
  }

  /** What waits, counted anew; in memory, what waits for both is there once. */
  #checkBytes(): void {
    const frames = this.#waits.map(({ frame }) => frame);
    const size = (all: Iterable<Frame>) => [...all].reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(this.#outbox.bytes).toBe(this.#ownBytes + size(frames));
    const places = frames.length + this.#otherHas.size;
    const memory = size(new Set([...frames, ...this.#otherHas])) + this.#ownBytes + places * ITEM_BYTES;
    expect(this.metrics.pendingMemoryBytes).toBe(memory);
  }

  /** All is read, or all is let go of. */
  end(isRead: boolean): void {
    if (isRead) this.#drain();
    else this.#outbox.clear();
    this.#other.clear();
    expect([this.#outbox.bytes, this.#other.bytes, this.metrics.pendingMemoryBytes]).toEqual([0, 0, 0]);
  }

  #drain(): void {
    while (this.#next());
    for (const [kind, { counts }] of this.#lanes) {
      const all = this.#pushed.filter((one) => one.kind === kind);
      const dropped = all.filter(({ fate }) => fate === 'dropped').length;
      const superseded = all.filter(({ fate }) => typeof fate === 'object').length;
      expect(counts).toEqual({ dropped, superseded });
      if (!this.#tells) continue;
      expect(this.#told('sidestream.gap', kind), 'told as dropped').toBe(dropped);
      expect(this.#told('sidestream.skipped', kind), 'told as skipped').toBe(superseded);
    }
    const events = this.#parser.events.map(({ event }) => event);
    if (!this.#tells) expect(events.filter((event) => event.startsWith('sidestream.'))).toEqual([]);
  }
}

/** What took the place of something in the end; mostly it is itself. */
function newest(pushed: Pushed): Pushed {
  return typeof pushed.fate === 'object' ? newest(pushed.fate) : pushed;
}

it('what waits is written once, in order of its priority, or told as dropped or replaced, and no cursor passes it', () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.boolean(),
      fc.array(step, { maxLength: 60, size: 'max' }),
      (tells, isRead, steps) => {
        const model = new Model(tells);
        for (const step of steps) model.run(step);
        model.end(isRead);
      },
    ),
    { numRuns: 300 },
  );
});
