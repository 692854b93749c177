import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Connection, type ConnectionContext } from '../../src/http/connection.ts';
import { openStream } from '../../src/http/subscribe.ts';
import { Waiting } from '../../src/http/waiting.ts';
import type { Ending } from '../../src/metrics.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { setUpRoutes, turn } from '../hub/delivery-routes.ts';
import { contextOf } from '../hub/world.ts';
import { FakeResponse } from './fake-response.ts';

const CONNECTIONS = 5;
const LIMIT_BYTES = 20_000;
const KEPT = { lingerMs: 10_000_000, history: { size: 1000, ageMs: 10_000_000, bytes: 10_000_000 } };

const index = fc.nat({ max: CONNECTIONS - 1 });
const channel = fc.constantFrom('a-1', 'd-1', 'l-1');
const named = <K extends string, T extends object>(
  weight: number,
  kind: K,
  more: { [P in keyof T]: fc.Arbitrary<T[P]> },
) => ({ weight, arbitrary: fc.record<T>(more).map((drawn) => ({ kind, ...drawn })) });
const step = fc.oneof(
  named(10, 'publish', { channel, size: fc.constantFrom(1, 500, 4000), key: fc.constantFrom('k', 'l') }),
  named(6, 'flush', {}),
  named(5, 'fill', { index }),
  named(3, 'writable', { index }),
  // With everything that was published so far to be sent to it, into a socket that is full at once.
  named(4, 'return', { index, isFull: fc.boolean() }),
  named(1, 'close', { index }),
  named(1, 'pass', {}),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Stream {
  readonly res: FakeResponse;
  readonly connection: Connection;
}

/** Connections whose readers are behind now and then, and what they may hold together. */
class Model {
  cutOff = 0;
  readonly #real = setUpRoutes({
    a: { log: 'core', ...KEPT },
    d: { log: 'core', slow: 'drop', ...KEPT },
    l: { log: 'core', slow: 'latest', ...KEPT },
  });
  readonly #context: ConnectionContext;
  readonly #streams: Stream[] = [];
  #boundBytes = LIMIT_BYTES;

  constructor() {
    const { clock, wheel, hub, metrics } = this.#real;
    const base = contextOf(clock, wheel, hub, metrics);
    this.#context = {
      ...base,
      waiting: new Waiting(LIMIT_BYTES, metrics),
      limits: { ...base.limits, pendingBytes: 50_000 },
      ended: (_: Connection, ending: Ending) => {
        this.cutOff += Number(ending === 'slow');
      },
    };
    for (let i = 0; i < CONNECTIONS; i += 1) this.#streams.push(this.#open(`core.0`, false));
  }

  #open(cursor: string, isFull: boolean): Stream {
    const res = new FakeResponse(isFull ? [true, false] : []);
    const connection = new Connection(res.asResponse, { address: '', identity: undefined }, this.#context);
    const { destination } = this.#real;
    const destinations = ['a-1', 'd-1', 'l-1'].map(destination);
    const options = {
      destinations,
      cursor: parseCursor(cursor),
      mediaType: 'text/event-stream',
      headers: [],
    };
    res.handle(() => openStream(connection, res.asResponse, this.#context, options));
    return { res, connection };
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'publish') this.#real.publish([step.channel], '.'.repeat(step.size), { key: step.key });
    else if (step.kind === 'flush') this.#real.hub.flush();
    else if (step.kind === 'pass') this.#real.pass(1000);
    else await this.#actOn(step);
    // What all shared is each socket's own once it has taken it: that is seen to with the next that is delivered.
    if (step.kind === 'writable')
      this.#boundBytes = Math.max(LIMIT_BYTES, this.#real.metrics.pendingMemoryBytes);
    this.#check();
  }

  async #actOn(step: Extract<Step, { index: number }>): Promise<void> {
    const { res, connection } = this.#streams[step.index] ?? {};
    if (step.kind === 'fill') res?.answer(false);
    else if (step.kind === 'writable') res?.becomeWritable();
    else if (step.kind === 'close') connection?.close('draining');
    else {
      res?.becomeAborted();
      this.#streams[step.index] = this.#open('core.3', step.isFull);
      for (let i = 0; i < 3; i += 1) await turn();
    }
  }

  #check(): void {
    const { pendingMemoryBytes, pendingBytes, slowConnections } = this.#real.metrics;
    expect(pendingMemoryBytes, 'held together').toBeLessThanOrEqual(this.#boundBytes);
    if (pendingMemoryBytes <= LIMIT_BYTES) this.#boundBytes = LIMIT_BYTES;
    const open = this.#streams.filter(({ connection }) => connection.isOpen);
    const sum = open.reduce((all, { connection }) => all + connection.waitingBytes, 0);
    expect([pendingBytes, slowConnections]).toEqual([sum, open.filter(({ res }) => res.isFull).length]);
  }

  end(): void {
    for (const { res } of this.#streams) res.becomeAborted();
    const { pendingMemoryBytes, pendingBytes, slowConnections } = this.#real.metrics;
    expect([pendingMemoryBytes, pendingBytes, slowConnections]).toEqual([0, 0, 0]);
  }
}

it('all who are behind together never hold more than they may, and in the end nothing is counted', async () => {
  let cutOff = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const model = new Model();
      for (const step of steps) await model.run(step);
      model.end();
      cutOff += model.cutOff;
    }),
    { numRuns: 100 },
  );
  expect(cutOff).toBeGreaterThan(10);
});
