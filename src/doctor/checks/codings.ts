import { type Coding, canDecode } from '../decoder.ts';
import { type Finding, ok, problem, unmeasured, warning } from '../finding.ts';
import { type Marked, Marks } from '../marks.ts';
import type { Path } from '../path.ts';
import { advice, type Intermediary } from '../proxy.ts';
import { whyNot } from '../refusal.ts';
import type { Stream } from '../stream.ts';
import { foreign, span } from '../words.ts';
import { judgeEvents } from './events.ts';

/** RFC 1952 2.3.1: the byte that names the system. Sidestream says "unknown", as Go's gzip does; zlib, and so nginx, does not. */
const GZIP_SYSTEM_AT = 9;
const UNKNOWN_SYSTEM = 255;
/** Two heartbeats tell whether they come one by one. */
const HEARTBEATS = 2;

/** What was seen of a stream that was asked for in a coding. */
export interface CodedSeen {
  readonly coding: Coding;
  /** Why there was no stream. */
  readonly refusal?: string;
  /** Of the answer. */
  readonly contentEncoding: string;
  readonly isUndecodable: boolean;
  /** From the request until `sidestream.open` could be read, in milliseconds; `retry:` where there is none… */
  readonly readMs: number | undefined;
  /** …as the first stream showed. */
  readonly hasOpen: boolean;
  readonly mostTogether: number;
  readonly heartbeats: number;
  readonly marked: Marked | undefined;
  /** Who compresses, as far as it can be told. */
  readonly who: 'bridge' | 'way' | 'unknown';
  readonly patienceMs: number;
}

/** Opens a stream in a coding, sees how it begins, sends events through it where that is possible, else waits for heartbeats. */
export async function measureCoding(
  path: Path,
  coding: Coding,
  first: Stream,
  idleMs: number,
): Promise<CodedSeen | undefined> {
  if (!canDecode(coding)) return undefined;
  const marks = new Marks();
  const stream = path.open({ headers: { 'accept-encoding': coding }, markOf: marks.markOf });
  // Without control events the retry is all that there is.
  const readMs = () => (first.open === undefined ? stream.retryAtMs : stream.open?.atMs);
  await stream.until(
    () => readMs() ?? stream.settledMs() ?? (stream.isUndecodable || undefined),
    path.patienceMs,
  );
  const connection = stream.open?.connection ?? '';
  const who = await whoCompresses(path, stream);
  let marked: Marked | undefined;
  if (connection !== '' && path.ops !== undefined)
    marked = await marks.send(path.ops, connection, path, stream);
  else if (connection !== '')
    await stream.until(({ heartbeats }) => heartbeats.length >= HEARTBEATS || undefined, idleMs);
  path.close(stream);
  return {
    ...seen(path, coding, stream),
    readMs: readMs() === undefined ? undefined : (readMs() ?? 0) - stream.sentMs,
    hasOpen: first.open !== undefined,
    marked,
    who,
  };
}

function seen(
  path: Path,
  coding: Coding,
  stream: Stream,
): Omit<CodedSeen, 'readMs' | 'hasOpen' | 'marked' | 'who'> {
  const hasHead = stream.head !== undefined;
  const refused =
    (hasHead && !stream.isStream) || stream.close?.reason === 'overloaded' || stream.ending?.how === 'failed';
  return {
    coding,
    ...(refused && { refusal: whyNot(stream) }),
    contentEncoding: hasHead ? stream.coding : '',
    isUndecodable: stream.isUndecodable,
    mostTogether: stream.mostTogether,
    heartbeats: stream.heartbeats.length,
    patienceMs: path.patienceMs,
  };
}

/** By the bridge's own word, where it can be asked; else by the first bytes. */
async function whoCompresses(path: Path, { coding, start, open }: Stream): Promise<CodedSeen['who']> {
  const described = open && (await path.ops?.connection(open.connection));
  if (described?.ok) return described.answer.encoding === coding ? 'bridge' : 'way';
  if (coding === 'br' || coding === 'deflate') return 'way';
  const system = start?.[GZIP_SYSTEM_AT];
  return coding === 'gzip' && system !== undefined && system !== UNKNOWN_SYSTEM ? 'way' : 'unknown';
}

export function judgeCoding(coding: Coding, seen: CodedSeen | undefined, proxy: Intermediary): Finding {
  if (seen === undefined)
    return unmeasured(coding, `Node ${process.version} cannot decode it; 22.15 and later can`);
  if (seen.refusal !== undefined) return unmeasured(coding, seen.refusal);
  const { contentEncoding, isUndecodable, readMs, mostTogether, marked, patienceMs } = seen;
  const values = {
    contentEncoding: foreign(contentEncoding),
    ...(readMs !== undefined && { readMs: Math.round(readMs) }),
  };
  const stall = `${advice(proxy, 'compression')}; to save bytes let the bridge compress (sse.compression)`;
  if (contentEncoding === '')
    return problem(coding, `no head came within ${span(patienceMs)} to who takes ${coding}`, stall, values);
  if (isUndecodable)
    return problem(coding, `what comes as ${foreign(contentEncoding)} cannot be decoded`, stall, values);
  if (readMs === undefined)
    return problem(
      coding,
      `it comes as ${contentEncoding}, and nothing of it could be read within ${span(patienceMs)}`,
      stall,
      values,
    );
  if (mostTogether > 1)
    return problem(coding, `${mostTogether} heartbeats came together: it is held back`, stall, values);
  const events =
    marked === undefined ? undefined : judgeEvents(coding, marked, proxy, nameOf(contentEncoding));
  if (events !== undefined && events.verdict !== 'ok')
    return { ...events, ...(events.verdict === 'problem' && { remedy: stall }) };
  return readable(seen, events?.measured, { ...events?.values, ...values });
}

function readable(
  { coding, contentEncoding, heartbeats, readMs = 0, hasOpen, who }: CodedSeen,
  events: string | undefined,
  values: Finding['values'],
): Finding {
  const text =
    events ??
    `${hasOpen ? 'sidestream.open' : 'retry'} in ${span(readMs)}${heartbeats > 0 ? ', heartbeats one by one' : ''}`;
  if (contentEncoding === 'identity')
    return ok(coding, `${text}; it comes as it is, compressed by nobody`, values);
  if (who === 'bridge') return ok(coding, `${text}; compressed by the bridge`, values);
  if (who === 'unknown') return ok(coding, `${text}; by whom it is compressed cannot be told`, values);
  const remedy =
    'somebody on the way compresses, each stream for itself: let the bridge do it (sse.compression), once for all, or nobody';
  return warning(coding, `${text}; compressed on the way, not by the bridge`, remedy, values);
}

function nameOf(contentEncoding: string): string {
  return contentEncoding === 'identity' ? 'uncompressed' : contentEncoding;
}
