import { fitting, MAX_PAGE_BYTES } from '../paging.ts';
import { type Shown, SOMEBODY, shown } from './member.ts';
import type { Member, TrackedChannel } from './table.ts';

/** One member, as who asks is answered. */
export interface Listed extends Shown {
  /** Streams that they have on the channel; 0: away, and not yet taken for gone. */
  readonly connections: number;
  /** RFC 3339. */
  readonly since: string;
}

export interface Page {
  readonly channel: string;
  /** Members there are. */
  readonly count: number;
  readonly members: readonly Listed[];
  /** After whom the next page begins; absent where this is the last. */
  readonly next?: string;
}

export interface PageQuery {
  readonly limit: number;
  readonly after: string | undefined;
  /** Most that the members take as JSON; one is listed always. Default: {@link MAX_PAGE_BYTES}. */
  readonly maxBytes?: number;
}

/**
 * Some members of a channel, by the order of their keys: that is the same on every instance, so the next page may be asked of another.
 * They are not kept in that order, for the sake of those who come and go; whoever asks goes through them once.
 */
export function membersPage(
  { channel, count }: Pick<Page, 'channel' | 'count'>,
  tracked: TrackedChannel | undefined,
  { limit, after, maxBytes = MAX_PAGE_BYTES }: PageQuery,
): Page {
  const first = smallest(tracked?.members.values() ?? [], limit + 1, after);
  // With the comma.
  const bytesOf = (member: Listed) => Buffer.byteLength(JSON.stringify(member)) + 1;
  const members = fitting(first.slice(0, limit).map(listed), bytesOf, maxBytes);
  const last = first[members.length - 1];
  const hasMore = first.length > members.length && last !== undefined;
  return { channel, count, members, ...(hasMore && { next: last.key }) };
}

/** The `count` members with the smallest keys behind `after`, in order. */
function smallest(all: Iterable<Member>, count: number, after: string | undefined): readonly Member[] {
  let found: Member[] = [];
  let bound: string | undefined;
  for (const member of all) {
    const { key, isLost } = member;
    if (isLost || key === SOMEBODY) continue;
    if (after !== undefined && key <= after) continue;
    if (bound !== undefined && key >= bound) continue;
    found.push(member);
    // Sorted once in a while: each time at least as many have come as are kept.
    if (found.length < 2 * count) continue;
    found = found.sort(byKey).slice(0, count);
    bound = found.at(-1)?.key;
  }
  return found.sort(byKey).slice(0, count);
}

function byKey(a: Member, b: Member): number {
  return a.key < b.key ? -1 : 1;
}

function listed({ key, claims, shares, sinceMs }: Member): Listed {
  let connections = 0;
  for (const share of shares) connections += share.connections;
  const who = shown(key, undefined);
  const since = new Date(sinceMs).toISOString();
  return { ...who, connections, since, ...(claims !== undefined && { claims }) };
}
