import { expect, it } from 'vitest';
import { Waiting } from '../../src/http/waiting.ts';
import { Wire } from '../../src/http/wire.ts';
import { Log } from '../../src/hub/log.ts';
import { Metrics } from '../../src/metrics.ts';
import { makeBatch } from '../../src/protocol/batch.ts';
import { makeEntry } from '../hub/entries.ts';
import { ManualClock } from '../support/clock.ts';
import { FakeResponse } from './fake-response.ts';

/** uWebSockets.js calls again, of its own accord, when a socket that has long had room has room. */
class EagerResponse extends FakeResponse {
  #handler: (() => boolean) | undefined;

  override onWritable(handler: () => boolean): this {
    this.#handler = handler;
    return super.onWritable(handler);
  }

  becomeWritableAgain(): void {
    this.#handler?.();
  }
}

it('a reader that kept up is behind where the socket takes no more of a heartbeat that was written unasked', () => {
  const res = new EagerResponse([false]);
  const metrics = new Metrics();
  const wire = new Wire({
    res: res.asResponse,
    owner: {
      waitingBytes: 0,
      abort: () => expect.unreachable('it is not cut off'),
      paceChanged: () => undefined,
      isSpared: false,
      ending: () => undefined,
    },
    clock: new ManualClock(),
    metrics,
    waiting: new Waiting(Infinity, metrics),
    rendering: undefined,
    pendingBytes: Infinity,
    tells: true,
  });
  const batch = makeBatch([makeEntry(new Log('e'), { offset: 1 })]);
  wire.deliver(batch);
  res.becomeWritable();
  expect(wire.isBehind).toBe(false);

  res.answer(false);
  res.becomeWritableAgain();
  expect(wire.isBehind).toBe(true);
  // FakeResponse throws where it is written to while the socket is full.
  wire.deliver(batch);
  wire.release();
  expect(metrics.pendingMemoryBytes).toBe(0);
  expect(metrics.slowConnections).toBe(0);
});
