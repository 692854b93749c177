import type { TokenRequest } from '../auth/identity.ts';
import type { TokenPlace } from '../config/schema.ts';
import type { Ask } from './request.ts';

/** The token in the first configured place that holds one. RFC 6750 2. */
export function findToken(ask: Ask, places: readonly TokenPlace[]): string | undefined {
  for (const place of places) {
    const token = tokenAt(ask, place);
    if (token !== undefined && token !== '') return token;
  }
  return undefined;
}

/** What whoever checks the token may know of the request that brought it. */
export function tokenRequest(
  { origin, userAgent, trace }: Ask,
  address: string,
  channels: readonly string[],
): TokenRequest {
  return { address, origin, userAgent, channels, ...(trace !== undefined && { trace }) };
}

function tokenAt(ask: Ask, place: TokenPlace): string | undefined {
  switch (place.in) {
    case 'bearer':
      return /^Bearer +([^\s]+) *$/i.exec(ask.authorization)?.[1];
    case 'cookie':
      return cookie(ask.cookie, place.name);
    case 'query':
      return ask.query.includes(place.name)
        ? (new URLSearchParams(ask.query).get(place.name) ?? undefined)
        : undefined;
  }
}

// RFC 6265 4.2.1. Where a name stands twice the first counts: the one with the more specific path (5.4).
function cookie(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (at < 0 || pair.slice(0, at).trim() !== name) continue;
    return pair
      .slice(at + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1');
  }
  return undefined;
}
