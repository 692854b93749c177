import { type CheckId, type Finding, ok, problem, unmeasured, warning } from '../finding.ts';
import { type Marked, STREAM_ENDED } from '../marks.ts';
import { advice, type Intermediary } from '../proxy.ts';
import { span } from '../words.ts';

/** What takes longer is on a slow way, or waited for something. */
const SLOW_MS = 1000;

/** Of events that were sent one by one, on a stream that comes as it is or in a content coding. */
export function judgeEvents(
  id: CheckId,
  marked: Marked,
  proxy: Intermediary,
  coding = 'uncompressed',
): Finding {
  const { sent, latenciesMs, held, failure } = marked;
  if (sent === 0 || (failure !== undefined && held === 0))
    return unmeasured(id, noEvents(failure ?? STREAM_ENDED));
  const values = {
    sent,
    held,
    ...(latenciesMs.length > 0 && {
      fastestMs: Math.round(Math.min(...latenciesMs)),
      slowestMs: Math.round(Math.max(...latenciesMs)),
    }),
  };
  if (held > 0) {
    const remedy = advice(proxy, coding === 'uncompressed' ? 'buffering' : 'compression');
    return problem(id, `${held} of ${sent} events, ${coding}, were held back or lost`, remedy, values);
  }
  const text = `${sent} events, ${coding}, each in ${span(Math.min(...latenciesMs))} to ${span(Math.max(...latenciesMs))}, the call to the control plane included`;
  if (Math.max(...latenciesMs) <= SLOW_MS) return ok(id, text, values);
  const remedy = 'slow, but one by one: see the load of the bridge, the line, and the way to the ops port';
  return warning(id, text, remedy, values);
}

/** Why the control plane was of no help. */
export function noEvents(code: string): string {
  if (code === STREAM_ENDED) return 'the stream ended before all were sent; see the check idle';
  if (code === 'CONTROL_UNAUTHORIZED') return 'the control plane does not take the token of --ops-token-file';
  if (code === 'CONTROL_DISABLED') return 'the control plane is off over HTTP: set ops.token';
  if (code === 'CONNECTION_NOT_FOUND')
    return 'the control plane does not know the stream: it has ended, or --ops is of another cluster';
  return `the control plane did not do it (${code})`;
}
