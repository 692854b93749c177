import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TICK_MS } from '../../src/clock.ts';
import { HEARTBEAT_MS, openConnection, PENDING_BYTES, published, STALLED_MS } from './open-connection.ts';

const MAX_AGE_MS = 60_000;
const HEARTBEAT = ':\n\n';

const step = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      sizes: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 4 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('writable' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      answers: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.constantFrom(HEARTBEAT_MS, STALLED_MS)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('close' as const, 'abort' as const, 'client' as const),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A connection beside what it promises: bytes as delivered, bounds, and one release. */
class Model {
  readonly real = openConnection({ channels: ['a', 'b'], sse: { maxAgeMs: MAX_AGE_MS } });
  /** The data of every publication that the connection took. */
  readonly #taken: string[] = [];
  #takenBytes = 0;
  #published = 0;
  /** Whether it was told to close. From the maximum age on it may have told itself. */
  #isClosing = false;
  #behindSinceMs: number | undefined;
  #lastWriteMs = 0;

  run(step: Step): void {
    const { res, clock } = this.real;
    const chunks = res.chunks.length;
    this.#act(step);
    if (res.chunks.length > chunks) this.#lastWriteMs = clock.now();
    if (!res.isFull) this.#behindSinceMs = undefined;
    else this.#behindSinceMs ??= clock.now();
    this.#check();
  }

  #act(step: Step): void {
    const { res, connection } = this.real;
    if (step.kind === 'send') this.#send(step.sizes);
    else if (step.kind === 'writable') res.becomeWritable();
    else if (step.kind === 'answer') res.answer(...step.answers);
    else if (step.kind === 'pass') this.#pass(step.ms);
    else if (step.kind === 'client') res.becomeAborted();
    else if (step.kind === 'abort') connection.abort('draining');
    else {
      this.#isClosing = true;
      connection.close('draining', 1);
      connection.close('max-age', 2);
    }
  }

  #send(sizes: readonly number[]): void {
    const { connection, res, publish, hub, clock, cursor } = this.real;
    const before = res.bytes.length + connection.waitingBytes;
    const wasOpen = connection.isOpen;
    const texts: string[] = [];
    let bytes = 0;
    for (const size of sizes) {
      this.#published += 1;
      const text = `${this.#published}`.padEnd(size, '.');
      publish(this.#published % 2 === 0 ? 'a' : 'b', text);
      texts.push(text);
      bytes += `id: ${cursor()}\ndata: ${text}\n\n`.length;
    }
    hub.flush();
    const took = res.bytes.length + connection.waitingBytes - before;
    const mayRefuse = !wasOpen || this.#isClosing || clock.now() >= 0.9 * MAX_AGE_MS;
    if (connection.isOpen && !mayRefuse) expect(took, 'all or nothing of a turn is taken').toBe(bytes);
    if (took <= 0) return;
    this.#taken.push(...texts);
    this.#takenBytes += bytes;
  }

  #pass(ms: number): void {
    const { pass, clock, connection, res, metrics } = this.real;
    const was = { open: connection.isOpen, heartbeats: metrics.heartbeats };
    pass(ms);
    const nowMs = clock.now();
    if (metrics.heartbeats > was.heartbeats)
      expect(nowMs - this.#lastWriteMs).toBeGreaterThanOrEqual(0.9 * HEARTBEAT_MS);
    if (!was.open) return;
    // What has to have happened by now.
    if (this.#behindSinceMs !== undefined) {
      if (nowMs >= this.#behindSinceMs + STALLED_MS + TICK_MS)
        expect([connection.isOpen, res.cutOff]).toEqual([false, true]);
    } else if (nowMs >= Math.max(MAX_AGE_MS, this.#lastWriteMs) + TICK_MS) {
      expect(connection.isOpen).toBe(false);
    } else if (connection.isOpen && nowMs >= this.#lastWriteMs + HEARTBEAT_MS + TICK_MS) {
      expect(res.chunks.at(-1)?.toString()).toBe(HEARTBEAT);
    }
  }

  #check(): void {
    const { connection, metrics, endings, hub, read, res } = this.real;
    const { isOpen, waitingBytes } = connection;
    const data = published(read());
    expect(data, 'what was written is what was taken, in order').toEqual(this.#taken.slice(0, data.length));
    if (isOpen && !res.isFull) expect(data).toEqual(this.#taken);
    expect(endings).toHaveLength(isOpen ? 0 : 1);
    expect(res.isEnded).toBe(!isOpen);
    expect([metrics.pendingBytes, metrics.sentBytes]).toEqual([isOpen ? waitingBytes : 0, res.bytes.length]);
    expect(metrics.slowConnections).toBe(Number(isOpen && res.isFull));
    expect(hub.subscriberCount('a') + hub.subscriberCount('b')).toBe(isOpen ? 2 : 0);
    if (isOpen) this.#checkWaiting();
    else this.#checkEnd();
  }

  /** What waits is what was taken and not written, and not more than the bound. */
  #checkWaiting(): void {
    const { res, connection } = this.real;
    const [, ...chunks] = res.chunks.map(String).filter((chunk) => chunk !== HEARTBEAT);
    expect(connection.waitingBytes).toBe(this.#takenBytes - chunks.join('').length);
    expect(connection.waitingBytes).toBeLessThanOrEqual(PENDING_BYTES);
  }

  /** In good order: everything, and the farewell last. Otherwise no farewell, and the connection under it is gone. */
  #checkEnd(): void {
    const { res, endings, read } = this.real;
    const { events } = read();
    const closes = events.filter(({ event }) => event === 'sidestream.close');
    const [ending] = endings;
    if (ending === 'slow') expect(res.cutOff).toBe(true);
    if (res.cutOff || ending === 'client') {
      expect(closes).toEqual([]);
      return;
    }
    expect(published(read())).toEqual(this.#taken);
    expect(closes).toHaveLength(1);
    expect(events.at(-1)?.event).toBe('sidestream.close');
    expect(closes[0]?.data).toContain(`"reason":"${ending}"`);
  }
}

describe('a connection, whatever its socket answers and whoever ends it', () => {
  it('writes what it was delivered, in order, within its bounds, and releases everything once', () => {
    const ends = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
        const model = new Model();
        for (const step of steps) model.run(step);
        model.run({ kind: 'client' });
        const [ending = ''] = model.real.endings;
        ends.set(ending, (ends.get(ending) ?? 0) + 1);
      }),
      { numRuns: 300 },
    );
    // The property says something only where streams ended in each way.
    for (const ending of ['client', 'draining', 'slow', 'max-age'])
      expect(ends.get(ending), ending).toBeGreaterThan(5);
  });
});
