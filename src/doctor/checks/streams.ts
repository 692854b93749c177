import { connectSession } from '../exchange.ts';
import { type Fault, type Finding, judged, unmeasured } from '../finding.ts';
import type { Path } from '../path.ts';
import { refusalOf, whyNot } from '../refusal.ts';
import type { Stream } from '../stream.ts';
import { plural, span } from '../words.ts';

/** So many windows that are all alike are no chance. */
const ENOUGH_RETRIES = 4;
/** What a browser has of HTTP/1.1, in all its tabs. */
const BROWSER_CONNECTIONS = 6;

export interface StreamsSeen {
  readonly asked: number;
  readonly opened: number;
  /** Until the last of them was open, in milliseconds. */
  readonly tookMs: number;
  /** Why the first that is missing is. */
  readonly why?: string;
  readonly code?: string | undefined;
  /** The `retry:` of each, in milliseconds. */
  readonly retriesMs: readonly number[];
  /** How many streams the server allows at once on one connection over HTTP/2. */
  readonly most?: number | undefined;
}

/** Opens `count` streams at once, as several tabs or users would: over HTTP/2 on one connection, over HTTP/1.1 on one each. */
export async function measureStreams(path: Path, count: number): Promise<StreamsSeen> {
  const { protocol, url, trust } = path.options;
  const session = protocol === 'h2' ? connectSession(url, trust) : undefined;
  const startMs = path.clock.now();
  const streams = Array.from({ length: count }, () => path.open(session === undefined ? {} : { session }));
  await Promise.all(
    streams.map((stream) => stream.until(() => stream.retryAtMs ?? stream.settledMs(), path.patienceMs)),
  );
  const isOpen = (stream: Stream) =>
    stream.isStream && stream.retryMs !== undefined && stream.close === undefined;
  const missing = streams.find((stream) => !isOpen(stream));
  const most = session?.remoteSettings?.maxConcurrentStreams;
  for (const stream of streams) path.close(stream);
  session?.destroy();
  const open = streams.filter(isOpen);
  return {
    asked: count,
    opened: open.length,
    tookMs: Math.max(0, ...open.map(({ firstByteMs = startMs }) => firstByteMs - startMs)),
    ...(missing !== undefined && { why: whyNot(missing), code: refusalOf(missing) }),
    retriesMs: open.flatMap(({ retryMs }) => (retryMs === undefined ? [] : [retryMs])),
    most,
  };
}

export function judgeStreams(seen: StreamsSeen): Finding {
  const { asked, opened, tookMs, most } = seen;
  if (asked === 0) return unmeasured('streams', 'not asked for (--streams 0)');
  const text = `${plural(asked, 'stream')} open within ${span(tookMs)}`;
  const values = { asked, opened, tookMs: Math.round(tookMs), ...(most !== undefined && { most }) };
  return judged('streams', opened < asked ? notAll(seen) : allAlike(seen, text), text, values);
}

function notAll({ asked, opened, why = '', code }: StreamsSeen): Fault {
  const text = `${opened} of ${plural(asked, 'stream')} opened; ${why}`;
  if (code?.startsWith('CONNECTION_LIMIT') || code === 'CONNECT_RATE') {
    const remedy =
      'see limits of the config; where it counts by address and all come from the proxy’s, see the check address';
    return ['warning', text, remedy];
  }
  const remedy = 'raise the limit on connections, or on streams of one connection, of the proxy; see its log';
  return ['problem', text, remedy];
}

function allAlike({ retriesMs, most }: StreamsSeen, text: string): Fault | undefined {
  if (most !== undefined && most <= BROWSER_CONNECTIONS) {
    const remedy = 'raise the proxy’s number of concurrent streams: 100 is usual';
    return ['warning', `${text}, but no more than ${most} on one connection`, remedy];
  }
  if (retriesMs.length < ENOUGH_RETRIES || new Set(retriesMs).size > 1) return undefined;
  const remedy = 'make sse.retry a range, as 3s..10s; if it is one, something keeps copies of the response';
  return ['warning', `${text}, all with retry ${retriesMs[0]}: they would come back all at once`, remedy];
}
