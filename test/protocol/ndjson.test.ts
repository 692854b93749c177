import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeNdjson } from '../../src/protocol/ndjson.ts';
import { encodeControl, encodeCursor, encodeEvent, HEARTBEAT, retryLine } from '../../src/protocol/sse.ts';
import { EventStreamParser } from '../support/event-stream.ts';

interface Line {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
  readonly retry?: number;
}

/** The text of the lines. @throws where the bytes are not UTF-8 or the last line has no end */
function lines(bytes: Uint8Array): string[] {
  const all = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    .decode(encodeNdjson(bytes))
    .split('\n');
  expect(all.pop()).toBe('');
  return all;
}

const read = (bytes: Uint8Array): Line[] =>
  lines(bytes).flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
const bytes = (text: string) => Buffer.from(text);

describe('a line', () => {
  it.each<[string, Uint8Array | string, Line]>([
    [
      'has the fields of its event',
      encodeEvent({ id: 'e.1', event: 'price', data: '{"p":1}' }),
      { id: 'e.1', event: 'price', data: '{"p":1}' },
    ],
    ['has no field that the event has not', encodeEvent({ data: 'x' }), { data: 'x' }],
    ['does not name the event `message`', encodeEvent({ event: 'message', data: 'x' }), { data: 'x' }],
    ['has data where it is empty', encodeEvent({ id: 'e.1', data: '' }), { id: 'e.1', data: '' }],
    [
      'has all lines of the data, joined by LF',
      encodeEvent({ data: 'a\nb\r\nc\rd\n' }),
      { data: 'a\nb\nc\nd\n' },
    ],
    [
      'has data that looks like fields as data',
      encodeEvent({ data: 'data: a\ndata:b\nid: 7\n\n: c' }),
      { data: 'data: a\ndata:b\nid: 7\n\n: c' },
    ],
    ['keeps white space around the data', encodeEvent({ data: '  a \n\t b  ' }), { data: '  a \n\t b  ' }],
    [
      'keeps what is not ASCII, and a byte order mark',
      encodeEvent({ id: 'e.1', data: '\ufeffGrößen ≤ 10 €, 🚀\u2028' }),
      { id: 'e.1', data: '\ufeffGrößen ≤ 10 €, 🚀\u2028' },
    ],
    [
      'keeps controls, quotes and backslashes',
      encodeEvent({ event: '"\\\t', data: '\0\x01\x1f"\\/\x7f' }),
      { event: '"\\\t', data: '\0\x01\x1f"\\/\x7f' },
    ],
    [
      'is of a control event, too',
      encodeControl('sidestream.gap', { channel: 'a' }, 'e.2'),
      { id: 'e.2', event: 'sidestream.gap', data: '{"channel":"a"}' },
    ],
    [
      'has the empty data of a cursor',
      encodeCursor('e.3'),
      { id: 'e.3', event: 'sidestream.cursor', data: '' },
    ],
    [
      'has the `retry:` that stands before its event',
      `${retryLine(4200)}${encodeControl('sidestream.close', {})}`,
      { event: 'sidestream.close', data: '{}', retry: 4200 },
    ],
    ['has `retry:` alone where there is no event', `${retryLine(4200)}\n`, { retry: 4200 }],
  ])('%s', (_, sse, expected) => {
    expect(read(typeof sse === 'string' ? bytes(sse) : sse)).toEqual([expected]);
  });

  it('is empty for a heartbeat, and for the end of a line alone', () => {
    expect(lines(HEARTBEAT)).toEqual(['']);
    expect(encodeNdjson(bytes('\n'))).toEqual(bytes('\n'));
    expect(encodeNdjson(bytes(''))).toEqual(bytes(''));
  });

  it('takes its event from any place in a larger piece of memory', () => {
    const event = encodeEvent({ id: 'e.1', data: 'x' });
    const memory = Buffer.concat([bytes('data: before\n\n'), event, bytes('data: behind\n\n')]);
    expect(read(memory.subarray(14, 14 + event.length))).toEqual([{ id: 'e.1', data: 'x' }]);
  });
});

/** What npm's `eventsource` reads the stream with. */
function parsed(sse: Uint8Array): Line[] {
  const events: Line[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) =>
      events.push({ ...(id !== undefined && { id }), ...(event !== undefined && { event }), data }),
  });
  parser.feed(new TextDecoder('utf-8', { ignoreBOM: true }).decode(sse));
  return events;
}

/** The same, as the standard says it sentence by sentence: an `id:` stays, and an event without a name is a `message`. */
function asBrowser(objects: readonly Line[]): object[] {
  let lastId = '';
  return objects.map(({ id, event, data, retry }) => {
    lastId = id ?? lastId;
    return { id: lastId, event: event ?? 'message', data, ...(retry !== undefined && { retry }) };
  });
}

const hostile = fc.constantFrom(
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  'data: ',
  'data:',
  'id: 1',
  ':',
  ' ',
  '"',
  '\\',
  '\0',
  '\u2028',
  'ä',
  '🚀',
  '{}',
  'retry: 1',
  'x',
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(hostile, { maxLength: 12 }).map((pieces) => pieces.join('')),
);
const field = text.map((value) =>
  Buffer.from(value)
    .toString()
    .replaceAll(/[\r\n\0]/g, ''),
);
const payload = fc.oneof(text, fc.uint8Array({ maxLength: 40 }));
const event = fc.record(
  {
    id: field.filter((id) => id !== ''),
    event: field.filter((name) => name !== '' && name !== 'message'),
    data: payload,
    retry: fc.nat(),
  },
  { requiredKeys: ['data'] },
);

describe('lines of events', () => {
  it('say what a conforming reader makes of the event stream, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(event, fc.constant('heartbeat' as const)), { maxLength: 6 }), (items) => {
        const blocks = items.flatMap((item) => {
          if (item === 'heartbeat') return [HEARTBEAT];
          const { retry, ...fields } = item;
          return retry === undefined ? [encodeEvent(fields)] : [bytes(retryLine(retry)), encodeEvent(fields)];
        });
        // A stream's own byte order mark is none of the first event's.
        const sse = Buffer.concat([HEARTBEAT, ...blocks]);
        const objects = read(sse);
        const reader = new EventStreamParser();
        reader.push(sse);
        expect(asBrowser(objects)).toEqual(reader.events);
        expect(objects.map(({ retry: _, ...rest }) => rest)).toEqual(parsed(sse));
        expect(lines(sse)).toHaveLength(items.length + 1);
      }),
      { numRuns: 2000 },
    );
  });

  it('are the same whether the events come together or one by one', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), (events) => {
        const blocks = events.map(({ retry: _, ...fields }) => encodeEvent(fields));
        expect(Buffer.from(encodeNdjson(Buffer.concat(blocks)))).toEqual(
          Buffer.concat(blocks.map(encodeNdjson)),
        );
      }),
    );
  });
});
