import { expect, it } from 'vitest';
import { Waiting } from '../../src/http/waiting.ts';
import { Wire } from '../../src/http/wire.ts';
import { Log } from '../../src/hub/log.ts';
import { Metrics } from '../../src/metrics.ts';
import { makeBatch } from '../../src/protocol/batch.ts';
import type { Frame } from '../../src/protocol/frame.ts';
import { encodeControl, encodeEvent, retryLine } from '../../src/protocol/sse.ts';
import { makeEntry } from '../hub/entries.ts';
import { ManualClock } from '../support/clock.ts';
import { FakeResponse } from './fake-response.ts';

const CORK_BYTES = 16 * 1024;
const FAREWELL = Buffer.from(
  retryLine(12_345) + encodeControl('sidestream.close', { reason: 'draining', retry: 12_345 }),
);
const LOG = new Log('e');

/** An event of exactly so many bytes. */
function eventOf(bytes: number): Frame {
  const fields = encodeEvent({ id: 'e.1', data: '' }).length;
  return {
    ...makeEntry(LOG, { offset: 1 }),
    bytes: encodeEvent({ id: 'e.1', data: 'x'.repeat(bytes - fields) }),
  };
}

/** A stream that was told to end while its reader was behind, and so many bytes of events waited for it. */
function endWhileBehind(waitingBytes: number) {
  const res = new FakeResponse([false]);
  const metrics = new Metrics();
  const wire: Wire = new Wire({
    res: res.asResponse,
    owner: {
      waitingBytes: 0,
      abort: () => expect.unreachable('it is not cut off'),
      paceChanged: () => undefined,
      isSpared: false,
      ending: () => wire.release(),
    },
    clock: new ManualClock(),
    metrics,
    waiting: new Waiting(Infinity, metrics),
    rendering: undefined,
    pendingBytes: Infinity,
    tells: true,
  });
  const [first, waiting] = [eventOf(100), eventOf(waitingBytes)];
  wire.deliver(makeBatch([first]));
  wire.deliver(makeBatch([waiting]));
  wire.end(FAREWELL);
  res.becomeWritable();
  return { res, expected: Buffer.concat([first.bytes, waiting.bytes, FAREWELL]) };
}

// FakeResponse throws where a cork gets more than it holds.
it('a farewell for which the cork has no room left beside what waited goes into one of its own', () => {
  for (let room = 0; room <= 2 * FAREWELL.length; room += 1) {
    const { res, expected } = endWhileBehind(CORK_BYTES - 16 - room);
    expect(res.bytes.equals(expected)).toBe(true);
    expect(res.isEnded).toBe(true);
    expect(res.cutOff).toBe(false);
  }
});
