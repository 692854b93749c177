import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventStreamParser, parseEventStream } from './event-stream.ts';

const parse = (text: string) => parseEventStream(Buffer.from(text));
const fields = (text: string) => parse(text).map(({ event, data, id }) => [event, data, id]);

// The examples and rules of WHATWG HTML 9.2.5 and 9.2.6: what the other tests believe, this one proves.
describe('the parser of the tests reads a stream as a browser does', () => {
  it('joins data lines and ends an event at a blank line', () => {
    expect(fields('data: YHOO\ndata: +2\ndata: 10\n\n')).toEqual([['message', 'YHOO\n+2\n10', '']]);
  });

  it('skips comments, keeps ids across events, and takes an id without a value as a reset', () => {
    const stream =
      ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n';
    expect(fields(stream)).toEqual([
      ['message', 'first event', '1'],
      ['message', 'second event', ''],
      ['message', ' third event', ''],
    ]);
  });

  it('dispatches empty data where there is a data line, and drops what the stream breaks off', () => {
    expect(fields('data\n\ndata\ndata\n\ndata:')).toEqual([
      ['message', '', ''],
      ['message', '\n', ''],
    ]);
  });

  it('takes off one space after the colon, no more', () => {
    expect(fields('data:test\n\ndata: test\n\ndata:  test\n\n').map(([, data]) => data)).toEqual([
      'test',
      'test',
      ' test',
    ]);
  });

  it('ends lines at LF, CR and CRLF', () => {
    expect(fields('event: a\rdata: 1\r\rdata: 2\r\n\r\ndata: 3\n\n').map(([, data]) => data)).toEqual([
      '1',
      '2',
      '3',
    ]);
  });

  it('forgets the event name of a block without data', () => {
    expect(fields('event: lost\n\ndata: x\n\n')).toEqual([['message', 'x', '']]);
  });

  it('moves the cursor on by a block without data, and not before its blank line', () => {
    const parser = new EventStreamParser();
    parser.push(Buffer.from('id: 7\n'));
    expect([parser.lastEventId, parser.isBetweenEvents]).toEqual(['', false]);
    parser.push(Buffer.from('\n'));
    expect([parser.lastEventId, parser.isBetweenEvents]).toEqual(['7', true]);
  });

  it('ignores an id with NUL and a retry that is not all digits', () => {
    const parser = new EventStreamParser();
    parser.push(Buffer.from('id: 1\nretry: 10\n\nid: a\0b\nretry: 1s\nretry:\nretry: -1\ndata: x\n\n'));
    expect(parser.events).toEqual([{ event: 'message', data: 'x', id: '1' }]);
    expect(parser.retryMs).toBe(10);
  });

  it('gives a retry with the event in whose block it stood', () => {
    expect(parse('retry: 3000\ndata: x\n\ndata: y\n\n').map(({ retry }) => retry)).toEqual([3000, undefined]);
  });

  it('tells which fields it does not know, and which comments it saw', () => {
    const parser = new EventStreamParser();
    parser.push(Buffer.from(':\nfoo: bar\nDATA: x\n: hi\n\n'));
    expect([parser.unknownFields, parser.comments, parser.events]).toEqual([
      ['foo', 'DATA'],
      ['', ' hi'],
      [],
    ]);
  });

  it('takes off one byte order mark at the start of the stream', () => {
    expect(fields('\uFEFFdata: a\n\n\uFEFFdata: b\n\n')).toEqual([['message', 'a', '']]);
  });

  it('throws at bytes that are not UTF-8', () => {
    expect(() => parseEventStream(Uint8Array.of(100, 0xff, 10))).toThrow(TypeError);
  });

  it('reads the same however the bytes are cut', () => {
    const piece = fc.constantFrom(
      'data: ü€😀',
      'data',
      'id: 1',
      'event: e',
      ':',
      'retry: 5',
      '\n',
      '\r',
      '\r\n',
      'x',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        (pieces, cuts) => {
          const bytes = Buffer.from(pieces.join(''));
          const parser = new EventStreamParser();
          for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
            const end = at + (cuts[cut % cuts.length] ?? 1);
            parser.push(bytes.subarray(at, end));
            at = end;
          }
          expect(parser.events).toEqual(parseEventStream(bytes));
        },
      ),
    );
  });
});
