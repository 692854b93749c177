import { formatCursor, type LogName, type Position } from '../protocol/cursor.ts';
import type { Chronicle, History } from './history.ts';

/**
 * A log: publications in one order, each with a position. What one process saw of its core routes is one (the hub counts);
 * a JetStream stream is one (offset = stream sequence), the same on every replica.
 */
export class Log implements LogName, Chronicle {
  /** Tells this log from any other, and from its own past once it began anew; absent until it is known. */
  epoch: string | undefined;
  /** The newest position that was passed on; everything up to it was given to whom it concerns. */
  offset = 0;
  /** As of the end of the last turn: what connections have been given, or are about to be. */
  flushed = 0;
  /** What memory keeps, by channel. */
  readonly histories = new Map<string, History>();
  /** Memory holds what came after this position, but for what {@link History.evictedThrough} says; 0: everything. */
  floor = 0;
  /** Milliseconds since the Unix epoch: what was published later came after `floor`. */
  floorMs = 0;
  /** Called before the log begins anew, when what waits still has positions of before. The hub's to set. */
  onBegin: () => void = () => undefined;

  constructor(epoch?: string) {
    this.epoch = epoch;
  }

  /** The log begins, or begins anew: positions and what memory keeps of before are void. `nowMs` since the Unix epoch. */
  begin(epoch: string | undefined, offset: number, nowMs: number): void {
    this.onBegin();
    for (const [channel, history] of this.histories) {
      history.restart(offset, nowMs);
      if (!history.held) this.histories.delete(channel);
    }
    this.epoch = epoch;
    this.offset = offset;
    this.flushed = offset;
    this.floor = offset;
    this.floorMs = nowMs;
  }
}

/** The logs that connections read together, and the cursor over them. Shared by all connections on the same logs. */
export class LogSet {
  readonly logs: readonly Log[];

  constructor(logs: readonly Log[]) {
    this.logs = logs;
  }

  /** Whether each frame's own `id:` is the whole cursor. */
  get isSingle(): boolean {
    return this.logs.length < 2;
  }
}

/** How one connection sees its logs. */
export interface View {
  readonly logs: LogSet;
  /**
   * Positions that the client brought and this process has not reached yet: another replica was ahead. What comes up to
   * them the client has.
   */
  ahead: ReadonlyMap<Log, number> | undefined;
  /** The same of logs of which it was taken off all channels: put on others of theirs, it must not go back behind what it has. */
  left?: ReadonlyMap<Log, Position>;
}

/** The cursor of what was flushed last, up to what `limit` says of a log; empty while no log is known. */
export function viewCursor({ logs: { logs }, ahead }: View, limit: (log: Log) => number): string {
  return formatCursor(logs, (log) => Math.min(Math.max(log.flushed, ahead?.get(log) ?? 0), limit(log)));
}
