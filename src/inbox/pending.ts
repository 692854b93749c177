import { formatPosition } from '../protocol/cursor.ts';
import { endOf, type Kept } from './reading.ts';
import { isRead, type ReadState } from './state.ts';
import type { UnreadCount } from './tally.ts';

/** In which order messages are listed: as they came, or the more urgent first. */
export type Order = 'time' | 'priority';

export interface PendingQuery {
  /** Most that are listed. */
  readonly limit: number;
  /** Only what came after this id; not with `priority`. */
  readonly after?: string | undefined;
  readonly order: Order;
}

/** One message that is unread. */
export interface Pending {
  readonly id: string;
  readonly event: string;
  readonly data: string;
  readonly priority: 'normal' | 'high' | 'urgent';
  /** When it was published. */
  readonly time: string;
  /** When it ends; absent where it waits for ever. */
  readonly expires?: string;
}

export interface Listing {
  readonly list: readonly Pending[];
  /** What to ask for as `after` to have what follows; absent where nothing does, or that has no order. */
  readonly next?: string;
}

/** What a channel has after what is read up to. */
export interface Found {
  readonly channel: string;
  readonly state: ReadState;
  readonly kept: readonly Kept[];
  /** What lies up to here was too much to be looked at; 0: nothing. */
  readonly missedThrough: number;
  /** Where the list begins. */
  readonly after: number;
}

/** Most of the data of one list, in bytes: with what is around it, it fits into one NATS message (`max_payload`, 1 MiB). */
const MAX_LIST_BYTES = 512 * 1024;
const PRIORITIES = ['normal', 'high', 'urgent'] as const;

/** What is unread of what was found; `nowMs` since the Unix epoch. */
export function listing(found: Found, { limit, order }: PendingQuery, nowMs: number): UnreadCount & Listing {
  const { channel, state, kept, missedThrough, after } = found;
  const unread = kept.filter(
    ({ offset, publication }) => !isRead(state, offset) && (endOf(publication) ?? Infinity) > nowMs,
  );
  const asked = unread.filter(({ offset }) => offset > after);
  if (order === 'priority') asked.sort((a, b) => rank(b) - rank(a) || a.offset - b.offset);
  const list = fitting(asked.slice(0, limit), state.epoch);
  const last = list.at(-1);
  return {
    channel,
    unread: unread.length,
    ...(missedThrough > state.through && { more: true as const }),
    through: formatPosition(state.epoch, state.through),
    list,
    ...(order === 'time' && last !== undefined && list.length < asked.length && { next: last.id }),
  };
}

function rank({ publication }: Kept): number {
  return publication.priority ?? 0;
}

/** As many as fit, and one at least. */
function fitting(kept: readonly Kept[], epoch: string): Pending[] {
  const list: Pending[] = [];
  let bytes = 0;
  for (const each of kept) {
    const message = toPending(each, epoch);
    // As JSON: text of quotes or control characters grows.
    bytes += Buffer.byteLength(JSON.stringify(message));
    if (bytes > MAX_LIST_BYTES && list.length > 0) break;
    list.push(message);
  }
  return list;
}

function toPending({ offset, publication }: Kept, epoch: string): Pending {
  const { event = 'message', data, priority = 0, timeMs = 0 } = publication;
  const expiresMs = endOf(publication);
  return {
    id: formatPosition(epoch, offset),
    event,
    data: typeof data === 'string' ? data : Buffer.from(data).toString('utf8'),
    priority: PRIORITIES[priority],
    time: new Date(timeMs).toISOString(),
    ...(expiresMs !== undefined &&
      expiresMs <= MAX_TIME_MS && { expires: new Date(expiresMs).toISOString() }),
  };
}

/** The last moment that a Date can be. ECMA-262 21.4.1.1. */
const MAX_TIME_MS = 8.64e15;
