import { type Budget, type Entry, entryBytes, History, Shelf } from '../../src/hub/history.ts';
import { Log } from '../../src/hub/log.ts';

export interface EntryFields {
  readonly offset: number;
  readonly timeMs?: number;
  readonly ttlMs?: number;
  readonly key?: string;
  /** Length of its frame. */
  readonly bytes?: number;
}

export function makeEntry(log: Log, { offset, timeMs = 0, ttlMs, key, bytes = 10 }: EntryFields): Entry {
  return {
    sequence: offset,
    bytes: Buffer.alloc(bytes),
    idLength: 0,
    log,
    offset,
    isNotice: false,
    priority: 0,
    lane: undefined,
    timeMs,
    expiresMs: ttlMs === undefined ? undefined : timeMs + ttlMs,
    key,
  };
}

/** What an entry whose frame has so many bytes is counted as. */
export function countedBytes(frameBytes: number): number {
  return entryBytes(makeEntry(new Log(), { offset: 1, bytes: frameBytes }));
}

/** A budget without an end. */
export class FakeBudget implements Budget {
  bytes = 0;

  taken(bytes: number): void {
    this.bytes += bytes;
  }

  freed(bytes: number): void {
    this.bytes -= bytes;
  }
}

/** A history of a channel of its own, in a log that has got to `offset`. */
export function makeHistory({ size = 100, ageMs = 60_000, bytes = 1_000_000, floor = 0, offset = 0 } = {}) {
  const log = new Log('e');
  log.offset = Math.max(floor, offset);
  log.floor = floor;
  const budget = new FakeBudget();
  const shelf = new Shelf(budget);
  return { log, budget, shelf, history: new History(log, 'a', shelf, { size, ageMs, bytes }) };
}

export const offsetsOf = (entries: readonly Entry[]) => entries.map(({ offset }) => offset);
