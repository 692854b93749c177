import type { GapReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import { type Entry, entryBytes, type History } from './history.ts';
import type { Reader } from './reader.ts';
import type { Droppable, Retention } from './retention.ts';
import type { Archive, ArchiveStart, Publication } from './source.ts';

export interface BacklogOptions {
  readonly retention: Retention;
  readonly reader: Reader;
  readonly archive: Archive;
  readonly destination: Destination;
  readonly history: History;
  /** At most so many publications are read. */
  readonly limit: number;
  encode(publication: Publication, offset: number): Entry;
}

/** What was read again, in order of position. */
interface Page {
  readonly entries: readonly Entry[];
  /** Complete after this position… */
  readonly after: number;
  /** …and up to this one. */
  readonly through: number;
  readonly cut: GapReason | undefined;
  readonly start: ArchiveStart;
  readonly epoch: string | undefined;
  readonly bytes: number;
}

/** Payload bytes read at once for one channel, at least. */
const MIN_READ_BYTES = 1024 * 1024;

/**
 * What memory no longer holds of one channel, read again from the log and kept for a while: those who return after a
 * redeploy come with much the same cursors, and one read serves them all.
 */
export class Backlog implements Droppable {
  readonly #options: BacklogOptions;
  #page: Page | undefined;
  /** The read under way. */
  #reading: Promise<void> | undefined;
  /** What is to be read, gathered from all who ask until it begins. */
  #wanted: ArchiveStart | undefined;
  #isClosed = false;
  /** Those who wait for it. */
  #awaited = 0;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#page?.bytes ?? 0;
  }

  /** What joins on to memory without a hole, if anything does. */
  get page(): Page | undefined {
    const page = this.#page;
    const { log, evictedThrough } = this.#options.history;
    return page?.epoch === log.epoch && (page?.through ?? 0) >= evictedThrough ? page : undefined;
  }

  /** Whether memory and what was read again go back as far as `start` asks, or as far as there is anything. */
  covers(start: ArchiveStart, nowMs: number): boolean {
    const { history } = this.#options;
    history.refresh(nowMs);
    const page = this.page;
    const after = Math.min(page?.after ?? Infinity, history.evictedThrough);
    if (start.kind === 'values') return page?.start.kind === 'values';
    if (after === 0 || page?.cut !== undefined) return true;
    switch (start.kind) {
      case 'after':
        return start.offset >= after;
      case 'last':
        return (page?.entries.length ?? history.size) >= start.count || reaches(page, start);
      case 'since':
        return start.timeMs > history.evictedMs || isOlder(page?.entries[0], start) || reaches(page, start);
      case 'all':
        return false;
    }
  }

  /** Somebody is going to join it to memory. To be followed by {@link leave}, once. */
  await(): void {
    this.#awaited += 1;
  }

  leave(nowMs: number): void {
    this.#awaited -= 1;
    if (this.#awaited === 0) this.#options.history.release(nowMs);
  }

  /** Reads so that {@link covers} comes true; joins a read that is under way. Rejects where the log cannot be read now. */
  async extend(start: ArchiveStart): Promise<void> {
    if (this.#reading === undefined) {
      this.#wanted = start;
      this.#reading = this.#read();
    } else if (this.#wanted !== undefined) this.#wanted = further(this.#wanted, start);
    // Otherwise it has begun, and may do all the same: who asks looks again.
    await this.#reading;
  }

  drop(): void {
    this.#options.retention.release(this);
    this.#page = undefined;
  }

  /** Lets go of everything; a read that is under way is for nobody. */
  close(): void {
    this.#isClosed = true;
    this.drop();
  }

  /** Says that somebody has just used it. */
  touch(): void {
    if (this.#page !== undefined) this.#options.retention.use(this, 0);
  }

  async #read(): Promise<void> {
    try {
      // Those of this turn first: of a storm's cursors the oldest is read from, once.
      await new Promise<void>((resolve) => setImmediate(resolve));
      await this.#options.reader.read(async () => {
        const start = this.#wanted ?? { kind: 'all' };
        this.#wanted = undefined;
        await this.#readFrom(start);
      });
    } finally {
      this.#reading = undefined;
    }
  }

  async #readFrom(start: ArchiveStart): Promise<void> {
    const { archive, destination, history, limit, encode, retention } = this.#options;
    const { log } = history;
    const { epoch } = log;
    const maxBytes = Math.max(destination.route.config.history.bytes, MIN_READ_BYTES);
    // What memory has as well is read, too: by the time the answer is here memory may have moved on.
    const through = log.offset;
    if (this.#awaited > 0 && !history.isHolding) history.holdAfter(through);
    const read = await archive.read(destination, { from: start, through, limit, maxBytes });
    this.drop();
    if (this.#isClosed || log.epoch !== epoch) return;
    const entries = read.publications.map(({ offset, publication }) => encode(publication, offset));
    const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    this.#page = { entries, after: read.after, through, cut: read.cut, start, epoch, bytes };
    if (this.#awaited > 0) history.holdAfter(through);
    retention.use(this, bytes);
  }
}

/** Whether there is an entry from before the moment asked for, so that none since is missing. */
function isOlder(entry: Entry | undefined, { timeMs }: Extract<ArchiveStart, { kind: 'since' }>): boolean {
  return entry !== undefined && entry.timeMs < timeMs;
}

function reaches(page: Page | undefined, start: ArchiveStart): boolean {
  return page !== undefined && page.start.kind === start.kind && further(page.start, start) === page.start;
}

/** The one of two that reaches back further, where that can be told; else the later: whoever is not served asks again. */
function further(a: ArchiveStart, b: ArchiveStart): ArchiveStart {
  if (a.kind === 'after' && b.kind === 'after') return a.offset < b.offset ? a : b;
  if (a.kind === 'last' && b.kind === 'last') return a.count > b.count ? a : b;
  if (a.kind === 'since' && b.kind === 'since') return a.timeMs < b.timeMs ? a : b;
  return a.kind === 'all' ? a : b;
}
