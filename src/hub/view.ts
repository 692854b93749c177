import { type Batch, makeBatch } from '../protocol/batch.ts';
import { formatCursor, type Position } from '../protocol/cursor.ts';
import { type Frame, hasPosition, isOneOf, withOtherId } from '../protocol/frame.ts';
import type { Channel, Subscriber } from './channel.ts';
import type { Log, LogSet, View } from './log.ts';
import type { Positions } from './sealed.ts';

/**
 * The cursor over several logs as of each of the frames; empty for all but the last of those at one position, so that who has
 * less keeps the cursor of before. Not the position of before: where the log began anew, that one is void.
 */
export function cursorsOf(frames: readonly Frame[], { logs }: LogSet, before: Positions): string[] {
  const at = logs.map(before);
  return frames.map((frame, i) => {
    if (!hasPosition(frame) || isOneOf(frame, frames[i + 1])) return '';
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
  const ahead = new Map(view.ahead);
  ahead.delete(log);
  return viewOf(view.logs, ahead, view.left);
}

/** How the logs are seen from now on by who saw others until now, and may be further in some than this process. */
export function viewOver(logs: LogSet, before: View | undefined): View | undefined {
  const ahead = new Map<Log, number>();
  const left = new Map<Log, Position>();
  for (const log of new Set([...(before?.ahead?.keys() ?? []), ...(before?.left?.keys() ?? [])])) {
    const offset = aheadIn(before, log);
    if (offset === undefined) continue;
    if (logs.logs.includes(log)) ahead.set(log, offset);
    else if (log.epoch !== undefined) left.set(log, { epoch: log.epoch, offset });
  }
  return viewOf(logs, ahead, left);
}

/** How far the client is in a log, where that is further than this process, or was when it was last on a channel of it. */
export function aheadIn(view: View | undefined, log: Log): number | undefined {
  const offset = view?.ahead?.get(log);
  if (offset !== undefined) return offset;
  const left = view?.left?.get(log);
  // Where the log began anew, or has got there, it is not.
  return left !== undefined && left.epoch === log.epoch && left.offset > log.flushed
    ? left.offset
    : undefined;
}

function viewOf(logs: LogSet, ahead: View['ahead'], left: View['left']): View | undefined {
  const hasAhead = ahead !== undefined && ahead.size > 0;
  const hasLeft = left !== undefined && left.size > 0;
  if (logs.isSingle && !hasAhead && !hasLeft) return undefined;
  return { logs, ahead: hasAhead ? ahead : undefined, ...(hasLeft && { left }) };
}

/** Batches as those see them who read several logs. Made for the first, shared with the rest. */
export class Views {
  readonly #made = new Map<LogSet, { from: Batch; made: Batch | undefined }>();

  /** What of a batch a subscriber is to be given. `before`: where the logs were before any of the batch, all that came until then having been delivered. */
  seen(subscriber: Subscriber, batch: Batch, before: Positions): Batch | undefined {
    const { view } = subscriber;
    if (view === undefined) return batch;
    const seen =
      view.ahead === undefined ? this.#shared(view.logs, batch, before) : through(view, batch, before);
    if (view.ahead !== undefined && hasCaughtUp(view, subscriber)) {
      subscriber.view = viewOf(view.logs, undefined, view.left);
    }
    return seen;
  }

  /** Forgets what was made. */
  clear(): void {
    if (this.#made.size > 0) this.#made.clear();
  }

  #shared(logs: LogSet, batch: Batch, before: Positions): Batch | undefined {
    const latest = this.#made.get(logs);
    if (latest?.from === batch) return latest.made;
    const made = through({ logs, ahead: undefined }, batch, before);
    this.#made.set(logs, { from: batch, made });
    return made;
  }
}

/** What of a batch is for who has such a view of the logs. */
function through(view: View, batch: Batch, before: Positions): Batch | undefined {
  const { logs, ahead } = view;
  if (ahead === undefined) return makeBatch(recast(batch.frames, logs, before));
  const isNew = ({ isNotice, offset, log }: Frame) => isNotice || offset > (ahead.get(log as Log) ?? -1);
  const frames = batch.frames.filter(isNew);
  if (frames.length === 0) return undefined;
  return makeBatch(recast(frames, logs, (log) => Math.max(before(log), ahead.get(log) ?? 0)));
}

/** Whether each log has reached what the client brought, and the client has been given it. */
function hasCaughtUp({ ahead }: View, { channels }: Subscriber): boolean {
  for (const [log, offset] of ahead ?? [])
    if (Math.min(log.flushed, lastBeforeHeld(channels, log)) < offset) return false;
  return true;
}

/** The newest position of a log before what is held back of these channels. */
export function lastBeforeHeld(channels: readonly Channel[], log: Log): number {
  let limit = Infinity;
  for (const { source, heldAt } of channels) if (source.log === log) limit = Math.min(limit, heldAt - 1);
  return limit;
}
