import type { Destination } from '../routing/router.ts';
import type { Presence } from './presence.ts';

/** Most members of one page. */
const MAX_LISTED = 1000;
const DEFAULT_LISTED = 100;

/** Its own codes, and what they mean; others are those of every request. */
export const PRESENCE_CODES = {
  PRESENCE_INVALID: '`limit` is no whole number from 1 to 1000.',
} as const;

/** Who is on a channel, for whoever may read it: `GET /events/{channel}/presence?limit=&after=`. */
export class PresenceResource {
  readonly name = 'presence';
  readonly methods = ['GET'] as const;
  readonly #presence: Pick<Presence, 'isShown' | 'page'>;

  constructor(presence: Pick<Presence, 'isShown' | 'page'>) {
    this.#presence = presence;
  }

  serves(destination: Destination): boolean {
    return this.#presence.isShown(destination);
  }

  async answer({
    destination,
    query,
  }: {
    readonly destination: Destination;
    readonly query: URLSearchParams;
  }) {
    const limit = Number(query.get('limit') ?? DEFAULT_LISTED);
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED) {
      const message = `limit is a whole number from 1 to ${MAX_LISTED}`;
      const code: keyof typeof PRESENCE_CODES = 'PRESENCE_INVALID';
      return { status: 400, body: { error: { code, message } } };
    }
    const after = query.get('after') ?? undefined;
    return { status: 200, body: this.#presence.page(destination.channel, { limit, after }) };
  }
}
