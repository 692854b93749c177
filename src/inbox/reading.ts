import type { Clock } from '../clock.ts';
import { isShaped } from '../hub/shaper.ts';
import type { Publication, Source } from '../hub/source.ts';
import { Queue } from '../queue.ts';
import type { Destination } from '../routing/router.ts';
import type { InboxMetrics } from './metrics.ts';
import { InboxRefusal } from './refusal.ts';
import type { ReadState } from './state.ts';
import { MAX_COUNTED, Unread, type Waiting } from './unread.ts';

export interface ReadingOptions {
  readonly clock: Clock;
  readonly metrics: InboxMetrics;
}

/** Channels that are read at a time; the others wait for their turn. */
const CONCURRENT_READS = 16;
/** Most of the payloads of one channel that are read at a time, in bytes. */
const MAX_BYTES = 4 * 1024 * 1024;

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

/** Finds what waits in a channel's log: in memory where that goes back far enough, else in the stream. */
export class Reading {
  readonly #options: ReadingOptions;
  readonly #queue = new Queue(CONCURRENT_READS);

  constructor(options: ReadingOptions) {
    this.#options = options;
  }

  /** Runs a piece of work when it is its turn. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run(work);
  }

  /** The newest position that there is. @throws InboxRefusal INBOX_UNAVAILABLE */
  async newest({ archive, log }: Source): Promise<number> {
    const newest = await this.#try(async () => archive?.newest());
    return Math.max(newest ?? 0, log.offset);
  }

  /** @throws InboxRefusal INBOX_UNAVAILABLE */
  async count(destination: Destination, source: Source, state: ReadState): Promise<Counted> {
    const through = await this.newest(source);
    const unread = new Unread(state);
    const inMemory = fromMemory(destination, source, state.through, through);
    if (inMemory !== undefined) {
      this.#options.metrics.counts.memory += 1;
      for (const message of inMemory) unread.add(message);
    } else {
      this.#options.metrics.counts.stream += 1;
      const { kept, missedThrough } = await this.page(destination, source, state.through, through);
      for (const { offset, publication } of kept) unread.add({ offset, expiresMs: endOf(publication) });
      unread.uncounted(missedThrough);
    }
    unread.expire(this.#options.clock.wall());
    return { unread, through };
  }

  /**
   * What there is after one position up to another, the newest {@link MAX_COUNTED} of it; what lies up to `missedThrough`, where
   * that is not 0, was too much.
   * @throws InboxRefusal INBOX_UNAVAILABLE
   */
  async page(
    destination: Destination,
    { archive }: Source,
    after: number,
    through: number,
  ): Promise<{ readonly kept: readonly Kept[]; readonly missedThrough: number }> {
    const from = { kind: 'after', offset: after } as const;
    const range = { from, through, limit: MAX_COUNTED, maxBytes: MAX_BYTES };
    if (through <= after) return { kept: [], missedThrough: 0 };
    const page = await this.#try(async () => archive?.read(destination, range));
    if (page === undefined || page.cut === 'unavailable') throw unavailable();
    return { kept: page.publications, missedThrough: page.cut === 'too-many' ? page.after : 0 };
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
