import type { Clock } from '../clock.ts';
import type { Source } from '../hub/source.ts';
import { Complaints, type Logger } from '../log.ts';
import type { Destination } from '../routing/router.ts';
import type { Reading } from './reading.ts';
import { InboxRefusal } from './refusal.ts';
import { covers, merge, nothingRead, type ReadState, reachOf } from './state.ts';
import type { ReadStore, Stored } from './store.ts';

export interface MarksOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly reading: Pick<Reading, 'end' | 'timeOf'>;
  readonly store: {
    get(channel: string): Promise<Pick<Stored, 'state' | 'writtenMs'>>;
    change: ReadStore['change'];
  };
}

/** What is read of a channel. */
export interface Known {
  /** Of the log as it is. */
  readonly state: ReadState;
  /** Whether what was known before is not true: it was of a stream that was longer. */
  readonly isVoid: boolean;
}

/** A leader that was just elected may not have caught up with its own log: so long, in milliseconds, its stream is not taken for shorter than it was. */
const CATCH_UP_MS = 3_000;
/** How far the clocks of two servers may be apart, in milliseconds. */
const MAX_SKEW_MS = 60_000;

/**
 * What was read of channels, checked against their stream. One that was restored from a backup has the creation time that it had, so an instance
 * that is started only then comes to the epoch that it had: what was read beyond the stream's end is of messages that are gone, and the next
 * to get their places would be taken for read. It is void, all of it, and is so in the bucket at once: else it would count again as soon as the stream is as long as it was.
 * Where that is so already, the last message that was read is younger than its being read.
 */
export class Marks {
  readonly #options: MarksOptions;
  readonly #complaints: Complaints;
  /** Since when a stream has been found to be shorter than something that was read, by the clock that only grows. */
  readonly #shortSinceMs = new WeakMap<Source, number>();

  constructor(options: MarksOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
  }

  /** `remembered`: what is known here besides what is stored. @throws InboxRefusal INBOX_UNAVAILABLE */
  async get(destination: Destination, source: Source, remembered?: ReadState): Promise<Known> {
    const { state: stored, writtenMs } = await this.#options.store.get(destination.channel);
    const { epoch } = source.log;
    if (epoch === undefined) throw unavailable('the stream is not followed yet');
    const none = nothingRead(epoch);
    const ofStored = merge(stored ?? none, none);
    const all = merge(merge(remembered ?? none, none), ofStored);
    // Only now that it is known what was read: the stream has had all of that by then, wherever it was read.
    const end = await this.#shortEnd(destination, source, all);
    // What is remembered of this log was stored when that had been checked.
    const isChecked = remembered?.epoch === epoch;
    const isYounger =
      end === undefined && !isChecked && (await this.#isReplaced(source, reachOf(ofStored), writtenMs));
    if (source.log.epoch !== epoch) throw unavailable('the stream was made anew a moment ago');
    if (end === undefined && !isYounger) return { state: all, isVoid: false };
    if (end !== undefined && reachOf(ofStored) <= end) return { state: ofStored, isVoid: true };
    return { state: await this.#annul(destination, ofStored, end), isVoid: true };
  }

  /** Whether another message is at a position than was when it was written that it is read. */
  async #isReplaced(source: Source, reach: number, writtenMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    if (reach === 0) return false;
    const timeMs = await this.#options.reading.timeOf(source, reach);
    return timeMs !== undefined && timeMs > writtenMs + MAX_SKEW_MS;
  }

  /** Where the stream ends, if that is before something that was read. */
  async #shortEnd(destination: Destination, source: Source, state: ReadState): Promise<number | undefined> {
    const reach = reachOf(state);
    if (reach <= source.log.offset) return undefined;
    const end = await this.#options.reading.end(destination, source);
    if (end >= reach) {
      this.#shortSinceMs.delete(source);
      return undefined;
    }
    const nowMs = this.#options.clock.now();
    const sinceMs = this.#shortSinceMs.get(source) ?? nowMs;
    this.#shortSinceMs.set(source, sinceMs);
    if (nowMs - sinceMs < CATCH_UP_MS) throw unavailable('the stream ends before what was read');
    return end;
  }

  /** Gives what is read instead. */
  async #annul(
    { channel, route }: Destination,
    state: ReadState,
    end: number | undefined,
  ): Promise<ReadState> {
    const none = nothingRead(state.epoch);
    const { state: kept } = await this.#options.store.change(channel, (stored) =>
      // What another has written meanwhile is of the stream as it is.
      stored !== undefined && covers(state, stored) && covers(stored, state) ? none : stored,
    );
    this.#complaints.warn(
      'void',
      { channel, route: route.name, through: reachOf(state), ...(end !== undefined && { end }) },
      'what was read is of a stream that was longer, as before a restore: nothing of the inbox counts as read',
    );
    return merge(kept ?? none, none);
  }
}

function unavailable(why: string): InboxRefusal {
  return new InboxRefusal('INBOX_UNAVAILABLE', `${why}; try again in a moment`);
}
