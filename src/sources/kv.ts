import type { Destination } from '../routing/router.ts';

/** ADR-8: which operation a message of a bucket stands for; absent for a put. */
const OPERATION_HEADER = 'KV-Operation';
const DELETIONS: ReadonlySet<string> = new Set(['DEL', 'PURGE']);
/** ADR-43: why the server itself wrote that a key is gone (from 2.11 on): `MaxAge`, `Remove`, `Purge`. */
export const MARKER_HEADER = 'Nats-Marker-Reason';

/** What a message of a bucket says of a key. */
export type KeyOperation = 'put' | 'delete';

/** Whether a channel is of a key-value route: one of a stream route may read the same stream. */
export function isOfBucket({ route }: Destination): boolean {
  return route.config.source.kind === 'kv';
}

/** The key of a bucket's subject, where the route is a key-value route. */
export function keyOf({ route }: Destination, subject: string): string | undefined {
  const { source } = route.config;
  return source.kind === 'kv' ? subject.slice(`$KV.${source.bucket}.`.length) : undefined;
}

export function operationOf(header: (name: string) => string | undefined): KeyOperation {
  const isDeletion = DELETIONS.has(header(OPERATION_HEADER) ?? '') || (header(MARKER_HEADER) ?? '') !== '';
  return isDeletion ? 'delete' : 'put';
}
