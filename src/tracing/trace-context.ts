/** What `traceparent` and `tracestate` say; both were checked. W3C Trace Context, version 00. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Of the span that it came from: 16 hexadecimal digits. */
  readonly spanId: string;
  /** Two hexadecimal digits; the lowest bit says that the trace is recorded. */
  readonly flags: string;
  /** Absent where there was none, or none that could be used. */
  readonly tracestate?: string;
}

/** By these names collectors know a line's trace. OpenTelemetry, "Trace Context in non-OTLP Log Formats". */
export interface TraceFields {
  readonly trace_id: string;
  readonly span_id: string;
  readonly trace_flags: string;
}

export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';

const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** Longest `tracestate` that is passed on, in characters: what the standard asks everybody to keep (3.3.1.5). */
const MAX_STATE_LENGTH = 512;
const MAX_MEMBERS = 32;
/** A key and a value, as levels 1 and 2 of the standard have them. 3.3.1.3. */
const MEMBER = /^[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/;

/** `undefined` where it is none of version 00, the only one there is. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, traceId, spanId, flags] = FORM.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return traceId === NO_TRACE || spanId === NO_SPAN ? undefined : { traceId, spanId, flags };
}

/** As it came but for white space, or `undefined` where it cannot be used as a whole. */
export function parseTracestate(text: string): string | undefined {
  if (text.length > MAX_STATE_LENGTH) return undefined;
  const members = text.split(',').map((member) => member.trim());
  // 3.3.1.1: empty members are allowed, and left out.
  const named = members.filter((member) => member !== '');
  const keys = new Set(named.map((member) => member.slice(0, member.indexOf('='))));
  if (named.length > MAX_MEMBERS || keys.size < named.length) return undefined;
  return named.length > 0 && named.every((member) => MEMBER.test(member)) ? named.join() : undefined;
}

/**
 * What the headers of a message or request say. A `tracestate` without a `traceparent` that can be used says nothing (3.3).
 * `dropped` is told of what was there and could not be used.
 */
export function readTraceContext(
  header: (name: string) => string | undefined,
  dropped: () => void = () => undefined,
): TraceContext | undefined {
  const given = valueIn(header, TRACEPARENT);
  if (given === '') return undefined;
  const parent = parseTraceparent(given);
  if (parent === undefined) dropped();
  const state = parent === undefined ? '' : valueIn(header, TRACESTATE);
  if (parent === undefined || state === '') return parent;
  const tracestate = parseTracestate(state);
  if (tracestate === undefined) dropped();
  return tracestate === undefined ? parent : { ...parent, tracestate };
}

/** NATS tells small letters from capitals; Go's tools for HTTP headers, which publishers use for these too, write `Traceparent`. */
function valueIn(header: (name: string) => string | undefined, name: string): string {
  return header(name) || header(`T${name.slice(1)}`) || '';
}

/** The two headers, as they are sent on. */
export function traceHeaders(trace: TraceContext | undefined): Readonly<Record<string, string>> {
  if (trace === undefined) return {};
  const { traceId, spanId, flags, tracestate } = trace;
  return {
    [TRACEPARENT]: `00-${traceId}-${spanId}-${flags}`,
    ...(tracestate !== undefined && { [TRACESTATE]: tracestate }),
  };
}

/** What a log line says of the trace that it is of; nothing where there is none. */
export function traceFields(trace: TraceContext | undefined): TraceFields | undefined {
  if (trace === undefined) return undefined;
  const { traceId, spanId, flags } = trace;
  return { trace_id: traceId, span_id: spanId, trace_flags: flags };
}
