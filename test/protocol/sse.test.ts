import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeControl, encodeEvent, HEARTBEAT, isFieldValue, retryLine } from '../../src/protocol/sse.ts';
import { EventStreamParser, parseEventStream } from '../support/event-stream.ts';

/** What a browser is to get for `data`: U+FFFD for what is not UTF-8 (Encoding standard), LF for every line end. */
function asReceived(data: Uint8Array | string): string {
  const text = typeof data === 'string' ? data : new TextDecoder('utf-8', { ignoreBOM: true }).decode(data);
  return text.replaceAll(/\r\n|\r/g, '\n');
}

/** Text that is made of what could mislead a parser. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '\r',
        '\n',
        '\r\n',
        '\n\n',
        'data: ',
        'id: 9',
        'event: sidestream.close',
        'retry: 1',
        ':',
        '\0',
        ' ',
        '\uFEFF',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 20 },
  )
  .map((pieces) => pieces.join(''));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  hostileText.map((text) => new Uint8Array(Buffer.from(text))),
  fc
    .tuple(hostileText, fc.uint8Array({ maxLength: 4 }))
    .map(([text, tail]) => new Uint8Array(Buffer.concat([Buffer.from(text), tail]))),
);
const data = fc.oneof(bytes, hostileText);
const fieldValue = fc.string({ unit: 'binary', maxLength: 20 }).filter((text) => !/[\r\n\0]/.test(text));

describe('an event on the wire', () => {
  it('gives back its data, id and name, whatever bytes they hold', () => {
    fc.assert(
      fc.property(data, fieldValue, fieldValue, (data, id, event) => {
        const name = event === '' ? 'message' : event;
        expect(parseEventStream(encodeEvent({ id, event, data }))).toEqual([
          { event: name, data: asReceived(data), id },
        ]);
      }),
      { numRuns: 1000 },
    );
  });

  it('is one event: no payload makes a second one, another field, a comment or a retry', () => {
    fc.assert(
      fc.property(data, data, (first, second) => {
        const parser = new EventStreamParser();
        parser.push(encodeEvent({ id: 'a.1', data: first }));
        expect(parser.isBetweenEvents).toBe(true);
        parser.push(encodeEvent({ id: 'a.2', event: 'tick', data: second }));
        expect(parser.events.map(({ id, event }) => [id, event])).toEqual([
          ['a.1', 'message'],
          ['a.2', 'tick'],
        ]);
        expect([parser.unknownFields, parser.comments, parser.retryMs]).toEqual([[], [], undefined]);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['one line', 'a', 'data: a\n\n'],
    ['no payload', '', 'data: \n\n'],
    ['a bare CR, which would end the line in a browser', 'a\rid: 9', 'data: a\ndata: id: 9\n\n'],
    ['CRLF as one line end', 'a\r\nb', 'data: a\ndata: b\n\n'],
    ['LF CR as two', 'a\n\rb', 'data: a\ndata: \ndata: b\n\n'],
    ['a line end at the end', 'a\n', 'data: a\ndata: \n\n'],
    ['a space at the start, which is kept', ' a', 'data:  a\n\n'],
  ])('is exactly these bytes for %s', (_, data, wire) => {
    expect(Buffer.from(encodeEvent({ data })).toString()).toBe(wire);
  });

  it('leaves out the name that EventSource assumes anyway', () => {
    expect(Buffer.from(encodeEvent({ id: 'e.1', event: 'message', data: 'x' })).toString()).toBe(
      'id: e.1\ndata: x\n\n',
    );
  });

  it('does not change when the buffer that the payload came in is used again', () => {
    const payload = Buffer.from('first');
    const frame = encodeEvent({ data: payload });
    payload.fill('x');
    expect(parseEventStream(frame)).toMatchObject([{ data: 'first' }]);
  });
});

describe('a field value', () => {
  it('is refused exactly where it holds CR, LF or NUL', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        expect(isFieldValue(text)).toBe(!/[\r\n\0]/.test(text));
      }),
    );
  });
});

describe('a retry line', () => {
  it('is whole milliseconds that every browser reads, for any number', () => {
    fc.assert(
      fc.property(fc.double({ min: -1000, max: 2 ** 31, noNaN: true }), (retryMs) => {
        const parser = new EventStreamParser();
        parser.push(Buffer.from(`${retryLine(retryMs)}\n`));
        expect(parser.retryMs).toBe(Math.max(0, Math.round(retryMs)));
      }),
    );
  });
});

describe('a control event', () => {
  it('is one line of JSON, whatever its data holds', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), hostileText), (data) => {
        const wire = encodeControl('sidestream.gap', data, 'e.7');
        const [event, ...others] = parseEventStream(Buffer.from(wire));
        expect(others).toEqual([]);
        expect(event).toMatchObject({ event: 'sidestream.gap', id: 'e.7' });
        expect(event?.data).not.toContain('\n');
        expect(JSON.parse(event?.data ?? '')).toEqual({ ...data });
      }),
    );
  });

  it('does not move the cursor where it has no id', () => {
    const parser = new EventStreamParser();
    parser.push(
      Buffer.from(`${encodeControl('sidestream.open', {}, 'e.3')}${encodeControl('sidestream.close', {})}`),
    );
    expect(parser.lastEventId).toBe('e.3');
  });
});

describe('a heartbeat', () => {
  it('is a comment that changes nothing', () => {
    const parser = new EventStreamParser();
    parser.push(encodeEvent({ id: 'e.1', data: 'x' }));
    parser.push(HEARTBEAT);
    expect([parser.events.length, parser.lastEventId, parser.comments, parser.isBetweenEvents]).toEqual([
      1,
      'e.1',
      [''],
      true,
    ]);
  });
});
