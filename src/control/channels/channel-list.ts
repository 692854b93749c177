import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import type { Router } from '../../routing/router.ts';
import { matchesGlob } from '../glob.ts';
import type { List, Listed, ListInput } from '../operations/channels.ts';
import type { ChannelBook, Entry } from './channel-book.ts';
import { standingOf } from './channel-record.ts';

export interface ChannelListDeps {
  readonly book: ChannelBook;
  readonly router: Router;
  readonly clock: Clock;
  /** When a channel expires, in milliseconds from now, where that is known. */
  expiresInMs(channel: string): number | undefined;
  /** What one page may take, in bytes; it holds one channel at least. */
  maxPageBytes(): number;
}

/** Names that are looked at in one go: a millisecond's work at most. */
const SLICE = 2000;
/** Of a listed channel as JSON, at most, besides its metadata: two names, four times and what is around them. */
const OTHER_BYTES = 640;

/** One page of what was made or closed. Gives way to what is live now and then: a filter may have to look at all of it. */
export async function listOf(input: ListInput, deps: ChannelListDeps): Promise<List> {
  const { book } = deps;
  const { limit, after = '' } = input;
  const found: Listed[] = [];
  let room = deps.maxPageBytes();
  for (let names = book.namesAfter(after, SLICE); names.length > 0; ) {
    for (const channel of names) {
      const about = pick(channel, input, deps);
      if (about === undefined) continue;
      room -= mostBytesOf(about);
      if (found.length === limit || (room < 0 && found.length > 0))
        return page(found, book, found.at(-1)?.channel);
      found.push(about);
    }
    await setImmediate();
    names = book.namesAfter(names.at(-1) ?? '', SLICE);
  }
  return page(found, book, undefined);
}

/** Never less than what it takes as JSON; metadata, which is mostly small, is written to see. */
function mostBytesOf({ metadata }: Listed): number {
  return OTHER_BYTES + (metadata === undefined ? 0 : Buffer.byteLength(JSON.stringify(metadata)));
}

function page(list: Listed[], { size: total }: ChannelBook, next: string | undefined): List {
  return { list, total, ...(next !== undefined && { next }) };
}

/** What is told of a channel; `undefined` where it was not asked for. */
function pick(channel: string, { state, filter }: ListInput, deps: ChannelListDeps): Listed | undefined {
  if (filter !== undefined && !matchesGlob(filter, channel)) return undefined;
  const entry = deps.book.get(channel);
  const about = entry === undefined ? undefined : describe(entry, deps);
  return state === undefined || about?.state === state ? about : undefined;
}

/** `undefined` of what is over: it is about to be let go of. */
function describe({ record }: Entry, { router, clock, expiresInMs }: ChannelListDeps): Listed | undefined {
  const { channel, createdMs, timeoutMs, metadata, end } = record;
  const state = standingOf(record, clock.wall());
  const destination = router.resolve(channel);
  if (state === 'absent' || destination === undefined) return undefined;
  const inMs = state === 'open' ? expiresInMs(channel) : undefined;
  const isEnded = state !== 'open' && end !== undefined;
  return {
    channel,
    route: destination.route.name,
    state,
    ...(createdMs !== undefined && { created: toDateTime(createdMs) }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(metadata !== undefined && { metadata }),
    ...(isEnded && { ended: toDateTime(end.atMs) }),
    ...(isEnded && end.untilMs !== undefined && { until: toDateTime(end.untilMs) }),
    ...(inMs !== undefined && { expires: toDateTime(clock.wall() + inMs) }),
  };
}

function toDateTime(ms: number): string {
  return new Date(ms).toISOString();
}
