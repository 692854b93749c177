import { isDeepStrictEqual } from 'node:util';
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { Queue } from '../queue.ts';
import { invalid } from './configured-keys.ts';
import {
  type Identity,
  namelessClaim,
  type Rejected,
  type TokenFault,
  toIdentity,
  type Verification,
  type Verifier,
} from './identity.ts';
import { Issuer, type JwtIssuerOptions, type KeyHint } from './issuer.ts';
import type { KeySetCounts } from './jwks.ts';
import type { VerificationKey } from './keys.ts';
import { toTicket } from './ticket.ts';

export interface JwtDependencies {
  readonly clock: Clock;
  readonly log: Logger;
}

/** A token's size, before anything of it is parsed. */
export const MAX_TOKEN_BYTES = 16 * 1024;
/** The last second that a `Date` can be. */
const LAST_DATE_S = 8.64e12;
/** How often the files of keys are looked at, in milliseconds. */
export const RELOAD_INTERVAL_MS = 5000;
/**
 * Signatures checked at the same time. Twice the threads that Node has for them (UV_THREADPOOL_SIZE, 4): they do not run
 * dry, and what they finish in one turn of the event loop is little. Without a bound a storm of new tokens made turns of
 * 400 of them, and live events waited 30 ms instead of 4; `npm run bench -- --only storm`.
 */
export const CHECKS_AT_A_TIME = 8;

// RFC 7515 7.1. The signature may be empty, as `none` has it: that token is refused for its algorithm.
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/** What a token says of itself, unverified. */
interface Unverified {
  readonly token: string;
  readonly issuer: unknown;
  readonly alg: unknown;
  readonly kid: string | undefined;
}

/**
 * A verifier of JSON Web Tokens (RFC 7519) signed by any of `issuers`. `start()` it before use.
 * @throws SidestreamError CONFIG_INVALID — two entries for one issuer, or one that cannot work
 */
export function createJwtVerifier(
  issuers: readonly JwtIssuerOptions[],
  dependencies: JwtDependencies,
): JwtVerifier {
  return new JwtVerifier(issuers, dependencies);
}

/** Who signs, by name. */
type Issuers = ReadonlyMap<string | undefined, Issuer>;

export class JwtVerifier implements Verifier {
  readonly #clock: Clock;
  readonly #log: Logger;
  #issuers: Issuers = new Map();
  readonly #checks = new Queue(CHECKS_AT_A_TIME);
  #timer: NodeJS.Timeout | undefined;
  #reloading = false;

  constructor(issuers: readonly JwtIssuerOptions[], { clock, log }: JwtDependencies) {
    this.#clock = clock;
    this.#log = log;
    this.#issuers = this.#made(issuers);
  }

  /** Attempts to fetch each key set, by its URL without a query. */
  get keySets(): ReadonlyMap<string, KeySetCounts> {
    return new Map(
      [...this.#issuers.values()].flatMap(({ keySet }) =>
        keySet === undefined ? [] : [[keySet.name, keySet.counts]],
      ),
    );
  }

  /** Whether anybody's tokens are taken. */
  get hasIssuers(): boolean {
    return this.#issuers.size > 0;
  }

  /**
   * Reads every configured key and begins to fetch the key sets; an issuer who cannot be reached is no error.
   * @throws SidestreamError CONFIG_INVALID — a configured key is unreadable, malformed, too short or of the wrong kind
   */
  async start(): Promise<void> {
    for (const issuer of this.#issuers.values()) await issuer.load();
    for (const issuer of this.#issuers.values()) issuer.fetch();
    this.#timer = setInterval(() => void this.#reload(), RELOAD_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const issuer of this.#issuers.values()) issuer.stop();
  }

  /**
   * The issuers of a new config, with their keys at hand; one that stays as it is is the very same, with all that it knows.
   * @throws SidestreamError CONFIG_INVALID — a key is of no use, or a key set cannot be fetched
   */
  async prepare(issuers: readonly JwtIssuerOptions[]): Promise<Issuers> {
    const prepared = this.#made(issuers);
    const all = [...prepared.values()];
    try {
      await Promise.all(all.map((issuer) => (this.#has(issuer) ? issuer.check() : issuer.prepare())));
    } catch (error) {
      this.discard(prepared);
      throw error;
    }
    return prepared;
  }

  /** Goes by them from now on; what others vouched for is void, and an issuer who was changed is another. */
  adopt(issuers: Issuers): void {
    const kept = new Set(issuers.values());
    for (const issuer of this.#issuers.values()) if (!kept.has(issuer)) issuer.withdraw();
    this.#issuers = issuers;
    // A key in a file that changed with the config is good at once, too.
    void this.#reload();
  }

  /** Lets go of issuers that were prepared. */
  discard(issuers: Issuers): void {
    for (const issuer of issuers.values()) if (!this.#has(issuer)) issuer.stop();
  }

  async verify(token: string): Promise<Verification> {
    try {
      const unverified = read(token);
      return 'rejected' in unverified ? unverified : await this.#verify(unverified);
    } catch (error) {
      // Nothing known ends here. The name alone: jose's errors carry claims.
      this.#log.error({ error: error instanceof Error ? error.name : 'unknown' }, 'could not check a token');
      return rejected('invalid', 'the token could not be checked');
    }
  }

  async #verify({ token, issuer: name, alg, kid }: Unverified): Promise<Verification> {
    const issuer = this.#issuerOf(name);
    if (issuer === undefined) return rejected('invalid', 'no configured issuer has this iss');
    if (typeof alg !== 'string' || !issuer.options.algorithms.includes(alg))
      return rejected('invalid', 'the algorithm is not among the allowed ones');
    const verification = await this.#verifyBy(issuer, token, { alg, kid });
    // Nothing that an issuer of before said is to be remembered.
    return this.#issuerOf(name) === issuer
      ? verification
      : rejected('unavailable', 'its issuer was changed while it was checked');
  }

  async #verifyBy(issuer: Issuer, token: string, hint: KeyHint): Promise<Verification> {
    const { keys, named } = issuer.candidates(hint);
    const verdict = await this.#tryKeys(issuer, token, keys);
    if (verdict !== undefined) return verdict;
    if (named) return rejected('invalid', 'the signature is not by the key of this kid');
    const renewal = await issuer.renew(hint);
    // Compared with what was tried, not with what the fetch says: the keys may have changed while they were tried.
    const fresh = issuer.candidates(hint).keys.filter((key) => !keys.includes(key));
    const second = await this.#tryKeys(issuer, token, fresh);
    if (second !== undefined) return second;
    return renewal === 'known'
      ? rejected('invalid', 'the signature is by no known key')
      : rejected('unavailable', 'the key is not known, and the key set could not be fetched');
  }

  /** What the first key that made the signature leads to; nothing, where none of them did. */
  async #tryKeys(
    issuer: Issuer,
    token: string,
    keys: readonly VerificationKey[],
  ): Promise<Verification | undefined> {
    for (const { key, algorithms, voucher } of keys) {
      try {
        const { payload } = await this.#checks.run(() => {
          // The key's own algorithms, not the issuer's: the last word against serving another kind of key.
          const options = { ...claimsOf(issuer.options, this.#clock.wall()), algorithms: [...algorithms] };
          return jwtVerify(token, key, options);
        });
        const verification = this.#judge(payload, issuer.options);
        return 'rejected' in verification ? verification : { ...verification, voucher };
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) return faultOf(error);
      }
    }
    return undefined;
  }

  /** What jose leaves unchecked. */
  #judge(claims: JWTPayload, options: JwtIssuerOptions): Verification {
    const { clockToleranceMs, ticket } = options;
    // 1e999 is JSON, and Infinity once parsed: a token that never expires.
    if (!(claims.exp !== undefined && claims.exp <= LAST_DATE_S))
      return rejected('invalid', 'exp is not a date');
    if (claims.iat !== undefined && claims.iat * 1000 > this.#clock.wall() + clockToleranceMs)
      return rejected('not-yet-valid', 'iat lies in the future');
    const nameless = namelessClaim(claims);
    if (nameless !== undefined) return rejected('invalid', `${nameless} is not a text`);
    return ticket === undefined
      ? aged(toIdentity(claims), options)
      : toTicket(claims, { ...ticket, clockToleranceMs });
  }

  #issuerOf(name: unknown): Issuer | undefined {
    return (typeof name === 'string' ? this.#issuers.get(name) : undefined) ?? this.#issuers.get(undefined);
  }

  #has(issuer: Issuer): boolean {
    return this.#issuers.get(issuer.options.issuer) === issuer;
  }

  /** @throws SidestreamError CONFIG_INVALID */
  #made(issuers: readonly JwtIssuerOptions[]): Issuers {
    const made = new Map<string | undefined, Issuer>();
    // One that was changed goes on counting where its key set is.
    const context = { clock: this.#clock, log: this.#log, counts: new Map(this.keySets) };
    // What was known by the one for all others may be another's to know now.
    const hasNew = issuers.some(({ issuer }) => !this.#issuers.has(issuer));
    for (const options of issuers) {
      const { issuer } = options;
      if (made.has(issuer)) throw invalid(`two issuers ${issuer ?? 'without a name'}: merge their keys`);
      const known = this.#issuers.get(issuer);
      const isSame = known !== undefined && isDeepStrictEqual(known.options, options);
      const stays = isSame && !(issuer === undefined && hasNew);
      made.set(issuer, stays ? known : new Issuer(options, context));
    }
    return made;
  }

  async #reload(): Promise<void> {
    if (this.#reloading) return;
    this.#reloading = true;
    for (const issuer of this.#issuers.values()) await issuer.reload();
    this.#reloading = false;
  }
}

/** Takes a token apart, believing nothing of it. `jku`, `jwk`, `x5u` and `x5c` are not even looked at. */
function read(token: string): Unverified | Rejected {
  if (token.length > MAX_TOKEN_BYTES) return rejected('malformed', `longer than ${MAX_TOKEN_BYTES} bytes`);
  if (!COMPACT.test(token)) return rejected('malformed', 'not three parts in base64url');
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    const { iss } = decodeJwt(token);
    if (kid !== undefined && typeof kid !== 'string') return rejected('malformed', 'the kid is not a string');
    return { token, issuer: iss, alg, kid };
  } catch {
    // TypeError, JWTInvalid: the header or the claims are no JSON object.
    return rejected('malformed', 'the header or the claims are not a JSON object');
  }
}

function claimsOf(options: JwtIssuerOptions, wallMs: number): JWTVerifyOptions {
  const { issuer, audience, type, requiredClaims, maxTokenAgeMs, clockToleranceMs, ticket } = options;
  return {
    currentDate: new Date(wallMs),
    clockTolerance: clockToleranceMs / 1000,
    requiredClaims: ['exp', ...(ticket === undefined ? [] : ['iat', 'jti']), ...requiredClaims],
    ...(issuer !== undefined && { issuer }),
    ...(audience.length > 0 && { audience: [...audience] }),
    ...(type !== undefined && { typ: type }),
    ...(maxTokenAgeMs > 0 && { maxTokenAge: maxTokenAgeMs / 1000 }),
  };
}

/** The same, good until it is as old as the issuer's tokens may get; an open stream then ends as at `exp`. */
function aged(identity: Identity, { maxTokenAgeMs }: JwtIssuerOptions): Identity {
  const { issuedAtMs, expiresAtMs = Number.POSITIVE_INFINITY } = identity;
  if (maxTokenAgeMs === 0 || issuedAtMs === undefined) return identity;
  return { ...identity, expiresAtMs: Math.min(expiresAtMs, issuedAtMs + maxTokenAgeMs) };
}

/** What an error of jose's means. Its text is not passed on: it quotes the token. */
function faultOf(error: unknown): Rejected {
  // Its signature is good. A page that was left open brings its old token for ever, and EventSource its old URL.
  if (error instanceof errors.JWTExpired)
    return { ...rejected('expired', `${error.claim} is too long ago`), wasGood: true };
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error;
    if (reason === 'missing') return rejected('invalid', `${claim} is missing`);
    const isEarly = reason === 'check_failed' && (claim === 'nbf' || claim === 'iat');
    return isEarly
      ? rejected('not-yet-valid', `${claim} lies in the future`)
      : rejected('invalid', `${claim} is not as it must be`);
  }
  if (error instanceof errors.JWSInvalid)
    return rejected('malformed', 'the header or the signature is malformed');
  if (error instanceof errors.JOSENotSupported)
    return rejected('invalid', 'a critical header is not understood');
  if (error instanceof errors.JOSEError) return rejected('invalid', error.code);
  throw error;
}

function rejected(fault: TokenFault, detail: string): Rejected {
  return { rejected: fault, detail };
}
