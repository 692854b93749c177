import type { Bus } from '../cluster/bus.ts';
import { MAX_PAGE_BYTES } from '../paging.ts';

/** What a page of a listing takes at most, where NATS may take less than it mostly does. */
export function maxPageBytes({ maxPayloadBytes = Number.POSITIVE_INFINITY }: Pick<Bus, 'maxPayloadBytes'>) {
  return Math.min(MAX_PAGE_BYTES, maxPayloadBytes / 2);
}
