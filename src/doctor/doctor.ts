import type { Clock } from '../clock.ts';
import { judgeAddress, measureAddress } from './checks/address.ts';
import { judgeAnswer, judgeCors, judgeHeaders } from './checks/answer.ts';
import { judgeCoding, measureCoding } from './checks/codings.ts';
import { type DrainMode, judgeDrain, measureDrain } from './checks/drain.ts';
import { judgeEvents } from './checks/events.ts';
import { judgeFirstBytes, measureFirstBytes } from './checks/first-bytes.ts';
import { judgeConnect, judgeTls, judgeVersion } from './checks/reaching.ts';
import { judgeResume, measureResume } from './checks/resume.ts';
import { judgeHeartbeats, judgeIdle, measureStays } from './checks/staying.ts';
import { judgeStreams, measureStreams } from './checks/streams.ts';
import { CODINGS } from './decoder.ts';
import type { Trust } from './exchange.ts';
import { CHECK_IDS, type CheckId, type Finding, unmeasured } from './finding.ts';
import { Marks } from './marks.ts';
import { Ops, type OpsOptions } from './ops.ts';
import { Path } from './path.ts';
import { proxyOf } from './proxy.ts';
import { type Reach, reach } from './reach.ts';
import { whyNot } from './refusal.ts';
import type { Stream } from './stream.ts';

export interface Examination {
  /** Of a stream, as pages have it. */
  readonly url: URL;
  /** What each request for a stream carries, by names in lower case. Secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trust: Trust;
  /** How long a quiet stream is watched, in milliseconds. */
  readonly idleMs: number;
  /** How long to wait for what should come at once, in milliseconds. */
  readonly patienceMs: number;
  /** How many streams are opened at once; 0: none. */
  readonly streams: number;
  readonly ops?: OpsOptions | undefined;
  readonly drain?: DrainMode | undefined;
  readonly clock: Clock;
}

/** Walks the real path, and says what each check found: one finding for each, in their order. Never rejects for what a server does. */
export async function examine(examination: Examination): Promise<readonly Finding[]> {
  const { url, trust, clock, patienceMs, headers, ops } = examination;
  const reached = await reach(url, trust, clock, patienceMs);
  const { tls } = reached;
  const findings = [judgeConnect(reached), judgeTls(tls, url)];
  // Without trust nothing is sent: it would be the token.
  if (reached.connectMs === undefined || (tls?.failure !== undefined && !tls.isUnverified))
    return completed(findings, 'there was no connection to go on with', examination);
  const path = new Path({
    ...{ url, headers, trust, clock, patienceMs },
    protocol: tls?.protocol ?? 'http/1.1',
    ops: ops && new Ops(ops, clock, patienceMs),
  });
  try {
    findings.push(...(await examineAnswer(path, reached, examination)));
  } finally {
    path.closeAll();
  }
  return completed(findings, 'there was no stream to measure it on', examination);
}

async function examineAnswer(path: Path, reached: Reach, examination: Examination): Promise<Finding[]> {
  const { url } = examination;
  const marks = new Marks();
  const stream = path.open({ markOf: marks.markOf });
  const begun = await measureFirstBytes(path, stream);
  const { head } = stream;
  const proxy = proxyOf(head);
  const firstBytes = judgeFirstBytes(begun, proxy);
  if (begun.isSilent) return [firstBytes];
  const findings = [judgeAnswer(stream, url)];
  if (head === undefined) return findings;
  findings.push(judgeVersion(path.options.protocol, head.headers['alt-svc'] ?? '', proxy));
  const cors = await examineCors(path, stream);
  if (cors !== undefined) findings.push(cors);
  if (!stream.isStream || stream.close?.reason === 'overloaded') return findings;
  findings.push(judgeHeaders(head), firstBytes);
  if (stream.open === undefined && (stream.retryMs === undefined || stream.ending !== undefined))
    return findings;
  return [...findings, ...(await examineStream(path, stream, marks, reached, examination))];
}

async function examineCors(path: Path, stream: Stream): Promise<Finding | undefined> {
  const { url, headers } = path.options;
  const { origin } = headers;
  if (origin === undefined) return undefined;
  const asks = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' };
  const preflight =
    headers.authorization === undefined ? undefined : await path.preflight(url, { origin, ...asks });
  const hasCookie = headers.cookie !== undefined;
  return judgeCors({ origin, headers: stream.head?.headers ?? {}, hasCookie, preflight });
}

/** All that takes a stream which has begun; most of it at once, beside a stream that is left alone. */
async function examineStream(
  path: Path,
  stream: Stream,
  marks: Marks,
  { localAddress = '', remoteAddress = '' }: Reach,
  { idleMs, streams, drain }: Examination,
): Promise<Finding[]> {
  const proxy = proxyOf(stream.head);
  const found = await Promise.all([
    examineEvents(path, stream, marks),
    measureStays(path, stream, idleMs).then((stays) => [
      judgeHeartbeats(stays, proxy),
      judgeIdle(stays, proxy),
    ]),
    ...CODINGS.map(async (coding) =>
      judgeCoding(coding, await measureCoding(path, coding, stream, idleMs), proxy),
    ),
    measureResume(path, stream).then(judgeResume),
    measureStreams(path, streams).then(judgeStreams),
    measureAddress(path, stream, { local: localAddress, remote: remoteAddress }).then((seen) =>
      judgeAddress(seen, proxy),
    ),
    drain === 'wait' ? measureDrain(path, drain, idleMs).then(judgeDrain) : [],
  ]);
  // Last: an instance that drains would spoil the others.
  const drained = drain === 'call' ? [judgeDrain(await measureDrain(path, drain, idleMs))] : [];
  return [...found.flat(), ...drained];
}

async function examineEvents(path: Path, stream: Stream, marks: Marks): Promise<Finding[]> {
  if (path.ops === undefined) return [];
  if (stream.open === undefined) return [unmeasured('events', whyNot(stream))];
  const marked = await marks.send(path.ops, stream.open.connection, path, stream);
  return [judgeEvents('events', marked, proxyOf(stream.head))];
}

/** Why a check was not made, where it is for want of an option. */
function wanting({ headers, ops, drain }: Examination): Partial<Record<CheckId, string>> {
  const plane = ops === undefined ? 'it takes the control plane: --ops and --ops-token-file' : undefined;
  return {
    ...(headers.origin === undefined && { cors: 'it takes the page’s origin: --origin' }),
    ...(plane !== undefined && { events: plane, address: plane }),
    ...(drain === undefined && { drain: 'not asked for: --drain' }),
  };
}

function completed(found: readonly Finding[], why: string, examination: Examination): readonly Finding[] {
  const wants = wanting(examination);
  return CHECK_IDS.map(
    (id) => found.find((finding) => finding.id === id) ?? unmeasured(id, wants[id] ?? why),
  );
}
