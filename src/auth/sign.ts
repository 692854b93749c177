import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type JWTPayload, SignJWT } from 'jose';
import { SidestreamError } from '../errors.ts';
import { fits } from './algorithms.ts';
import { loadConfiguredKeys } from './configured-keys.ts';
import type { JwtIssuerOptions } from './issuer.ts';

export interface SignOptions {
  /** Whose entry of `auth.jwt` to sign for; default the first. */
  readonly issuer?: string | undefined;
  /** Only issuers of tickets will do. */
  readonly ticket?: boolean;
  /** A private key in PEM, where the config holds only public ones. */
  readonly privateKeyFile?: string | undefined;
  /** Go before what the config gives (`iss`, `aud`). */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Until the token expires, in seconds. Default: an hour; of a ticket, as long as the issuer's may be good. */
  readonly lifetimeS?: number | undefined;
  /** Seconds since the Unix epoch. */
  readonly nowS: number;
}

const DEFAULT_LIFETIME_S = 3600;

/**
 * Signs a token that the config's own checks accept, for trying out; a ticket, where the issuer gives those.
 * @throws SidestreamError TOKEN_UNSIGNABLE — no such issuer, or no key to sign with · CONFIG_INVALID — a configured key
 * is of no use
 */
export async function signToken(issuers: readonly JwtIssuerOptions[], options: SignOptions): Promise<string> {
  const issuer = issuerOf(issuers, options);
  const { key, kid, algorithms } = await signingKey(issuer, options.privateKeyFile);
  const publicHalf = key.type === 'private' ? createPublicKey(key) : key;
  const alg = [...algorithms].find((name) => fits(publicHalf, name));
  if (alg === undefined)
    throw unsignable(`the key fits none of the algorithms ${[...algorithms].join(', ')}`);
  const { nowS, claims } = options;
  const payload: JWTPayload = {
    ...(issuer.issuer !== undefined && { iss: issuer.issuer }),
    ...(issuer.audience[0] !== undefined && { aud: issuer.audience[0] }),
    iat: nowS,
    exp: nowS + lifetimeOf(issuer, options),
    ...(issuer.ticket !== undefined && { jti: randomUUID() }),
    ...claims,
  };
  const header = {
    alg,
    ...(kid !== undefined && { kid }),
    ...(issuer.type !== undefined && { typ: issuer.type }),
  };
  return new SignJWT(payload).setProtectedHeader(header).sign(key);
}

function issuerOf(
  issuers: readonly JwtIssuerOptions[],
  { issuer, ticket = false }: SignOptions,
): JwtIssuerOptions {
  const named = issuers.filter((entry) => issuer === undefined || entry.issuer === issuer);
  const found = named.find((entry) => !ticket || entry.ticket !== undefined);
  if (found !== undefined) return found;
  if (named.length > 0) throw unsignable('the issuer gives no tickets: its entry in auth.jwt has no ticket');
  if (issuer === undefined) throw unsignable('the config has no auth.jwt to sign for');
  const names = issuers.map((entry) => entry.issuer ?? '(one without a name)').join(', ');
  throw unsignable(`auth.jwt has no issuer ${issuer}; it has ${names}`);
}

function lifetimeOf({ ticket }: JwtIssuerOptions, { lifetimeS }: SignOptions): number {
  if (ticket === undefined) return lifetimeS ?? DEFAULT_LIFETIME_S;
  const longestS = Math.floor(ticket.maxAgeMs / 1000);
  if (lifetimeS !== undefined && lifetimeS > longestS)
    throw unsignable(`the issuer's tickets are good for ${longestS} s at most (ticket.maxAge)`);
  return lifetimeS ?? longestS;
}

interface SigningKey {
  readonly key: KeyObject;
  readonly kid?: string | undefined;
  /** Those that a token by this key may have. */
  readonly algorithms: Iterable<string>;
}

async function signingKey(issuer: JwtIssuerOptions, file: string | undefined): Promise<SigningKey> {
  const configured = await loadConfiguredKeys(issuer);
  const known = configured.flatMap(({ keys }) => keys);
  if (file !== undefined) {
    const key = readPrivateKey(file);
    const half = createPublicKey(key);
    const other = known.find((entry) => entry.key.type === 'public' && entry.key.equals(half));
    if (other !== undefined) return { key, kid: other.kid, algorithms: other.algorithms };
    // Perhaps its other half is published there, under a kid that is not known here: without one every key is tried.
    if (issuer.jwksUrl !== undefined) return { key, algorithms: issuer.algorithms };
    throw unsignable(`${file} belongs to none of the issuer's keys: what it signs would be refused`);
  }
  const secret = known.find(({ key }) => key.type === 'secret');
  if (secret !== undefined) return secret;
  const skipped = configured.flatMap((entry) => entry.skipped);
  throw unsignable(
    `the issuer has no secret in the config, and public keys cannot sign: name the private one with --key FILE${
      skipped.length === 0 ? '' : ` (its key set was read without these: ${skipped.join('; ')})`
    }`,
  );
}

function readPrivateKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file));
  } catch (cause) {
    throw unsignable(`${file} holds no private key in PEM that can be read`, cause);
  }
}

function unsignable(message: string, cause?: unknown): SidestreamError {
  return new SidestreamError('TOKEN_UNSIGNABLE', message, { cause });
}
