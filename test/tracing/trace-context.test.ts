import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseTraceparent,
  parseTracestate,
  readTraceContext,
  traceFields,
  traceHeaders,
} from '../../src/tracing/trace-context.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';
const PARENT = `00-${TRACE_ID}-${SPAN_ID}-01`;

/** What is read of these headers, and how much of them could not be used. */
function read(headers: Readonly<Record<string, string>>) {
  let dropped = 0;
  const trace = readTraceContext(
    (name) => headers[name],
    () => {
      dropped += 1;
    },
  );
  return { trace, dropped };
}

describe('a traceparent', () => {
  it('is taken apart', () => {
    expect(parseTraceparent(PARENT)).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, flags: '01' });
    expect(parseTraceparent(`00-${TRACE_ID}-${SPAN_ID}-ff`)?.flags).toBe('ff');
  });

  it.each([
    ['of another version', `01-${TRACE_ID}-${SPAN_ID}-01`],
    ['of the version that is forbidden', `ff-${TRACE_ID}-${SPAN_ID}-01`],
    ['with capitals', PARENT.toUpperCase()],
    ['with a trace of zeros', `00-${'0'.repeat(32)}-${SPAN_ID}-01`],
    ['with a span of zeros', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
    ['that is cut off', PARENT.slice(0, -1)],
    ['that goes on', `${PARENT}-00`],
    ['given twice', `${PARENT},${PARENT}`],
    ['with white space', ` ${PARENT}`],
    ['with a line break behind', `${PARENT}\n`],
    ['with other digits', `00-${TRACE_ID.slice(1)}g-${SPAN_ID}-01`],
    ['of nothing', ''],
  ])('%s is none', (_, text) => expect(parseTraceparent(text)).toBeUndefined());

  it('is written as it was read, or is none, whatever it is', () => {
    const near = fc.stringMatching(/^0[01]-[0-9a-f]{31,32}-[0-9a-f]{16}-[0-9a-fA-F]{2}$/);
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (text) => {
        const trace = parseTraceparent(text);
        expect([undefined, text]).toContain(traceHeaders(trace).traceparent);
      }),
    );
  });
});

describe('a tracestate', () => {
  it.each([
    ['one member', 'a=1', 'a=1'],
    ['several', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'],
    ['white space and empty members between', 'a=1 ,, \tb=2,', 'a=1,b=2'],
    ['a tenant of a vendor', '0a@vendor=x', '0a@vendor=x'],
    ['values with what is allowed', 'a=!"#$%&+-./:;<>?@[]^_`{|}~ z', 'a=!"#$%&+-./:;<>?@[]^_`{|}~ z'],
    ['as many as there may be', members(32), members(32)],
    [
      'as long as it may be',
      `a=${'x'.repeat(256)},b=${'x'.repeat(251)}`,
      `a=${'x'.repeat(256)},b=${'x'.repeat(251)}`,
    ],
  ])('may be %s', (_, text, kept) => expect(parseTracestate(text)).toBe(kept));

  it.each([
    ['a key twice', 'a=1,a=2'],
    ['no value', 'a='],
    ['no key', '=1'],
    ['no equals sign', 'a'],
    ['a capital in a key', 'A=1'],
    ['an equals sign in a value', 'a=b=c'],
    ['a line break', 'a=1\r\nevent: x'],
    ['NUL', 'a=\0'],
    ['other than ASCII', 'a=é'],
    ['more members than may be', members(33)],
    ['more than is passed on', `a=${'x'.repeat(256)},b=${'x'.repeat(252)}`],
    ['nothing', ' , '],
  ])('with %s is none', (_, text) => expect(parseTracestate(text)).toBeUndefined());
});

describe('the trace of a message or request', () => {
  it('is what both headers say, in small letters or as Go writes them', () => {
    const trace = { traceId: TRACE_ID, spanId: SPAN_ID, flags: '01', tracestate: 'a=1' };
    expect(read({ traceparent: PARENT, tracestate: 'a=1' })).toEqual({ trace, dropped: 0 });
    expect(read({ Traceparent: PARENT, Tracestate: 'a=1' })).toEqual({ trace, dropped: 0 });
    expect(traceHeaders(trace)).toEqual({ traceparent: PARENT, tracestate: 'a=1' });
  });

  it('is nothing without a traceparent that can be used, whatever tracestate says', () => {
    expect(read({ tracestate: 'a=1' })).toEqual({ trace: undefined, dropped: 0 });
    expect(read({ traceparent: 'x', tracestate: 'a=1' })).toEqual({ trace: undefined, dropped: 1 });
  });

  it('is the traceparent alone where tracestate cannot be used, which is told', () => {
    const trace = { traceId: TRACE_ID, spanId: SPAN_ID, flags: '01' };
    expect(read({ traceparent: PARENT, tracestate: 'A' })).toEqual({ trace, dropped: 1 });
  });

  it('stands in a log line by the names of OpenTelemetry, and where there is none nothing does', () => {
    expect(traceFields(parseTraceparent(PARENT))).toEqual({
      trace_id: TRACE_ID,
      span_id: SPAN_ID,
      trace_flags: '01',
    });
    expect([traceFields(undefined), traceHeaders(undefined)]).toEqual([undefined, {}]);
  });
});

function members(count: number): string {
  return Array.from({ length: count }, (_, n) => `k${n}=v`).join();
}
