import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import { formatCursor, type LogName, type Position } from '../protocol/cursor.ts';
import { type Frame, oneIdEach, withoutId } from '../protocol/frame.ts';
import type { GapReason } from '../reasons.ts';
import type { Backlog } from './backlog.ts';
import type { Channel, Subscriber } from './channel.ts';
import { type Entry, hasEnded } from './history.ts';
import type { Line } from './line.ts';
import type { Log, LogSet, View } from './log.ts';
import type { ArchiveStart } from './source.ts';
import { cursorsOf, lastBeforeHeld } from './view.ts';

/** What a connection is told of a channel as it joins. */
export type Verdict = 'live' | 'recovered' | 'gap' | 'reset';

/** One channel's entry in `sidestream.open`. */
export interface Opened {
  readonly channel: string;
  readonly resume: Verdict;
  /** Why, where it is `gap` or `reset`. */
  readonly reason?: GapReason;
  /** Events that follow now, before what is live. */
  readonly replayed: number;
}

export interface Recovered {
  readonly channels: readonly Opened[];
  /** Where the replay begins: who loses the connection on the way resumes from what it got. */
  readonly cursor: string;
  /** What is replayed. */
  readonly replay: Replay;
  /** By log, the position up to which something is lost that the client is told of; a cursor before it would be told again. */
  readonly lostThrough: ReadonlyMap<LogName, number>;
}

/** Events that one connection is given of what was published before. */
export interface Replay {
  readonly frames: readonly Frame[];
  /** The `id:` that each of them has for this connection, empty for none; absent where it is their own. */
  readonly ids: readonly string[] | undefined;
}

export interface RecoveryOptions {
  readonly clock: Clock;
  readonly line: Line;
  readonly metrics: Metrics;
  /** Most events that one channel gives. */
  readonly maxReplay: number;
  readonly subscriber: Subscriber;
  readonly channels: readonly Channel[];
  readonly logs: LogSet;
  readonly cursor: readonly Position[] | undefined;
}

/** With so many channels what is said of them is a few KiB at most, and may go out beside the response's head. */
const FEW_CHANNELS = 16;
/** Times that the log is read for one connection; memory that moves on faster than that is not caught up with. */
const MAX_ROUNDS = 4;

/** What one channel gives a connection that joins. */
interface Finding {
  readonly verdict: Verdict;
  readonly reason?: GapReason | undefined;
  readonly entries: readonly Entry[];
}

/**
 * One connection's way from its cursor to what is live. What is needed is read first; then, in one turn, what is replayed
 * is cut at the very position from which on everything is delivered live: no gap, no duplicate, and nothing waits meanwhile.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  /** Newest position of a log that is known to exist, where this process has not got so far. */
  readonly #newest = new Map<Log, number>();
  readonly #awaited: Backlog[] = [];
  #rounds = 0;
  #hasQueued = false;
  #isCancelled = false;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /**
   * Calls `ready` when {@link conclude} can be called, perhaps at once; `conclude` is to be called then and there.
   * Calls `failed` where the log cannot be read now: the client should come back with the same cursor.
   */
  start(ready: () => void, failed: (error: unknown) => void): void {
    if (this.#isCancelled) return;
    const { channels } = this.#options;
    const opening = channels.filter((channel) => channel.opening);
    if (opening.length > 0) {
      let left = opening.length;
      for (const channel of opening) {
        channel.whenSettled(() => {
          left -= 1;
          if (left === 0) this.start(ready, failed);
        });
      }
      return;
    }
    const needed = this.#rounds < MAX_ROUNDS ? this.#needed() : [];
    if (needed.length > 0) {
      this.#rounds += 1;
      // Thousands may wait for one and the same read.
      Promise.all(needed).then(
        () => this.#queue(ready, failed),
        (error: unknown) => this.#fail(failed, error),
      );
    } else if (!this.#hasQueued && this.#hasMuchToSay()) this.#queue(ready, failed);
    else {
      ready();
      this.#leave();
    }
  }

  /** The connection is gone: neither callback is called any more, and what is read for nobody else is not read. */
  cancel(): void {
    this.#isCancelled = true;
    this.#leave();
  }

  // Thousands may come back in one moment, each to be sent much: what is live comes between.
  #queue(ready: () => void, failed: (error: unknown) => void): void {
    if (this.#isCancelled) return;
    this.#hasQueued = true;
    this.#options.line.join(() => this.start(ready, failed));
  }

  #fail(failed: (error: unknown) => void, error: unknown): void {
    if (this.#isCancelled) return;
    this.#leave();
    failed(error);
  }

  /** Whether there is anything but what is live; then it is not done in the turn of the request. */
  #hasMuchToSay(): boolean {
    const { channels, cursor, clock } = this.#options;
    if (channels.length > FEW_CHANNELS) return true;
    const nowMs = clock.wall();
    return channels.some((channel) => {
      const { history, source } = channel;
      const position = this.#position(source.log);
      const isReset = cursor !== undefined && position === undefined;
      const start = this.#start(channel, position, nowMs);
      if (start === undefined && !isReset) return false;
      const read = start === undefined ? undefined : channel.backlogOf(start)?.page?.entries.at(-1);
      const newest = Math.max(history.newest?.offset ?? 0, read?.offset ?? 0);
      return newest > (position?.offset ?? 0);
    });
  }

  #leave(): void {
    const nowMs = this.#options.clock.wall();
    for (const backlog of this.#awaited.splice(0)) backlog.leave(nowMs);
  }

  /** What the connection is told and sent. What is published from here on reaches it live. */
  conclude(): Recovered {
    const { channels, metrics, maxReplay } = this.#options;
    const ahead = new Map<Log, number>();
    const opened: Opened[] = [];
    const frames: Frame[] = [];
    const lostThrough = new Map<LogName, number>();
    for (const channel of channels) {
      const found = this.#find(channel, ahead);
      const { resume, reason, entries } = bounded(found, maxReplay, channel);
      channel.metrics.replayed += entries.length;
      metrics.resumed(resume);
      if (resume === 'gap') {
        const { log } = channel.source;
        const through = (entries[0]?.offset ?? log.offset + 1) - 1;
        lostThrough.set(log, Math.max(lostThrough.get(log) ?? 0, through));
      }
      for (const entry of entries) frames.push(entry);
      const entry = { channel: channel.name, resume, replayed: entries.length };
      opened.push(reason === undefined ? entry : { ...entry, reason });
    }
    return { channels: opened, lostThrough, ...this.#arrange(frames, ahead) };
  }

  #needed(): Promise<unknown>[] {
    const nowMs = this.#options.clock.wall();
    const needed: Promise<unknown>[] = [];
    const asked = new Set<Log>();
    for (const channel of this.#options.channels) {
      const { source } = channel;
      if (source.archive === undefined || source.log.epoch === undefined) continue;
      const position = this.#position(source.log);
      if (position !== undefined && position.offset > source.log.offset) {
        if (this.#newest.has(source.log) || asked.has(source.log)) continue;
        asked.add(source.log);
        needed.push(source.archive.newest().then((newest) => this.#newest.set(source.log, newest)));
        continue;
      }
      const start = this.#start(channel, position, nowMs);
      const backlog = start === undefined ? undefined : channel.backlogOf(start);
      if (start === undefined || backlog === undefined) continue;
      if (backlog.covers(start, nowMs)) backlog.touch();
      else {
        backlog.await();
        this.#awaited.push(backlog);
        needed.push(backlog.extend(start));
      }
    }
    return needed;
  }

  /** The position that the client brought of a log; absent where it brought none, or one that never was. */
  #position(log: Log): Position | undefined {
    const position = this.#options.cursor?.find(({ epoch }) => epoch === log.epoch);
    if (position === undefined || position.offset <= log.offset) return position;
    return position.offset > (this.#newest.get(log) ?? Infinity) ? undefined : position;
  }

  /** From where on a channel is to be replayed; absent where it is not. */
  #start(
    { destination: { route } }: Channel,
    position: Position | undefined,
    nowMs: number,
  ): ArchiveStart | undefined {
    if (position !== undefined) return { kind: 'after', offset: position.offset };
    if (route.config.source.kind === 'kv') return { kind: 'values' };
    const { replay } = route.config;
    switch (replay.kind) {
      case 'none':
        return undefined;
      case 'since':
        return { kind: 'since', timeMs: nowMs - replay.ageMs };
      default:
        return replay;
    }
  }

  #find(channel: Channel, ahead: Map<Log, number>): Finding {
    const { cursor, clock } = this.#options;
    const { source, history } = channel;
    const nowMs = clock.wall();
    history.refresh(nowMs);
    const position = this.#position(source.log);
    if (position === undefined) return this.#fresh(channel, nowMs, cursor !== undefined);
    if (position.offset > source.log.offset) {
      if (!this.#newest.has(source.log)) return this.#fresh(channel, nowMs, true);
      ahead.set(source.log, position.offset);
      return { verdict: 'recovered', entries: [] };
    }
    const start: ArchiveStart = { kind: 'after', offset: position.offset };
    const entries = collect(channel, start, nowMs);
    if (source.interrupted) return { verdict: 'gap', reason: 'disconnected', entries };
    const backlog = channel.backlogOf(start);
    const after = Math.min(backlog?.page?.after ?? Infinity, history.evictedThrough);
    if (position.offset >= after) return { verdict: 'recovered', entries };
    return { verdict: 'gap', reason: backlog?.cutOf(start) ?? history.evictedReason, entries };
  }

  /** For who brings no position of this log; `isReset` where one of another log was brought. */
  #fresh(channel: Channel, nowMs: number, isReset: boolean): Finding {
    const start = this.#start(channel, undefined, nowMs);
    const asked = start === undefined ? [] : collect(channel, start, nowMs);
    if (!isReset) return { verdict: 'live', entries: asked };
    const kept = start?.kind === 'values' ? [] : channel.history.after(-1).filter(isWorth(nowMs));
    return { verdict: 'reset', reason: 'epoch', entries: kept.length > asked.length ? kept : asked };
  }

  /** Puts what is replayed of all channels in order, with the cursors that a client may come back with on the way. */
  #arrange(frames: Frame[], ahead: Map<Log, number>): Pick<Recovered, 'cursor' | 'replay'> {
    const { logs, subscriber } = this.#options;
    const view: View = { logs, ahead: ahead.size === 0 ? undefined : ahead };
    subscriber.view = logs.isSingle && view.ahead === undefined ? undefined : view;
    const order = (frame: Frame) => logs.logs.indexOf(frame.log as Log);
    frames.sort((a, b) => order(a) - order(b) || a.offset - b.offset);
    // What lies between the position that was brought and the first frame is for other channels, or its loss is told in
    // the very event that brings the cursor. What is held back is still to come.
    const held = new Map(logs.logs.map((log) => [log, lastBeforeHeld(this.#options.channels, log)]));
    const before = (log: Log): number => {
      const first = frames.find((frame) => frame.log === log);
      const offset = ahead.get(log) ?? (first === undefined ? log.offset : first.offset - 1);
      return Math.min(offset, held.get(log) ?? Infinity);
    };
    const starts = new Map(logs.logs.map((log) => [log, before(log)]));
    const start = (log: Log) => starts.get(log) ?? 0;
    const cursor = formatCursor(logs.logs, start);
    const isPast = (frame: Frame) => frame.offset > (held.get(frame.log as Log) ?? Infinity);
    if (logs.isSingle) {
      const own = oneIdEach(frames).map((frame) => (isPast(frame) ? withoutId(frame) : frame));
      return { cursor, replay: { frames: own, ids: undefined } };
    }
    const ids = cursorsOf(frames, logs, start);
    // Logs follow one another here: from the first event on that is past what is held back, so is every cursor.
    const past = frames.findIndex(isPast);
    return { cursor, replay: { frames, ids: past < 0 ? ids : ids.map((id, i) => (i < past ? id : '')) } };
  }
}

/** What memory and what was read again hold of what `start` asks for, oldest first. */
function collect(channel: Channel, start: ArchiveStart, nowMs: number): Entry[] {
  const { history } = channel;
  const afterOffset = start.kind === 'after' ? start.offset : -1;
  // Memory may reach back further than what was read again of the newest.
  const page = afterOffset >= history.evictedThrough ? undefined : channel.backlogOf(start)?.page;
  const older = page?.entries.filter(({ offset }) => offset > afterOffset) ?? [];
  const kept = [...older, ...history.after(Math.max(afterOffset, page?.through ?? -1))];
  // What is held back will be published, and reaches whoever is there by then.
  const { heldAt } = channel;
  const all = heldAt === Infinity ? kept : kept.filter(({ offset }) => offset < heldAt);
  // A value that has ended does not bring the one before it back.
  if (start.kind === 'values') return newestOfEach(all).filter(isWorth(nowMs));
  const entries = all.filter(isWorth(nowMs));
  switch (start.kind) {
    case 'last':
      return entries.slice(-start.count);
    case 'since':
      return entries.filter((entry) => entry.timeMs >= start.timeMs);
    default:
      return entries;
  }
}

/** Whether an entry has not ended. */
function isWorth(nowMs: number): (entry: Entry) => boolean {
  return (entry) => !hasEnded(entry, nowMs);
}

function newestOfEach(entries: readonly Entry[]): Entry[] {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  return entries.filter((entry) => byKey.get(entry.key) === entry);
}

/** Holds a finding to the limit: the newest are kept, and who is owed the others is told. */
function bounded(
  { verdict, reason, entries }: Finding,
  maxReplay: number,
  channel: Channel,
): { resume: Verdict; reason?: GapReason | undefined; entries: readonly Entry[] } {
  const isState = channel.destination.route.config.source.kind === 'kv';
  const values: ArchiveStart = { kind: 'values' };
  const cut = isState && verdict === 'live' ? channel.backlogOf(values)?.cutOf(values) : undefined;
  if (entries.length <= maxReplay && cut === undefined) return { resume: verdict, reason, entries };
  const isOwed = verdict === 'recovered' || isState;
  return {
    resume: isOwed && verdict !== 'reset' ? 'gap' : verdict,
    reason: isOwed ? (cut ?? 'too-many') : reason,
    entries: entries.slice(-maxReplay),
  };
}
