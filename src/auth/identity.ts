import type { TraceContext } from '../tracing/trace-context.ts';

/** Who a token says its bearer is. Immutable: it is cached and shared by every connection that brings the token. */
export interface Identity {
  /** `sub`: the user. Absent where the token names none. */
  readonly subject: string | undefined;
  /** Everything the token, or the service that was asked about it, says. Never logged. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** `exp` in milliseconds since the Unix epoch; absent for a token that does not expire. */
  readonly expiresAtMs: number | undefined;
  /** `iat` in milliseconds since the Unix epoch. */
  readonly issuedAtMs: number | undefined;
  /** `jti`. */
  readonly tokenId: string | undefined;
  /** Present where the token opens one stream only; `expiresAtMs` is then when that stream ends. */
  readonly ticket?: Ticket;
  /** What vouches for it, where that can be taken back. */
  readonly voucher?: Voucher;
}

/** The one thing in an identity that changes: it comes true when the key that signed the token is withdrawn. */
export interface Voucher {
  readonly isWithdrawn: boolean;
}

/** What makes a token good for one stream. */
export interface Ticket {
  /** Names it among the tickets of all issuers: 64 hexadecimal digits, which say nothing about it. */
  readonly key: string;
  /** From when on it is refused for its age, in milliseconds since the Unix epoch: until then its use is remembered. */
  readonly untilMs: number;
}

/**
 * Why a token was not accepted. `unavailable` says nothing about the token: whoever could tell did not answer, so the
 * request is refused as overload and comes back, and is never let in.
 */
export type TokenFault = 'malformed' | 'invalid' | 'expired' | 'not-yet-valid' | 'revoked' | 'unavailable';

export interface Rejected {
  readonly rejected: TokenFault;
  /** For the log at debug level: what exactly; never the token or a part of it. */
  readonly detail: string;
  /** It was good once by all but its age, and clients bring it again by their nature: who does is not slowed down for it. */
  readonly wasGood?: true;
}

export type Verification = Identity | Rejected;

/** One way to check a token. Never throws or rejects: what goes wrong is a {@link Rejected}. */
export interface Verifier {
  verify(token: string, request: TokenRequest): Promise<Verification>;
}

/** What a verifier may tell a service about the request that brought the token. */
export interface TokenRequest {
  /** Client's address, behind trusted proxies the forwarded one. */
  readonly address: string;
  readonly origin: string;
  readonly userAgent: string;
  readonly channels: readonly string[];
  /** Told to services that are asked, in headers. */
  readonly trace?: TraceContext;
}

/** Reads the registered claims of RFC 7519 4.1 out of checked claims: NumericDate is in seconds. */
export function toIdentity(claims: Readonly<Record<string, unknown>>): Identity {
  return {
    subject: text(claims.sub),
    claims,
    expiresAtMs: milliseconds(claims.exp),
    issuedAtMs: milliseconds(claims.iat),
    tokenId: text(claims.jti),
  };
}

/**
 * Names the claim that tells tokens or users apart and is no text. Such a token is not taken: `access` could read a user
 * from a number, whom no revocation and no limit would ever name. `null` is as good as absent.
 */
export function namelessClaim(claims: Readonly<Record<string, unknown>>): string | undefined {
  return ['sub', 'jti'].find((name) => claims[name] != null && typeof claims[name] !== 'string');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function milliseconds(seconds: unknown): number | undefined {
  return typeof seconds === 'number' && Number.isFinite(seconds) ? seconds * 1000 : undefined;
}
