import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PollAnswer } from '../../src/http/poll-answer.ts';
import { PollBodies } from '../../src/http/poll-bodies.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import type { Frame } from '../../src/protocol/frame.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { bodyOf, frameAt, wholeBytes } from './poll-frames.ts';

const LOGS = 2;
const bodies = new PollBodies(new Rendering('ndjson', undefined));
/** Of each log; the second may hold its publications back for a while, with positions that they have already. */
const CHANNELS = ['0', '1'] as const;

const log = fc.nat({ max: LOGS - 1 });
const step = fc.oneof(
  // One message that one or both channels have.
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('publish' as const), log, both: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), log }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('hold' as const), log }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), log }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('poll' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('over' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface ModelLog {
  readonly epoch: string;
  offset: number;
  /** Published, so in memory. */
  readonly frames: Frame[];
  /** A position of the second channel that is not published yet. */
  held: number | undefined;
}

/** Some logs, and one client that polls: it sends the cursor of the last answer, and keeps the events. */
class World {
  readonly #logs: readonly ModelLog[] = Array.from({ length: LOGS }, (_, i) => ({
    epoch: `log${i}`,
    offset: 1,
    frames: [],
    held: undefined,
  }));
  readonly #bounds: { readonly limit: number; readonly maxBytes: number };
  readonly seen: string[] = [];
  #cursor = '';
  #waiting: PollAnswer | undefined;
  answers = 0;

  constructor(bounds: { readonly limit: number; readonly maxBytes: number }) {
    this.#bounds = bounds;
    // Where it begins: after what is there.
    this.#cursor = this.#now;
  }

  get published(): string[] {
    return this.#logs.flatMap(({ frames }) => frames.map(name));
  }

  run(step: Step): void {
    if (step.kind === 'poll') this.poll();
    else if (step.kind === 'over') this.over();
    else if (step.kind === 'abort') this.#waiting = undefined;
    else this.#move(step.kind, this.#logs[step.log], step.kind === 'publish' && step.both);
  }

  /** Asks again, unless it waits already. */
  poll(): void {
    if (this.#waiting !== undefined) return;
    const positions = parseCursor(this.#cursor) ?? [];
    const missed = this.#logs.flatMap(({ epoch, frames }) => {
      const after = positions.find((position) => position.epoch === epoch)?.offset ?? 0;
      return frames.filter(({ offset }) => offset > after).sort((a, b) => a.offset - b.offset);
    });
    this.#waiting = new PollAnswer({ brought: this.#cursor, ...this.#bounds }, bodies);
    const replay = { frames: missed, ids: undefined };
    this.#waiting.recovered(
      {
        channels: [{ channel: 'a', resume: 'recovered', replayed: missed.length }],
        replay,
        lostThrough: new Map(),
      },
      [],
    );
    this.#answerIfDue();
  }

  over(): void {
    if (this.#waiting !== undefined) this.#answer(this.#waiting);
  }

  settle(): void {
    for (const log of this.#logs) this.#move('release', log, false);
    this.over();
  }

  #move(kind: 'publish' | 'pass' | 'hold' | 'release', log: ModelLog | undefined, both: boolean): void {
    if (log === undefined) return;
    if (kind === 'publish') {
      log.offset += 1;
      const isBoth = both && log.held === undefined;
      this.#publish(log, log.offset, isBoth ? CHANNELS : ['0']);
    } else if (kind === 'pass') log.offset += 1;
    else if (kind === 'hold' && log.held === undefined) {
      log.offset += 1;
      log.held = log.offset;
    } else if (kind === 'release' && log.held !== undefined) {
      const { held } = log;
      log.held = undefined;
      this.#publish(log, held, ['1']);
    }
  }

  #publish(log: ModelLog, offset: number, channels: readonly string[]): void {
    const frames = channels.map((channel) => frameAt(log, offset, `${log.epoch}/${channel}/${offset}`));
    log.frames.push(...frames);
    this.#waiting?.add(frames);
    this.#answerIfDue();
  }

  get #now(): string {
    return this.#logs.map(({ epoch, offset, held }) => `${epoch}.${(held ?? offset + 1) - 1}`).join('_');
  }

  #answerIfDue(): void {
    if (this.#waiting?.isDue(this.#now)) this.#answer(this.#waiting);
  }

  #answer(answer: PollAnswer): void {
    const { cursor, events } = bodyOf(wholeBytes(answer.body(this.#now, 1, undefined)));
    this.#waiting = undefined;
    this.answers += 1;
    // At least one message whole; it may be of two channels.
    expect(events.length).toBeLessThanOrEqual(Math.max(this.#bounds.limit + 1, 2));
    this.#cursor = cursor;
    this.seen.push(...events.map(({ data }) => data));
  }
}

function name({ bytes }: Frame): string {
  return /data: (.*)\n/.exec(Buffer.from(bytes).toString())?.[1] ?? '';
}

it('poll after poll, a client is given everything once, each channel in order, whatever the bounds', () => {
  let answers = 0;
  let given = 0;
  fc.assert(
    fc.property(
      fc.record({ limit: fc.integer({ min: 1, max: 5 }), maxBytes: fc.constantFrom(1, 100, 10_000) }),
      fc.array(step, { maxLength: 60, size: 'max' }),
      (bounds, steps) => {
        const world = new World(bounds);
        for (const step of steps) world.run(step);
        world.settle();
        // Each brings at least one.
        for (let left = world.published.length + 1; left > 0; left -= 1) {
          world.poll();
          world.over();
        }
        expect([...world.seen].sort()).toEqual(world.published.sort());
        for (let log = 0; log < LOGS; log += 1) {
          for (const channel of CHANNELS) {
            const own = world.seen.filter((data) => data.startsWith(`log${log}/${channel}/`));
            const offsets = own.map((data) => Number(data.split('/')[2]));
            expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
          }
        }
        answers += world.answers;
        given += world.seen.length;
      },
    ),
    { numRuns: 500 },
  );
  expect(given).toBeGreaterThan(1000);
  expect(answers).toBeGreaterThan(1000);
});
