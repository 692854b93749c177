import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type JWTPayload, SignJWT } from 'jose';
import { SidestreamError } from '../errors.ts';
import { fits } from './algorithms.ts';
import type { KeyOptions } from './configured-keys.ts';
import type { JwtIssuerOptions } from './issuer.ts';

export interface SignOptions {
  /** Whose entry of `auth.jwt` to sign for; default the first. */
  readonly issuer?: string | undefined;
  /** A private key in PEM, where the config holds only public ones. */
  readonly privateKeyFile?: string | undefined;
  /** Go before what the config gives (`iss`, `aud`). */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Until the token expires, in seconds. */
  readonly lifetimeS: number;
  /** Seconds since the Unix epoch. */
  readonly nowS: number;
}

/**
 * Signs a token that the config's own checks accept, for trying out.
 * @throws SidestreamError TOKEN_UNSIGNABLE — no such issuer, or no key to sign with
 */
export async function signToken(issuers: readonly JwtIssuerOptions[], options: SignOptions): Promise<string> {
  const issuer = issuers.find((entry) => options.issuer === undefined || entry.issuer === options.issuer);
  if (issuer === undefined) {
    throw unsignable(
      options.issuer === undefined
        ? 'the config has no auth.jwt to sign for'
        : `auth.jwt has no issuer ${options.issuer}; it has ${issuers.map((entry) => entry.issuer ?? '(one without a name)').join(', ')}`,
    );
  }
  const { key, kid, algorithms } = signingKey(issuer, options.privateKeyFile);
  const publicHalf = key.type === 'private' ? createPublicKey(key) : key;
  const alg = algorithms.find((name) => fits(publicHalf, name));
  if (alg === undefined) throw unsignable(`the key fits none of the algorithms ${algorithms.join(', ')}`);
  const { nowS, lifetimeS, claims } = options;
  const payload: JWTPayload = {
    ...(issuer.issuer !== undefined && { iss: issuer.issuer }),
    ...(issuer.audience[0] !== undefined && { aud: issuer.audience[0] }),
    iat: nowS,
    exp: nowS + lifetimeS,
    ...claims,
  };
  const header = {
    alg,
    ...(kid !== undefined && { kid }),
    ...(issuer.type !== undefined && { typ: issuer.type }),
  };
  return new SignJWT(payload).setProtectedHeader(header).sign(key);
}

interface SigningKey {
  readonly key: KeyObject;
  readonly kid?: string | undefined;
  /** Those that a token by this key may have. */
  readonly algorithms: readonly string[];
}

function signingKey({ keys, algorithms }: JwtIssuerOptions, file: string | undefined): SigningKey {
  if (file !== undefined) {
    try {
      // No kid: which of the public keys is its other half is not known here, and without one every key is tried.
      return { key: createPrivateKey(readFileSync(file)), algorithms };
    } catch (cause) {
      throw unsignable(`${file} holds no private key in PEM that can be read`, cause);
    }
  }
  for (const options of keys) {
    const secret = secretOf(options);
    if (secret === undefined) continue;
    const { kid, algorithm } = options;
    const key = createSecretKey(Buffer.from(secret.trim()));
    return { key, kid, algorithms: algorithm === undefined ? algorithms : [algorithm] };
  }
  throw unsignable(
    'the config holds public keys only, which cannot sign: name the private one with --key FILE',
  );
}

function secretOf({ secret, secretFile }: KeyOptions): string | undefined {
  if (secret !== undefined || secretFile === undefined) return secret;
  try {
    return readFileSync(secretFile, 'utf8');
  } catch (cause) {
    throw unsignable(`${secretFile} cannot be read`, cause);
  }
}

function unsignable(message: string, cause?: unknown): SidestreamError {
  return new SidestreamError('TOKEN_UNSIGNABLE', message, { cause });
}
