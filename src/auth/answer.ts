import { namelessClaim, toIdentity, type Verification } from './identity.ts';

/** Why a service that was asked gave no answer that can be used; each is counted. */
export const FAULTS = {
  busy: 'Too many questions were under way or waiting; this one was not asked.',
  timeout: 'No answer came in time.',
  unreachable: 'It could not be asked: nobody listens, the connection broke, or NATS is away.',
  status: 'It answered with another HTTP status than 200; redirects are not followed.',
  'too-large': 'The answer is larger than the bound.',
  malformed: 'The answer is not JSON, or not what was asked for.',
} as const;

export type Fault = keyof typeof FAULTS;

/** No answer. It says nothing about who is asked about: whoever waits for it is refused as overload, never let in. */
export class Failed {
  readonly fault: Fault;
  /** For the log: what exactly; never a part of the question or of the answer. */
  readonly detail: string;

  constructor(fault: Fault, detail: string) {
    this.fault = fault;
    this.detail = detail;
  }
}

export function malformed(detail: string): Failed {
  return new Failed('malformed', detail);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Reads an answer's bytes as one JSON object. RFC 8259. */
export function readObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | Failed {
  let value: unknown;
  try {
    value = JSON.parse(UTF8.decode(bytes));
  } catch {
    // TypeError: not UTF-8. SyntaxError: not JSON; its message quotes the answer, which may hold the token.
    return malformed('the answer is not JSON');
  }
  return isRecord(value) ? value : malformed('the answer is not a JSON object');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A NumericDate (RFC 7519 2) from here on, in seconds, is the year 33658, or else milliseconds of our own time. */
const MAX_SECONDS = 1e12;
/** How far the service's clock may be ahead of ours, for `nbf`. */
const CLOCK_TOLERANCE_MS = 5000;

/**
 * Takes the claims that a service vouches for. A registered claim of the wrong type makes the whole answer unusable: an
 * `exp` that cannot be read would otherwise be a token that never expires. `null` is as good as absent.
 */
export function readClaims(claims: unknown, wallMs: number): Verification | Failed {
  if (!isRecord(claims)) return malformed('`claims` is not an object');
  const nameless = namelessClaim(claims);
  if (nameless !== undefined) return malformed(`\`${nameless}\` is not a string`);
  for (const name of ['exp', 'iat', 'nbf']) {
    if (claims[name] != null && !isNumericDate(claims[name]))
      return malformed(`\`${name}\` is not in seconds`);
  }
  const identity = toIdentity(claims);
  const { expiresAtMs = Number.POSITIVE_INFINITY } = identity;
  if (expiresAtMs <= wallMs) return { rejected: 'expired', detail: '`exp` is over', wasGood: true };
  if (typeof claims.nbf === 'number' && claims.nbf * 1000 > wallMs + CLOCK_TOLERANCE_MS)
    return { rejected: 'not-yet-valid', detail: '`nbf` lies in the future' };
  return identity;
}

function isNumericDate(value: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) < MAX_SECONDS;
}
