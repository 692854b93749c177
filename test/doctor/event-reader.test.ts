import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EventReader, type ReadEvent } from '../../src/doctor/event-reader.ts';
import { EventStreamParser } from '../support/event-stream.ts';

/** Reads a stream that comes in pieces. */
function read(pieces: readonly Uint8Array[]) {
  const seen = { events: [] as ReadEvent[], comments: 0, retryMs: undefined as number | undefined };
  const reader = new EventReader({
    event: (event) => seen.events.push(event),
    comment: () => {
      seen.comments += 1;
    },
    retry: (ms) => {
      seen.retryMs = ms;
    },
  });
  for (const piece of pieces) reader.push(piece);
  return seen;
}

const line = fc.oneof(
  fc.constantFrom(
    '',
    '',
    ':',
    ': beat',
    'data',
    'data:',
    'data: x',
    'event: e',
    'event',
    'id: 7',
    'id: a\0b',
    'retry: 70',
  ),
  fc.constantFrom('retry: x', 'retry:', 'unknown: y', ' data: z', 'data:  two', '\ufeffdata: bom'),
  fc.string().map((text) => `data: ${text.replace(/[\r\n]/g, '')}`),
);
const stream = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')))
  .map((lines) => Buffer.from(lines.map(([text, end]) => text + end).join('')));

it('reads a stream as the standard says, however it is cut', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(200)), (bytes, cuts) => {
      const parser = new EventStreamParser();
      parser.push(bytes);
      const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
      const seen = read(at.slice(1).map((end, i) => bytes.subarray(at[i], end)));
      expect(seen.events).toEqual(parser.events.map(({ event, data, id }) => ({ event, data, id })));
      expect(seen.comments).toBe(parser.comments.length);
      expect(seen.retryMs).toBe(parser.retryMs);
    }),
  );
});

it('keeps no more than 64 KiB of a line or an event, and goes on behind it', () => {
  const long = 'x'.repeat(100_000);
  const { events } = read([
    Buffer.from(`data: ${long}\n\n`),
    Buffer.from(`data: ${long.slice(0, 40_000)}\n`.repeat(3)),
    Buffer.from('\ndata: next\n\n'),
  ]);
  expect(events.map(({ data }) => data.length <= 65_536)).toEqual([true, true, true]);
  expect(events.at(-1)?.data).toBe('next');
});
