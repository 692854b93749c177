import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { negotiate } from '../../src/http/accept.ts';

const transport = (accept: string) => negotiate(accept)?.transport;

describe('an Accept header', () => {
  it.each([
    '',
    '*/*',
    'text/event-stream',
    'TEXT/Event-Stream',
    'text/*',
    'text/html, text/event-stream;q=0.1',
    'text/event-stream; charset=utf-8',
    'text/event-stream;q=0.5, */*;q=0',
    'application/json;q=0.5, */*;q=0.6',
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  ])('asks for an event stream: %j', (accept) => {
    expect(transport(accept)).toBe('sse');
  });

  it.each([
    ['application/x-ndjson', 'application/x-ndjson'],
    ['application/ndjson', 'application/ndjson'],
    ['Application/JSONL', 'application/jsonl'],
    ['application/*', 'application/x-ndjson'],
    ['application/*, application/x-ndjson;q=0', 'application/ndjson'],
    ['text/event-stream;q=0.9, application/x-ndjson', 'application/x-ndjson'],
    ['application/ndjson;q=0.5, application/x-ndjson;q=0.4', 'application/ndjson'],
    ['*/*, text/event-stream;q=0', 'application/x-ndjson'],
    ['text/*;q=0, */*', 'application/x-ndjson'],
  ])('asks for a JSON object a line, and is answered in the type that it named: %j', (accept, mediaType) => {
    expect(negotiate(accept)).toEqual({ transport: 'ndjson', mediaType });
  });

  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json, text/event-stream;q=0.9',
    'application/json, */*;q=0.1',
    'application/json;q=0.2, application/*;q=0.1',
    'application/json;profile="a,b;q=0", text/event-stream;q=0.5',
    'application/json;profile="a\\",text/event-stream"',
    ' application/json ; Q=1.000 ,text/event-stream ;q=0.999',
  ])('asks for an answer at a time: %j', (accept) => {
    expect(transport(accept)).toBe('poll');
  });

  it.each([
    ['text/event-stream, application/x-ndjson, application/json', 'sse'],
    ['application/json, application/x-ndjson, text/event-stream', 'sse'],
    ['application/json, text/plain, */*', 'sse'],
    ['application/json;q=0.3, application/jsonl;q=0.3', 'ndjson'],
  ])('leaves it to us where it likes several best: %j', (accept, expected) => {
    expect(transport(accept)).toBe(expected);
  });

  it.each([
    'text/html',
    'text/event-stream;q=0',
    'text/event-stream;q=0.000',
    'text/event-stream;q=x',
    'text/event-stream;q=-1',
    'application/x-ndjson;q=0, application/json;q=0',
    'application/xml;profile="application/json, text/event-stream"',
    ',',
    '"',
  ])('asks for nothing that is here: %j', (accept) => {
    expect(negotiate(accept)).toBeUndefined();
  });

  const offers = ['text/event-stream', 'application/x-ndjson', 'application/json'];
  const ranges = [...offers, 'text/*', 'application/*', '*/*', 'text/html'];

  it('is given what has the highest weight, where the most specific range that matches has the word', () => {
    const weight = fc.constantFrom(0, 0.1, 0.5, 0.501, 1);
    const header = fc.uniqueArray(fc.tuple(fc.constantFrom(...ranges), weight), {
      selector: ([type]) => type,
      minLength: 1,
    });
    fc.assert(
      fc.property(header, (members) => {
        const weights = new Map<string, number>(members);
        const of = (type: string) =>
          weights.get(type) ?? weights.get(`${type.split('/')[0]}/*`) ?? weights.get('*/*') ?? 0;
        const accept = members.map(([type, q]) => `${type};q=${q}`).join(', ');
        const given = negotiate(accept);
        // The other names of NDJSON may be liked where `application/x-ndjson` is not.
        const others = of('application/ndjson');
        const highest = Math.max(...offers.map(of), others);
        if (highest === 0) expect(given).toBeUndefined();
        else if (of('text/event-stream') === highest) expect(given?.transport).toBe('sse');
        else if (Math.max(of('application/x-ndjson'), others) === highest)
          expect(given?.transport).toBe('ndjson');
        else expect(given?.transport).toBe('poll');
      }),
      { numRuns: 500 },
    );
  });

  it('never throws, whatever it holds', () => {
    const piece = fc.constantFrom(...ranges, ',', ';', '"', '\\', 'q=', '=', '0.5', ' ', '/', '*');
    const header = fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(header, (accept) => {
        negotiate(accept);
      }),
      { numRuns: 1000 },
    );
  });
});
