import { type Finding, ok, problem, unmeasured, warning } from '../finding.ts';
import type { Path } from '../path.ts';
import { advice, type Intermediary } from '../proxy.ts';
import type { Stream } from '../stream.ts';
import { foreign, plural, span } from '../words.ts';

/** Streams that end are opened anew so often, to see whether they end alike. */
const MAX_TURNS = 4;
/** How long a stream that was told to come back is waited for at most, in place of its `retry`. */
const MAX_RETRY_MS = 2000;
/** sse.heartbeat's default, with what it may be late. */
const USUAL_HEARTBEAT_MS = 17_000;
/** Time-outs of 60 s are the most common; a heartbeat that is lost or late must not be the end. */
const LONG_HEARTBEAT_MS = 50_000;
/** No time-out for silence is shorter. */
const MIN_SILENCE_MS = 500;

/** One stream from its opening to its end, or to ours; in milliseconds. */
export interface Stay {
  readonly ageMs: number;
  /** How long nothing had come when it ended. */
  readonly silentMs: number;
  /** `here`: it was still open; `farewell`: Sidestream said that it ends it; else as {@link Stream.ending}. */
  readonly how: 'here' | 'farewell' | 'complete' | 'cut' | 'failed';
  /** Of the farewell. */
  readonly reason?: string;
}

export interface Stays {
  readonly stays: readonly Stay[];
  /** All heartbeats: between two of one stream, in milliseconds. */
  readonly intervalsMs: readonly number[];
  readonly heartbeats: number;
  readonly mostTogether: number;
  readonly events: number;
}

/** Keeps a stream open until `idleMs` are over, `first` to begin with; where it ends, another. */
export async function measureStays(path: Path, first: Stream, idleMs: number): Promise<Stays> {
  const untilMs = (first.head?.atMs ?? first.sentMs) + idleMs;
  const streams = [first];
  for (let stream: Stream | undefined = first; stream !== undefined; ) {
    const leftMs = untilMs - path.clock.now();
    if (leftMs > 0) await stream.until(({ ending }) => ending, leftMs);
    stream = await successor(path, stream, untilMs, streams.length);
    if (stream !== undefined) streams.push(stream);
  }
  const nowMs = path.clock.now();
  // Where the first one began, one that does not was refused, say by a proxy that found no bridge: nothing was idle.
  const begun = streams.filter(
    ({ open, close }) => first.open === undefined || (open ?? close) !== undefined,
  );
  return {
    stays: begun.map((stream) => stayOf(stream, nowMs)),
    intervalsMs: streams.flatMap(({ heartbeats }) =>
      heartbeats.slice(1).map((atMs, i) => atMs - (heartbeats[i] ?? atMs)),
    ),
    heartbeats: sum(streams, ({ heartbeats }) => heartbeats.length),
    mostTogether: Math.max(...streams.map(({ mostTogether }) => mostTogether)),
    events: sum(streams, ({ events }) => events),
  };
}

async function successor(
  path: Path,
  stream: Stream,
  untilMs: number,
  turns: number,
): Promise<Stream | undefined> {
  if (
    stream.ending === undefined ||
    turns >= MAX_TURNS ||
    !stream.isStream ||
    stream.close?.reason === 'overloaded'
  )
    return undefined;
  const retryMs = Math.min(stream.retryMs ?? MAX_RETRY_MS, MAX_RETRY_MS);
  if (path.clock.now() + retryMs >= untilMs) return undefined;
  await new Promise((resolve) => setTimeout(resolve, retryMs));
  return path.open();
}

function stayOf(stream: Stream, nowMs: number): Stay {
  const { sentMs, lastByteMs, ending, close } = stream;
  const endMs = ending?.atMs ?? nowMs;
  const times = { ageMs: endMs - sentMs, silentMs: endMs - (lastByteMs ?? sentMs) };
  if (close !== undefined && ending !== undefined) return { ...times, how: 'farewell', reason: close.reason };
  return { ...times, how: ending?.how ?? 'here' };
}

export function judgeIdle({ stays, intervalsMs }: Stays, proxy: Intermediary): Finding {
  const ended = stays.filter(({ how }) => how === 'complete' || how === 'cut' || how === 'failed');
  const [first] = ended;
  const oldestMs = Math.max(...stays.map(({ ageMs }) => ageMs));
  const values = { oldestMs: Math.round(oldestMs), ended: ended.length };
  if (first === undefined) return notCut(stays, oldestMs, values);
  const silentMs = Math.max(...ended.map((stay) => stay.silentMs));
  const wasCut = ended.some(({ how }) => how !== 'complete');
  const manner = wasCut ? 'cut off' : 'ended in good order, but not by the bridge,';
  const ages = list(ended.map(({ ageMs }) => ageMs));
  const text = `${plural(ended.length, 'stream')} ${manner} after ${ages}; the last byte had come ${span(silentMs)} before`;
  const beat = median(intervalsMs);
  const remedy =
    silentMs < MIN_SILENCE_MS || (beat !== undefined && silentMs < beat * 0.8)
      ? `something bounds how long a response may take: ${advice(proxy, 'timeout')}`
      : `${advice(proxy, 'timeout')}; or set sse.heartbeat below ${span(silentMs)}`;
  return problem('idle', text, remedy, { ...values, silentMs: Math.round(silentMs) });
}

function notCut(stays: readonly Stay[], oldestMs: number, values: Finding['values']): Finding {
  const reasons = [...new Set(stays.flatMap(({ reason }) => (reason === undefined ? [] : [reason])))];
  if (reasons.length === 0) return ok('idle', `open for ${span(oldestMs)}, and to the end`, values);
  const text = `the bridge itself ended it: ${foreign(reasons.join(', '))}; the oldest was ${span(oldestMs)} old`;
  if (reasons.every((reason) => reason === 'draining' || reason === 'max-age'))
    return ok('idle', text, values);
  return warning('idle', text, 'docs/wire.md#reserved-events has what each reason means', values);
}

export function judgeHeartbeats(seen: Stays, proxy: Intermediary): Finding {
  const { intervalsMs, heartbeats, mostTogether, events } = seen;
  if (mostTogether > 1) {
    const text = `${mostTogether} came together: they are held back`;
    return problem('heartbeats', text, advice(proxy, 'buffering'), { heartbeats, events });
  }
  const intervalMs = median(intervalsMs);
  if (intervalMs === undefined) return fewHeartbeats(seen, proxy);
  const values = { heartbeats, events, intervalMs: Math.round(intervalMs) };
  if (intervalMs <= LONG_HEARTBEAT_MS)
    return ok('heartbeats', `${heartbeats}, one every ${span(intervalMs)}, each by itself`, values);
  const remedy = 'set sse.heartbeat to 15s: many time-outs are 60 s';
  return warning('heartbeats', `one every ${span(intervalMs)}`, remedy, values);
}

/** Where no stream had two. */
function fewHeartbeats({ stays, heartbeats, events }: Stays, proxy: Intermediary): Finding {
  const values = { heartbeats, events };
  if (heartbeats > 0) return ok('heartbeats', `${heartbeats}, by itself`, values);
  if (events > 0)
    return ok('heartbeats', `none was needed: ${plural(events, 'event')} came meanwhile`, values);
  const oldestMs = Math.max(...stays.map(({ ageMs }) => ageMs));
  if (oldestMs < USUAL_HEARTBEAT_MS)
    return unmeasured('heartbeats', `none within ${span(oldestMs)}, which may be too short; see --idle`);
  const remedy = `see sse.heartbeat; where it is shorter, they are held back: ${advice(proxy, 'buffering')}`;
  return warning('heartbeats', `none within ${span(oldestMs)}`, remedy, values);
}

function list(times: readonly number[]): string {
  return times.map(span).join(', ');
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function sum(streams: readonly Stream[], of: (stream: Stream) => number): number {
  return streams.reduce((total, stream) => total + of(stream), 0);
}
