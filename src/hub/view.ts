import { formatCursor } from '../protocol/cursor.ts';
import { type Batch, type Frame, isOneOf, makeBatch, withOtherId } from '../protocol/frame.ts';
import type { Log, LogSet, View } from './log.ts';
import type { Subscriber } from './subscriber.ts';

/** Positions before a run of frames: where each log stood. */
export type Positions = (log: Log) => number;

/**
 * The cursor over several logs as of each of the frames; empty for all but the last of those at one position, so that who has
 * less keeps the cursor of before. Not the position of before: where the log began anew, that one is void.
 */
export function cursorsOf(frames: readonly Frame[], { logs }: LogSet, before: Positions): string[] {
  const at = logs.map(before);
  return frames.map((frame, i) => {
    if (isOneOf(frame, frames[i + 1])) return '';
    const index = logs.indexOf(frame.log as Log);
    at[index] = Math.max(at[index] ?? 0, frame.offset);
    return formatCursor(logs, (log) => at[logs.indexOf(log)] ?? 0);
  });
}

/** The frames with those cursors for an `id:`. */
export function recast(frames: readonly Frame[], logs: LogSet, before: Positions): Frame[] {
  const ids = cursorsOf(frames, logs, before);
  return frames.map((frame, i) => withOtherId(frame, ids[i] ?? ''));
}

/** A view in which the client is no further in `log` than this process. */
export function withoutAhead(view: View | undefined, log: Log): View | undefined {
  if (!view?.ahead?.has(log)) return view;
  const { logs } = view;
  const ahead = new Map(view.ahead);
  ahead.delete(log);
  if (ahead.size > 0) return { logs, ahead };
  return logs.isSingle ? undefined : { logs, ahead: undefined };
}

/** One turn's batches as those see them who read several logs. Made for the first, shared with the rest. */
export class Views {
  readonly #made = new Map<LogSet, { from: Batch; made: Batch | undefined }>();

  deliver(subscriber: Subscriber, batch: Batch): void {
    const { view } = subscriber;
    if (view === undefined) return;
    const seen = view.ahead === undefined ? this.#shared(view.logs, batch) : through(view, batch);
    if (seen !== undefined) subscriber.deliver(seen);
    if (view.ahead === undefined || !hasCaughtUp(view)) return;
    subscriber.view = view.logs.isSingle ? undefined : { logs: view.logs, ahead: undefined };
  }

  #shared(logs: LogSet, batch: Batch): Batch | undefined {
    const latest = this.#made.get(logs);
    if (latest?.from === batch) return latest.made;
    const made = through({ logs, ahead: undefined }, batch);
    this.#made.set(logs, { from: batch, made });
    return made;
  }
}

/** What of a batch is for who has such a view of the logs; before it is flushed. */
function through(view: View, batch: Batch): Batch | undefined {
  const { logs, ahead } = view;
  if (ahead === undefined) return makeBatch(recast(batch.frames, logs, (log) => log.flushed));
  const isNew = ({ isNotice, offset, log }: Frame) => isNotice || offset > (ahead.get(log as Log) ?? -1);
  const frames = batch.frames.filter(isNew);
  if (frames.length === 0) return undefined;
  return makeBatch(recast(frames, logs, (log) => Math.max(log.flushed, ahead.get(log) ?? 0)));
}

/** Whether each log has reached what the client brought. */
function hasCaughtUp({ ahead }: View): boolean {
  for (const [log, offset] of ahead ?? []) if (log.offset < offset) return false;
  return true;
}
