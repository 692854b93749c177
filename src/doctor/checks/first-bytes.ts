import { type Fault, type Finding, judged } from '../finding.ts';
import type { Path } from '../path.ts';
import { advice, type Intermediary } from '../proxy.ts';
import type { Stream } from '../stream.ts';
import { span } from '../words.ts';

/** What comes later than that was held back, or waited for NATS or a replay. */
const LATE_MS = 1000;

/** When it came, in milliseconds since the request. */
export interface FirstBytes {
  readonly headMs?: number | undefined;
  readonly byteMs?: number | undefined;
  readonly openMs?: number | undefined;
  readonly hasRetry: boolean;
  /** How long was waited. */
  readonly patienceMs: number;
  /** Whether nothing came and nothing was closed: it is held back, or nobody is there to answer. */
  readonly isSilent: boolean;
  /** How long a long poll to the same URL took, where it is so. */
  readonly pollMs?: number | undefined;
}

/** Waits for the head, `retry:` and `sidestream.open`. Where the head does not come, asks whether anything comes from there. */
export async function measureFirstBytes(path: Path, stream: Stream): Promise<FirstBytes> {
  await stream.until(stream.settledMs, path.patienceMs);
  const since = (atMs: number | undefined) => (atMs === undefined ? undefined : atMs - stream.sentMs);
  const isSilent = stream.head === undefined && stream.ending === undefined;
  // Before the poll: what comes during it came too late.
  const begun = {
    headMs: since(stream.head?.atMs),
    byteMs: since(stream.firstByteMs),
    openMs: since(stream.open?.atMs),
    hasRetry: stream.retryMs !== undefined,
    patienceMs: path.patienceMs,
    isSilent,
  };
  return isSilent ? { ...begun, pollMs: await measurePoll(path) } : begun;
}

/** A long poll that waits for nothing comes as a whole, and so through everything that buffers. */
async function measurePoll(path: Path): Promise<number | undefined> {
  const url = new URL(path.options.url);
  url.searchParams.set('wait', '0s');
  const answer = await path.ask(url, { accept: 'application/json', 'accept-encoding': 'identity' });
  return typeof answer === 'string' ? undefined : answer.tookMs;
}

export function judgeFirstBytes(seen: FirstBytes, proxy: Intermediary): Finding {
  const { headMs, byteMs, openMs } = seen;
  const text = [
    ...(headMs === undefined ? [] : [`head ${span(headMs)}`]),
    ...(byteMs === undefined ? [] : [`retry ${span(byteMs)}`]),
    ...(openMs === undefined ? [] : [`sidestream.open ${span(openMs)}`]),
  ].join(', ');
  return judged('first-bytes', missing(seen, proxy) ?? late(seen, text, proxy), text, {
    ...(headMs !== undefined && { headMs: Math.round(headMs) }),
    ...(byteMs !== undefined && { byteMs: Math.round(byteMs) }),
    ...(openMs !== undefined && { openMs: Math.round(openMs) }),
  });
}

/** What did not come. */
function missing(seen: FirstBytes, proxy: Intermediary): Fault | undefined {
  const { headMs, byteMs, openMs, hasRetry, patienceMs, pollMs } = seen;
  const within = `within ${span(patienceMs)}`;
  const hold = `held back: ${advice(proxy, 'buffering')}`;
  if (headMs === undefined) {
    const poll =
      pollMs === undefined ? '' : `, though a long poll to the same URL was answered in ${span(pollMs)}`;
    return ['problem', `not even the head came ${within}${poll}`, hold];
  }
  if (byteMs === undefined)
    return ['problem', `the head came after ${span(headMs)}, and then nothing ${within}`, hold];
  if (openMs !== undefined) return undefined;
  if (!hasRetry) {
    const remedy = 'see that the URL and the proxy’s route lead to the bridge';
    return ['problem', 'what comes is no stream of Sidestream: it begins with no retry', remedy];
  }
  const remedy =
    'fine with sse.control: false, but several checks need it; else see whether NATS answers the bridge, and the log';
  return ['warning', `retry came after ${span(byteMs)}, but no sidestream.open ${within}`, remedy];
}

/** What came, but not at once. */
function late(
  { headMs = 0, byteMs = 0, openMs = 0 }: FirstBytes,
  text: string,
  proxy: Intermediary,
): Fault | undefined {
  if (headMs > LATE_MS || byteMs - headMs > LATE_MS)
    return ['warning', text, `if that is no slow line, it is held back: ${advice(proxy, 'buffering')}`];
  if (openMs - byteMs <= LATE_MS) return undefined;
  const remedy = 'NATS, or what is read for a replay, is slow; see the metrics of the bridge';
  return ['warning', text, remedy];
}
