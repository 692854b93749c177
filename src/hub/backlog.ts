import type { Clock } from '../clock.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import { type Entry, entryBytes, type History } from './history.ts';
import type { Reader } from './reader.ts';
import type { Droppable, Retention } from './retention.ts';
import type { Archive, ArchiveStart, Publication } from './source.ts';

export interface BacklogOptions {
  readonly clock: Clock;
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
  /** Why that is not as far back as `start` asked, where it is not. */
  readonly cut: GapReason | undefined;
  readonly start: ArchiveStart;
  /** Until when it is good, by the clock that only grows. */
  readonly staleMs: number;
  readonly epoch: string | undefined;
  readonly bytes: number;
}

/** Payload bytes read at once for one channel, at least. */
const MIN_READ_BYTES = 1024 * 1024;
/**
 * How long a page is good that may change without a word, in milliseconds: current values, since nobody says what a bucket drops
 * by its `ttl` or is purged of, and what may not be read, since it may be granted any moment. A channel is read so often at most.
 */
const BRIEF_MS = 5000;

/**
 * What memory no longer holds of one channel, read again from the log and kept for a while: those who return after a
 * redeploy come with much the same cursors, and one read serves them all. One for each kind of start: what was read for who
 * joins says nothing of what the log lost, which who comes back is owed.
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
    const { history, clock } = this.#options;
    if (page === undefined || page.epoch !== history.log.epoch) return undefined;
    return page.through >= history.evictedThrough && clock.now() < page.staleMs ? page : undefined;
  }

  /** Whether memory and what was read again go back as far as `start` asks, or as far as there is anything. */
  covers(start: ArchiveStart, nowMs: number): boolean {
    const { history } = this.#options;
    history.refresh(nowMs);
    const page = this.page;
    if (start.kind === 'values') return page !== undefined;
    if (history.evictedThrough === 0 || (page !== undefined && reaches(page.start, start))) return true;
    switch (start.kind) {
      case 'after':
        return start.offset >= history.evictedThrough;
      case 'last':
        return history.size >= start.count;
      case 'since':
        return start.timeMs > history.evictedMs;
      case 'all':
        return false;
    }
  }

  /** Why what was read is not all that `start` asks for, where it is not: what was cut off for who asked for more does not concern it. */
  cutOf(start: ArchiveStart): GapReason | undefined {
    const { page } = this;
    return page !== undefined && reaches(page.start, start) ? page.cut : undefined;
  }

  /** Somebody waits for it, to join it to memory. To be followed by {@link leave}, once. */
  await(): void {
    this.#awaited += 1;
  }

  leave(nowMs: number): void {
    this.#awaited -= 1;
    if (this.#awaited === 0) this.#options.history.release(this, nowMs);
  }

  /**
   * Reads so that {@link covers} comes true; joins a read that is under way. Rejects where the log cannot be read now. Nothing is
   * read where nobody waits any more when it is its turn.
   */
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
      const isWanted = () => this.#awaited > 0;
      await this.#options.reader.read(isWanted, async () => {
        const start = this.#wanted ?? { kind: 'all' };
        this.#wanted = undefined;
        await this.#readFrom(start);
      });
    } finally {
      this.#reading = undefined;
    }
  }

  async #readFrom(start: ArchiveStart): Promise<void> {
    const { archive, destination, history, limit, encode, retention, clock } = this.#options;
    const { log } = history;
    const { epoch } = log;
    const maxBytes = Math.max(destination.route.config.history.bytes, MIN_READ_BYTES);
    // What memory has as well is read, too: by the time the answer is here memory may have moved on.
    const through = log.offset;
    if (this.#awaited > 0 && !history.isHeldBy(this)) history.hold(this, through);
    const read = await archive.read(destination, { from: start, through, limit, maxBytes });
    this.drop();
    if (this.#isClosed || log.epoch !== epoch) return;
    const entries = read.publications.map(({ offset, publication }) => encode(publication, offset));
    const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    const { after, cut } = read;
    const isBrief = start.kind === 'values' || cut === 'unavailable';
    const staleMs = isBrief ? clock.now() + BRIEF_MS : Infinity;
    this.#page = { entries, after, through, cut, start, staleMs, epoch, bytes };
    if (this.#awaited > 0) history.hold(this, through);
    retention.use(this, bytes);
  }
}

/** Whether `start` goes back at least as far as `other`. */
function reaches(start: ArchiveStart, other: ArchiveStart): boolean {
  if (start.kind === 'after') return other.kind === 'after' && start.offset <= other.offset;
  if (start.kind === 'last') return other.kind === 'last' && start.count >= other.count;
  if (start.kind === 'since') return other.kind === 'since' && start.timeMs <= other.timeMs;
  return start.kind === other.kind;
}

function further(a: ArchiveStart, b: ArchiveStart): ArchiveStart {
  return reaches(a, b) ? a : b;
}
