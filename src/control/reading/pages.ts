import type { z } from 'zod';
import { mostBytesOf } from '../../hub/listing.ts';
import type { Part } from '../operation.ts';
import type { listedChannel, listedConnection } from '../operations/reading.ts';

type Channel = z.output<typeof listedChannel>;
type Connection = z.output<typeof listedConnection>;

/** What one instance has behind some place, in order: the first of it, and whether there is more. */
export interface PagePart<T> {
  readonly list: readonly T[];
  readonly more: boolean;
}

/** Of a page that spans instances; `next` is where what follows begins. */
interface Merged<T> {
  list: T[];
  next?: string;
}

/**
 * The first channels of all instances by name. One that several have is one, and only as far as no instance has kept names back is
 * it known of all of them.
 */
export function mergeChannels(
  parts: readonly Part<PagePart<Channel>>[],
  { active, limit }: { readonly active: boolean | undefined; readonly limit: number },
): Merged<Channel> {
  const horizon = horizonOf(parts);
  const sums = new Map<string, Channel>();
  for (const { part } of parts) {
    for (const one of part.list) {
      if (horizon !== undefined && one.channel > horizon) break;
      const before = sums.get(one.channel)?.subscribers ?? 0;
      sums.set(one.channel, { ...one, subscribers: before + one.subscribers });
    }
  }
  const all = [...sums.values()]
    .filter(({ subscribers }) => active === undefined || subscribers > 0 === active)
    .sort((a, b) => (a.channel < b.channel ? -1 : 1));
  const list = all.slice(0, limit);
  const next = list.length < all.length ? list.at(-1)?.channel : horizon;
  return { list, ...(next !== undefined && { next }) };
}

/** The last name up to which all have told theirs; `undefined` where they told all. */
function horizonOf(parts: readonly Part<PagePart<Channel>>[]): string | undefined {
  const ends = parts.flatMap(({ part }) => (part.more ? [part.list.at(-1)?.channel ?? ''] : []));
  return ends.sort()[0];
}

/** The first connections of all instances, by instance, as old as they are. */
export function mergeConnections(
  parts: readonly Part<PagePart<Omit<Connection, 'instance'> & { readonly ordinal: number }>>[],
  { limit, maxBytes }: { readonly limit: number; readonly maxBytes: number },
): Merged<Connection> {
  const list: Connection[] = [];
  let [bytes, next] = [0, ''];
  for (const { instance, part } of [...parts].sort((a, b) => (a.instance < b.instance ? -1 : 1))) {
    for (const { ordinal, ...rest } of part.list) {
      const one = { instance, ...rest };
      bytes += mostBytesOf(one);
      if (list.length >= limit || (list.length > 0 && bytes > maxBytes)) return { list, next };
      list.push(one);
      next = `${instance}.${ordinal}`;
    }
    if (part.more) return { list, next };
  }
  return { list };
}

/** Behind which ordinal an instance goes on after such a `next`; `undefined` where it has had its turn. */
export function startingAt(next: string | undefined, instance: string): number | undefined {
  const [of = '', ordinal] = next?.split('.') ?? [];
  if (instance < of) return undefined;
  return instance === of ? Number(ordinal) : 0;
}
