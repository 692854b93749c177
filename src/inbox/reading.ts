import type { Clock } from '../clock.ts';
import { isShaped } from '../hub/shaper.ts';
import type { Publication, Source } from '../hub/source.ts';
import type { Destination } from '../routing/router.ts';
import type { InboxMetrics } from './metrics.ts';
import { InboxRefusal } from './refusal.ts';
import { isRead, type ReadState } from './state.ts';
import { Turns } from './turns.ts';
import { MAX_COUNTED, Unread, type Waiting } from './unread.ts';

export interface ReadingOptions {
  readonly clock: Clock;
  readonly metrics: InboxMetrics;
}

/** Channels that are read at a time; the others wait for their turn, and so does who wants more of the same one. */
const CONCURRENT_READS = 16;
/** Most of the payloads of one channel that are held at a time, in bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Times that the stream is read for one count: further back where the newest are large, or read already. */
const MAX_PAGES = 4;

/** How long who waited for their turn may be given what was read in the turn before, in milliseconds. */
const PAGE_GOOD_MS = 1_000;

/** What a channel has that may be unread, as of one moment. */
export interface Counted {
  readonly unread: Unread;
  /** Up to which position of the log it is counted. */
  readonly through: number;
}

/** One message of a channel. */
export interface Kept {
  readonly offset: number;
  readonly publication: Publication;
}

/** One reading of a channel's log. */
export interface Page {
  /** In order of offset, the newest {@link MAX_COUNTED} of what was asked for. */
  readonly kept: readonly Kept[];
  /** What lies up to here was too much to be read; 0: nothing. */
  readonly missedThrough: number;
  /** Whatever the channel had after this position is in `kept`: what was there before may be gone. */
  readonly after: number;
}

/** Finds what waits in a channel's log: in memory where that goes back far enough, else in the stream. */
export class Reading {
  readonly #options: ReadingOptions;
  readonly #turns = new Turns(CONCURRENT_READS, (channel) => this.#pages.delete(channel));
  /** What was read last of channels whose turn it is: for one who asks a hundred times at once, the stream is read once. */
  readonly #pages = new Map<string, { readonly key: string; readonly page: Page; readonly readMs: number }>();

  constructor(options: ReadingOptions) {
    this.#options = options;
  }

  /** Runs a piece of work on a channel when it is its turn. Everything else here that reads the stream belongs into one. */
  run<T>({ channel }: Destination, work: () => Promise<T>): Promise<T> {
    return this.#turns.run(channel, work);
  }

  /** The newest position that there is. @throws InboxRefusal INBOX_UNAVAILABLE */
  async newest({ archive, log }: Source): Promise<number> {
    const newest = await this.#try(async () => archive?.newest());
    return Math.max(newest ?? 0, log.offset);
  }

  /** The same, and surely as the stream itself says now, or further: not what is left to go by where it does not. @throws InboxRefusal INBOX_UNAVAILABLE */
  async end(destination: Destination, source: Source): Promise<number> {
    const newest = await this.newest(source);
    const range = { from: { kind: 'last', count: 1 }, through: newest, limit: 1, maxBytes: 1 } as const;
    const read = await this.#try(async () => source.archive?.read(destination, range));
    if (read === undefined || read.cut === 'unavailable') throw unavailable();
    return newest;
  }

  /** When what is at a position was published, in milliseconds since the Unix epoch, if that is to be had. @throws InboxRefusal INBOX_UNAVAILABLE */
  async timeOf({ archive }: Source, offset: number): Promise<number | undefined> {
    return this.#try(async () => archive?.timeOf?.(offset));
  }

  /** `mayRemember`: whether what memory has will do. @throws InboxRefusal INBOX_UNAVAILABLE */
  async count(
    destination: Destination,
    source: Source,
    state: ReadState,
    mayRemember = true,
  ): Promise<Counted> {
    const through = await this.newest(source);
    const unread = new Unread(state);
    const inMemory = mayRemember ? fromMemory(destination, source, state.through, through) : undefined;
    if (inMemory !== undefined) {
      this.#options.metrics.counts.memory += 1;
      // Not what memory has itself: that is a frame, and must go when memory lets go of it.
      for (const { offset, expiresMs } of inMemory) unread.add({ offset, expiresMs });
      unread.expire(this.#options.clock.wall());
    } else {
      this.#options.metrics.counts.stream += 1;
      const waiting: Waiting[] = [];
      const missedThrough = await this.unread(destination, source, { state, through }, (kept) => {
        waiting.unshift(
          ...kept.map(({ offset, publication }) => ({ offset, expiresMs: endOf(publication) })),
        );
      });
      for (const message of waiting) unread.add(message);
      unread.uncounted(missedThrough);
    }
    return { unread, through };
  }

  /**
   * Shows what is unread up to a position, the newest {@link MAX_COUNTED} of it: in parts, each in order, the newest part first. Gives up
   * to where it was not looked at; 0: all was.
   * @throws InboxRefusal INBOX_UNAVAILABLE
   */
  async unread(
    destination: Destination,
    source: Source,
    { state, through }: { readonly state: ReadState; readonly through: number },
    show: (kept: readonly Kept[]) => void,
  ): Promise<number> {
    const nowMs = this.#options.clock.wall();
    let [end, room] = [through, MAX_COUNTED];
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const { kept, missedThrough } = await this.page(destination, source, state.through, end);
      const unread = kept.filter(
        ({ offset, publication }) => !isRead(state, offset) && (endOf(publication) ?? Infinity) > nowMs,
      );
      const surplus = unread.splice(0, Math.max(unread.length - room, 0)).at(-1);
      show(unread);
      if (surplus !== undefined) return surplus.offset;
      end = missedThrough;
      room -= unread.length;
      if (end <= state.through || room === 0) break;
    }
    return end;
  }

  /** What there is after one position up to another. @throws InboxRefusal INBOX_UNAVAILABLE */
  async page(
    destination: Destination,
    { archive, log }: Source,
    after: number,
    through: number,
  ): Promise<Page> {
    if (through <= after) return { kept: [], missedThrough: 0, after };
    const key = `${log.epoch} ${after} ${through}`;
    const last = this.#pages.get(destination.channel);
    const readMs = this.#options.clock.now();
    if (last?.key === key && readMs - last.readMs < PAGE_GOOD_MS) return last.page;
    const from = { kind: 'after', offset: after } as const;
    const range = { from, through, limit: MAX_COUNTED, maxBytes: MAX_BYTES };
    const read = await this.#try(async () => archive?.read(destination, range));
    if (read === undefined || read.cut === 'unavailable') throw unavailable();
    const page = { kept: read.publications, missedThrough: read.omittedThrough ?? 0, after: read.after };
    this.#pages.set(destination.channel, { key, page, readMs });
    return page;
  }

  async #try<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      this.#options.metrics.failures += 1;
      throw unavailable(error);
    }
  }
}

/** When a message is no longer worth anything, in milliseconds since the Unix epoch. */
export function endOf({ timeMs, ttlMs }: Publication): number | undefined {
  return timeMs === undefined || ttlMs === undefined ? undefined : timeMs + ttlMs;
}

/** Memory has what came for the channel unless the route lets go of some of it, or it came before memory goes back. */
function fromMemory(
  { route, channel }: Destination,
  { log }: Source,
  after: number,
  through: number,
): readonly Waiting[] | undefined {
  const history = log.histories.get(channel);
  if (history === undefined || route.config.history.size === 0 || isShaped(route.config)) return undefined;
  return log.offset >= through && history.evictedThrough <= after ? history.after(after) : undefined;
}

function unavailable(cause?: unknown): InboxRefusal {
  return new InboxRefusal('INBOX_UNAVAILABLE', 'the stream cannot be read now; try again in a moment', {
    cause,
  });
}
