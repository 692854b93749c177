import { type Fault, type Finding, judged, unmeasured } from '../finding.ts';
import { cursorHeader, type Path } from '../path.ts';
import { whyNot } from '../refusal.ts';
import type { Stream } from '../stream.ts';
import { foreign, plural, span } from '../words.ts';
import { noEvents } from './events.ts';

/** Coming back is tried for so many times what should come at once may take: a minute, by default. */
const BACK_PATIENCES = 6;
/** How long a `retry` is waited for at most. */
const MAX_RETRY_MS = 20_000;
/** Chromium's and WebKit's, where the stream has named none. */
const DEFAULT_RETRY_MS = 3000;
/** Above drain.timeout's default: one that was asked to drain has ended its streams by then. */
const CALLED_MS = 30_000;

/** `wait`: somebody drains or restarts the instance meanwhile. `call`: it is asked to, by the control plane. */
export type DrainMode = 'wait' | 'call';

export interface DrainSeen {
  /** Why it could not be seen. */
  readonly why?: string;
  /** Of `sidestream.close`; absent where it did not come. */
  readonly reason?: string | undefined;
  /** The `retry:` that it came with, in milliseconds. */
  readonly retryMs?: number | undefined;
  readonly ending: 'complete' | 'cut' | 'failed';
  /** What came of each attempt to come back: open, refused in-band, no connection, or a status, which is final to EventSource. */
  readonly attempts: readonly ('open' | 'refused' | 'failed' | number)[];
  /** From the end of the old stream until the new one was open. */
  readonly backMs: number;
}

const nothing = (why: string): DrainSeen => ({ why, ending: 'complete', attempts: [], backMs: 0 });

/** Opens a stream, sees it drained, and comes back as an EventSource does. */
export async function measureDrain(path: Path, mode: DrainMode, idleMs: number): Promise<DrainSeen> {
  const stream = path.open();
  await stream.until(stream.settledMs, path.patienceMs);
  if (stream.open === undefined) return nothing(whyNot(stream));
  const why = mode === 'call' ? await askForIt(path, stream.open.connection) : undefined;
  if (why !== undefined) return nothing(why);
  const waitMs = mode === 'call' ? CALLED_MS : idleMs;
  const ending = await stream.until(({ ending }) => ending, waitMs);
  path.close(stream);
  if (ending === undefined) return nothing(`no stream was ended within ${span(waitMs)}`);
  const seen = { reason: stream.close?.reason, retryMs: stream.close && stream.retryMs, ending: ending.how };
  return { ...seen, ...(await comeBack(path, stream, ending.atMs)) };
}

async function askForIt(path: Path, connection: string): Promise<string | undefined> {
  if (path.ops === undefined) return 'it takes the control plane: --ops and --ops-token-file';
  const described = await path.ops.connection(connection);
  if (!described.ok) return noEvents(described.code);
  const { instance } = described.answer;
  const outcome = await path.ops.drain(typeof instance === 'string' ? instance : '');
  return outcome.ok ? undefined : noEvents(outcome.code);
}

async function comeBack(
  path: Path,
  old: Stream,
  endedMs: number,
): Promise<Pick<DrainSeen, 'attempts' | 'backMs'>> {
  const attempts: DrainSeen['attempts'][number][] = [];
  let { retryMs } = old;
  while (path.clock.now() - endedMs < BACK_PATIENCES * path.patienceMs) {
    const delayMs = Math.min(retryMs ?? DEFAULT_RETRY_MS, MAX_RETRY_MS);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    const stream = path.open({ headers: cursorHeader(old.lastId) ?? {} });
    await stream.until(stream.settledMs, path.patienceMs);
    const outcome = outcomeOf(stream);
    attempts.push(outcome);
    path.close(stream);
    if (outcome === 'open' || typeof outcome === 'number') break;
    retryMs = stream.retryMs ?? retryMs;
  }
  return { attempts, backMs: path.clock.now() - endedMs };
}

function outcomeOf({ open, close, head, isStream, retryMs }: Stream): DrainSeen['attempts'][number] {
  if (open !== undefined) return 'open';
  // A proxy that reaches nobody may refuse in-band as well, by a retry alone.
  if (close !== undefined || retryMs !== undefined) return 'refused';
  return head === undefined || isStream ? 'failed' : head.status;
}

export function judgeDrain({ why, reason, retryMs, ending, attempts, backMs }: DrainSeen): Finding {
  if (why !== undefined) return unmeasured('drain', why);
  if (reason !== undefined && reason !== 'draining')
    return unmeasured('drain', `the stream was ended for another reason: ${foreign(reason)}`);
  const values = {
    attempts: attempts.length,
    backMs: Math.round(backMs),
    ...(retryMs !== undefined && { retryMs }),
  };
  const text = `told to come back after ${span(retryMs ?? 0)}, and ended in good order`;
  const fault = faultOf({ reason, ending, attempts, backMs });
  return judged('drain', fault, `${text}; ${backAgain({ attempts, backMs })}`, values);
}

type Return = Pick<DrainSeen, 'attempts' | 'backMs'>;

function backAgain({ attempts, backMs }: Return): string {
  return `a new one was open ${span(backMs)} later, at attempt ${attempts.length}`;
}

/** The worst of it. */
function faultOf(seen: Return & Pick<DrainSeen, 'reason' | 'ending'>): Fault | undefined {
  const { reason, ending, attempts, backMs } = seen;
  const last = attempts.at(-1);
  if (typeof last === 'number')
    return [
      'problem',
      `coming back was answered ${last}: a native EventSource then gives up for good`,
      'have the proxy try another instance, and take one out before it ends: fail its health check by /readyz, and wait in preStop (docs/proxies.md#rolling-restarts)',
    ];
  if (last !== 'open')
    return [
      'problem',
      `no new stream opened within ${span(backMs)}, in ${plural(attempts.length, 'attempt')}`,
      'have another instance, and a health check by /readyz, so that the proxy leaves out the one that drains (docs/proxies.md#rolling-restarts)',
    ];
  if (reason === undefined)
    return [
      'problem',
      `the stream ended (${ending}) without sidestream.close; ${backAgain(seen)}`,
      'send SIGTERM, and give the process longer than drain.timeout; see that nothing in front cuts its connections meanwhile',
    ];
  if (ending === 'complete') return undefined;
  return [
    'problem',
    `sidestream.close came, but then the stream was cut off rather than ended; ${backAgain(seen)}`,
    'give the process longer than drain.timeout; see that the proxy passes the end on',
  ];
}
