import type { Observed } from './observed.ts';
import type { Exposition } from './register.ts';

/** The HTTP API on the ops port: its calls are counted with those over NATS, this is what did not become one. */
export function exposeApi(to: Exposition, { apiRefusals }: Pick<Observed, 'apiRefusals'>): void {
  to.counts(
    'sidestream_api_refusals_total',
    'Requests to the HTTP API that were refused before any operation was called, by code.',
    ['code'],
    () => [...apiRefusals()].map(([code, n]) => [{ code }, n]),
  );
}
