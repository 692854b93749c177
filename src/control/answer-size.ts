import type { Bus } from '../cluster/bus.ts';

/** What a page of a listing takes at most: a small part of what may wait for a NATS client, and a millisecond to write. */
const MAX_PAGE_BYTES = 512 * 1024;

/** The same, where NATS may take less. */
export function maxPageBytes({ maxPayloadBytes = Number.POSITIVE_INFINITY }: Pick<Bus, 'maxPayloadBytes'>) {
  return Math.min(MAX_PAGE_BYTES, maxPayloadBytes / 2);
}
