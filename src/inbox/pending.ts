import { fitting } from '../paging.ts';
import { formatPosition } from '../protocol/cursor.ts';
import { endOf, type Kept } from './reading.ts';
import type { ReadState } from './state.ts';
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

const PRIORITIES = ['normal', 'high', 'urgent'] as const;

/** The first of what is unread, in the order that was asked for; and how much there is. */
export class PendingList {
  readonly #query: PendingQuery;
  readonly #after: number;
  #first: readonly Kept[] = [];
  /** The first for which there was no room: what comes behind it is none of the first, whichever part it is in. */
  #end: Kept | undefined;
  #asked = 0;
  #unread = 0;

  /** `after`: the offset that the query says, or 0. */
  constructor(query: PendingQuery, after: number) {
    this.#query = query;
    this.#after = after;
  }

  /** Looks at some of what is unread. No more of it is held than may be listed. */
  show(unread: readonly Kept[]): void {
    const asked = unread.filter(({ offset }) => offset > this.#after);
    this.#unread += unread.length;
    this.#asked += asked.length;
    const end = this.#end;
    const inOrder = [...asked, ...this.#first]
      .filter((kept) => end === undefined || this.#compare(kept, end) < 0)
      .sort((a, b) => this.#compare(a, b));
    const sizeOf = ({ publication }: Kept) => publication.data.length;
    this.#first = fitting(inOrder.slice(0, this.#query.limit), sizeOf);
    this.#end = inOrder[this.#first.length] ?? end;
  }

  #compare(a: Kept, b: Kept): number {
    const byRank = this.#query.order === 'priority' ? rank(b) - rank(a) : 0;
    return byRank || a.offset - b.offset;
  }

  /** The answer; what lies up to `missedThrough` was not shown. */
  answer(channel: string, { epoch, through }: ReadState, missedThrough: number): UnreadCount & Listing {
    const listed = this.#first.map((kept) => toPending(kept, epoch));
    // As JSON: text of quotes or control characters grows.
    const list = fitting(listed, (message) => Buffer.byteLength(JSON.stringify(message)));
    const last = list.at(-1);
    const hasNext = this.#query.order === 'time' && list.length < this.#asked;
    return {
      channel,
      unread: this.#unread,
      ...(missedThrough > through && { more: true as const }),
      through: formatPosition(epoch, through),
      list,
      ...(hasNext && last !== undefined && { next: last.id }),
    };
  }
}

function rank({ publication }: Kept): number {
  return publication.priority ?? 0;
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
