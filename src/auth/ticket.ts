import { createHash } from 'node:crypto';
import type { JwtIssuerConfig, TicketConfig } from '../config/schema.ts';
import { type Rejected, toIdentity, type Verification } from './identity.ts';

export interface TicketRules extends TicketConfig {
  readonly clockToleranceMs: number;
}

/**
 * Reads the identity out of a ticket's checked claims. It is good for its stream, which outlives the ticket: `expiresAtMs`
 * is the end of the session.
 */
export function toTicket(claims: Readonly<Record<string, unknown>>, rules: TicketRules): Verification {
  const identity = toIdentity(claims);
  const { issuedAtMs, expiresAtMs, tokenId } = identity;
  if (tokenId === undefined) return invalid('jti is not a text');
  if (issuedAtMs === undefined || expiresAtMs === undefined) return invalid('iat or exp is not a date');
  if (expiresAtMs - issuedAtMs > rules.maxAgeMs)
    return invalid('exp is later after iat than a ticket may be good');
  const sessionEndS = claims.session_exp ?? Infinity;
  if (typeof sessionEndS !== 'number') return invalid('session_exp is not a date');
  return {
    ...identity,
    expiresAtMs: Math.min(issuedAtMs + rules.sessionMs, sessionEndS * 1000),
    ticket: { key: keyOf(claims.iss, tokenId), untilMs: expiresAtMs + rules.clockToleranceMs },
  };
}

function invalid(detail: string): Rejected {
  return { rejected: 'invalid', detail };
}

// RFC 7519 4.1.7: a `jti` is unique for its issuer. The pair is written so that no other pair reads the same.
function keyOf(issuer: unknown, tokenId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([issuer ?? null, tokenId]))
    .digest('hex');
}

/** Besides what tickets are good for: rounding, and clocks that are set. */
const MARGIN_MS = 60_000;

/**
 * How long the use of a ticket must be remembered by somebody whose clock is right, in milliseconds; `undefined` where no
 * issuer gives tickets. The clocks of the issuer and of two instances may each be wrong by the tolerance, this way or that.
 */
export function ticketMemoryMs(issuers: readonly JwtIssuerConfig[]): number | undefined {
  const agesMs = issuers.flatMap(({ ticket, clockToleranceMs }) =>
    ticket === undefined ? [] : [ticket.maxAgeMs + 4 * clockToleranceMs],
  );
  return agesMs.length === 0 ? undefined : Math.max(...agesMs) + MARGIN_MS;
}
