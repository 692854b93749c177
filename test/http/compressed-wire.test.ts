import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { Waiting } from '../../src/http/waiting.ts';
import { Wire } from '../../src/http/wire.ts';
import { Log } from '../../src/hub/log.ts';
import { Metrics } from '../../src/metrics.ts';
import { makeBatch } from '../../src/protocol/batch.ts';
import type { Coding } from '../../src/protocol/coding.ts';
import type { Frame } from '../../src/protocol/frame.ts';
import { gzip } from '../../src/protocol/gzip.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { encodeEvent, HEARTBEAT } from '../../src/protocol/sse.ts';
import { makeEntry } from '../hub/entries.ts';
import { ManualClock } from '../support/clock.ts';
import { parseEventStream } from '../support/event-stream.ts';
import { FakeResponse } from './fake-response.ts';

/** Readers of one server that share a rendering, and what it encoded for all of them. */
function setUp(readers: number) {
  const encoded: string[] = [];
  const coding: Coding = {
    ...gzip,
    encode(bytes) {
      encoded.push(Buffer.from(bytes).toString());
      return gzip.encode(bytes);
    },
  };
  const rendering = new Rendering('sse', coding);
  const metrics = new Metrics();
  const waiting = new Waiting(1 << 30, metrics);
  const open = () => {
    const res = new FakeResponse();
    const owner = {
      waitingBytes: 0,
      abort: (): never => {
        throw new Error('cut off');
      },
      paceChanged: () => undefined,
      isSpared: false,
      ending: () => undefined,
    };
    const clock = new ManualClock();
    const options = { owner, clock, metrics, waiting, rendering, pendingBytes: 1 << 30, tells: true };
    const wire = new Wire({ ...options, res: res.asResponse });
    res.handle(() => wire.begin());
    return { res, wire };
  };
  return { encoded, metrics, clients: Array.from({ length: readers }, open) };
}

const LOG = new Log('e');

function frame(offset: number): Frame {
  const data = `${offset} ${'of what is written again and again, '.repeat(offset % 20)}`;
  return { ...makeEntry(LOG, { offset }), bytes: encodeEvent({ id: `e.${offset}`, data }) };
}

const numbersOf = (res: FakeResponse) =>
  parseEventStream(gunzipSync(res.bytes)).map(({ data }) => Number(data.split(' ')[0]));

it('no event is compressed twice, whoever is slow and whenever it catches up', () => {
  const { encoded, metrics, clients } = setUp(4);
  const frames = Array.from({ length: 60 }, (_, n) => frame(n + 1));
  // One event a turn: what is written at once and what waits are then the same events.
  for (const [n, one] of frames.entries()) {
    // The second stops at once, the third later, and the fourth now and then.
    if (n === 0) clients[1]?.res.answer(false);
    if (n === 20) clients[2]?.res.answer(false);
    if (n % 10 === 3) clients[3]?.res.answer(false);
    const batch = makeBatch([one]);
    for (const { wire } of clients) wire.deliver(batch);
    if (n % 10 === 8) clients[3]?.res.becomeWritable();
  }
  expect(metrics.slowConnections).toBe(2);
  for (const { res } of clients) res.becomeWritable();
  for (const { wire } of clients) wire.end(HEARTBEAT);

  for (const { res } of clients) expect(numbersOf(res)).toEqual(frames.map(({ offset }) => offset));
  const events = encoded.filter((text) => text.startsWith('id:'));
  expect(events).toHaveLength(frames.length);
  expect(new Set(encoded).size).toBe(encoded.length);
});

it('of what was written in part the rest follows as it is, and the whole is what it should be', () => {
  const { encoded, clients } = setUp(1);
  const [client] = clients;
  if (client === undefined) throw new TypeError('no client');
  const { res, wire } = client;
  // Does not get smaller, and goes out in several chunks.
  const noise = Array.from({ length: 60_000 }, (_, n) => Math.imul(n + 1, 0x9e3779b1) >>> 0);
  const large = { ...frame(1), bytes: encodeEvent({ id: 'e.1', data: `1 ${noise.join()}` }) };
  res.answer(false, false);
  wire.deliver(makeBatch([large, frame(2)]));
  wire.deliver(makeBatch([frame(3)]));
  while (res.isFull) res.becomeWritable();
  wire.end(HEARTBEAT);
  expect(res.chunks.length).toBeGreaterThan(5);
  expect(numbersOf(res)).toEqual([1, 2, 3]);
  expect(encoded.filter((text) => text.includes(noise.slice(0, 10).join()))).toHaveLength(1);
});

it('what compression saves is known: events as they are, beside what was sent', () => {
  const { metrics, clients } = setUp(2);
  const one = frame(19);
  for (const { wire } of clients) wire.deliver(makeBatch([one]));
  expect(metrics.plainBytes).toBe(2 * one.bytes.length);
  expect(metrics.sentBytes).toBeLessThan(metrics.plainBytes);
});
