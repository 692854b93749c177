import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Waiting } from '../../src/http/waiting.ts';
import { Wire } from '../../src/http/wire.ts';
import { Metrics } from '../../src/metrics.ts';
import { makeBatch } from '../../src/protocol/batch.ts';
import type { Frame } from '../../src/protocol/frame.ts';
import { encodeControl, encodeEvent } from '../../src/protocol/sse.ts';
import { ManualClock } from '../support/clock.ts';
import { decode, NONE, RENDERINGS, type Received, type Way } from './decoding.ts';
import { FakeResponse } from './fake-response.ts';

const CHUNK_BYTES = 64 * 1024;
const TEXTS = ['.', 'ü', '{"a":1}', '"\\', 'line\n', '\r\n', '\u2028 ', '0123456789abcdef'];

// Around every length at which something changes: parts, chunks, what a coding stores.
const size = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 600 }) },
  { weight: 1, arbitrary: fc.constantFrom(65_500, 65_536, 65_540, 131_072) },
  { weight: 1, arbitrary: fc.constantFrom(16_384, 100_000, 300 * 1024) },
);
const event = fc.record({ size, text: fc.constantFrom(...TEXTS) });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ turn: fc.array(event, { minLength: 1, maxLength: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ own: fc.array(event, { minLength: 1, maxLength: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ answers: fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }) }) },
  { weight: 3, arbitrary: fc.constant({ writable: true }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One response that is written in one way, beside the events that were given to it. */
class Written {
  readonly #way: Way;
  readonly #res = new FakeResponse();
  readonly #metrics = new Metrics();
  readonly #wire: Wire;
  readonly #given: Received[] = [];
  isEnding = false;
  turnsBehind = 0;

  constructor(way: Way) {
    this.#way = way;
    const clock = new ManualClock();
    this.#wire = new Wire({
      res: this.#res.asResponse,
      owner: {
        waitingBytes: 0,
        abort: () => expect.unreachable('it is not cut off'),
        paceChanged: () => undefined,
        isSpared: false,
        ending: () => this.#release(),
      },
      clock,
      metrics: this.#metrics,
      waiting: new Waiting(Infinity, this.#metrics),
      rendering: way.rendering,
      pendingBytes: Infinity,
      tells: true,
    });
    this.#res.handle(() => this.#wire.begin());
  }

  run(step: Step, frames: readonly Frame[], data: readonly string[]): void {
    if ('turn' in step) {
      this.#wire.deliver(makeBatch(frames));
      this.#give(
        frames.map(({ sequence }) => `${sequence}`),
        data,
      );
    } else if ('own' in step) this.#own(data);
    else if ('answers' in step) this.#res.answer(...step.answers);
    else this.#res.becomeWritable();
    this.turnsBehind += Number(this.#wire.isBehind);
    if ('writable' in step && this.#res.bytes.length < 200_000) this.#check(false);
  }

  /** Goes before what waits, so it is said only where nothing does. */
  #own(data: readonly string[]): void {
    if (this.#wire.isBehind) return;
    this.#wire.writeOwn(data.map((text) => encodeEvent({ data: text })));
    const id = this.#given.at(-1)?.id ?? '';
    this.#give(
      data.map(() => id),
      data,
    );
  }

  #give(ids: readonly string[], data: readonly string[]): void {
    for (const [i, text] of data.entries())
      this.#given.push({ event: 'message', data: text.replaceAll(/\r\n?/g, '\n'), id: ids[i] ?? '' });
  }

  #release(): void {
    this.isEnding = true;
    this.#wire.release();
  }

  #check(isWhole: boolean): void {
    const { chunks, bytes } = this.#res;
    for (const { length } of chunks) expect(length).toBeLessThanOrEqual(CHUNK_BYTES);
    if (!isWhole && this.#wire.isBehind) return;
    const events = decode(this.#way, bytes, isWhole).filter(({ event }) => event === 'message');
    expect(events.length).toBe(this.#given.length);
    expect(events.every((event, i) => isSame(event, this.#given[i]))).toBe(true);
  }

  end(): void {
    this.#wire.end(Buffer.from(encodeControl('sidestream.close', {})));
    for (let i = 0; i < 1000 && !this.#res.isEnded; i += 1) this.#res.becomeWritable();
    expect([this.#res.isEnded, this.isEnding]).toEqual([true, true]);
    this.#check(true);
    const last = decode(this.#way, this.#res.bytes, true).findLast(({ event }) => event !== NONE);
    expect(last?.event).toBe('sidestream.close');
    const { pendingBytes, pendingMemoryBytes, slowConnections, sentBytes } = this.#metrics;
    expect([pendingBytes, pendingMemoryBytes, slowConnections]).toEqual([0, 0, 0]);
    expect(sentBytes).toBe(this.#res.bytes.length);
  }
}

function isSame(a: Received, b: Received | undefined): boolean {
  return a.data === b?.data && a.id === b.id && a.event === b.event;
}

it('every rendering says the same as was given, wherever the socket is full, in chunks of at most 64 KiB', () => {
  let turnsBehind = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...RENDERINGS),
      fc.array(step, { maxLength: 9, size: 'max' }),
      (way, steps) => {
        const written = new Written(way);
        let sequence = 0;
        for (const step of steps) {
          const events = 'turn' in step ? step.turn : 'own' in step ? step.own : [];
          const data = events.map(({ size, text }) => text.repeat(Math.ceil(size / text.length)));
          const frames = data.map((text) => {
            sequence += 1;
            return frame(sequence, text);
          });
          written.run(step, frames, data);
        }
        written.end();
        turnsBehind += written.turnsBehind;
      },
    ),
    { numRuns: 200 },
  );
  expect(turnsBehind).toBeGreaterThan(20);
});

function frame(sequence: number, data: string): Frame {
  const id = `${sequence}`;
  const position = { log: { epoch: 'e' }, offset: sequence, idLength: `id: ${id}\n`.length };
  const bytes = encodeEvent({ id, data });
  return { sequence, bytes, ...position, isNotice: false, priority: 0, lane: undefined, key: undefined };
}
