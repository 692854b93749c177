import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { describeKey, describeNeed, fits } from './algorithms.ts';

/** A key that tokens are verified with: a shared secret or a public key, never a private one. */
export interface VerificationKey {
  /** Only ever compared with the token's. Absent: the key is tried for every token. */
  readonly kid: string | undefined;
  /** The algorithms that it serves: those the issuer allows and the key is made for. Never empty. */
  readonly algorithms: ReadonlySet<string>;
  readonly key: KeyObject;
  /** Goes with every identity that the key vouched for. */
  readonly voucher: { isWithdrawn: boolean };
}

/** Why something is no key for us. Nothing of the key stands in it. */
export interface Unusable {
  readonly unusable: string;
}

/** What a key is wanted for. */
export interface KeyPurpose {
  /** The algorithms that the issuer allows. */
  readonly algorithms: readonly string[];
  /** Narrows them to this one. */
  readonly algorithm?: string | undefined;
  readonly kid?: string | undefined;
}

/** The members that make a public JWK what it is (RFC 7518 6.2.1, 6.3.1; RFC 8037 2). */
const PUBLIC_MEMBERS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['RSA', ['n', 'e']],
  ['EC', ['crv', 'x', 'y']],
  ['OKP', ['crv', 'x']],
]);

const PEM = /-----BEGIN /;
const PRIVATE_PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** A shared secret; its UTF-8 bytes are the key, without the white space around it. */
export function keyFromSecret(text: string, purpose: KeyPurpose): VerificationKey | Unusable {
  const secret = text.trim();
  // A public key configured as a secret is how RS256 to HS256 confusion begins: everybody knows that "secret".
  if (PEM.test(secret))
    return { unusable: 'is a PEM key or certificate, not a secret: name it by publicKey' };
  return forPurpose(createSecretKey(Buffer.from(secret)), purpose);
}

/** A public key in PEM: SPKI, PKCS #1, or an X.509 certificate, of which only the key counts, not its dates. */
export function keyFromPem(pem: string, purpose: KeyPurpose): VerificationKey | Unusable {
  if (PRIVATE_PEM.test(pem)) {
    return { unusable: 'is a private key: whoever holds it can sign tokens; name the public key alone' };
  }
  const key = publicKey(() => createPublicKey(pem.trim()));
  return key === undefined
    ? { unusable: 'is not a public key or certificate in PEM (-----BEGIN PUBLIC KEY-----)' }
    : forPurpose(key, purpose);
}

/** A key as RFC 7517 writes it. `kid` and `algorithm` of the purpose go before the key's own. */
export function keyFromJwk(jwk: unknown, purpose: KeyPurpose): VerificationKey | Unusable {
  if (!isRecord(jwk)) return { unusable: 'is not a JWK: a JSON object with "kty" is expected' };
  const misuse = misuseOf(jwk, purpose);
  if (misuse !== undefined) return { unusable: misuse };
  const key = jwk.kty === 'oct' ? secretOf(jwk) : publicKeyOf(jwk);
  if ('unusable' in key) return key;
  return forPurpose(key, {
    algorithms: purpose.algorithms,
    algorithm: purpose.algorithm ?? text(jwk.alg),
    kid: purpose.kid ?? text(jwk.kid),
  });
}

// RFC 7517 4.2 to 4.5.
function misuseOf(jwk: Readonly<Record<string, unknown>>, { algorithm }: KeyPurpose): string | undefined {
  if (jwk.kid !== undefined && typeof jwk.kid !== 'string') return 'has a "kid" that is not a string';
  if (jwk.alg !== undefined && typeof jwk.alg !== 'string') return 'has an "alg" that is not a string';
  if (algorithm !== undefined && jwk.alg !== undefined && jwk.alg !== algorithm)
    return `has an "alg" that is not ${algorithm}, as the config says`;
  if (jwk.use !== undefined && jwk.use !== 'sig') return 'is not for signatures ("use" is not "sig")';
  const { key_ops: operations } = jwk;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'is not for verifying ("key_ops" lacks "verify")';
  return undefined;
}

function secretOf({ k }: Readonly<Record<string, unknown>>): KeyObject | Unusable {
  if (typeof k !== 'string' || !BASE64URL.test(k)) return { unusable: 'has no "k" in base64url' };
  return createSecretKey(Buffer.from(k, 'base64url'));
}

// Only the members named here are read: `x5c` and `x5u` play no part.
function publicKeyOf(jwk: Readonly<Record<string, unknown>>): KeyObject | Unusable {
  const { kty } = jwk;
  const names = PUBLIC_MEMBERS.get(kty);
  if (typeof kty !== 'string' || names === undefined)
    return { unusable: 'has a "kty" that is not RSA, EC, OKP or oct' };
  if ('d' in jwk) return { unusable: 'is a private key ("d"): name the public members alone' };
  const members: Record<string, string> = { kty };
  for (const name of names) {
    const value = jwk[name];
    if (typeof value !== 'string') return { unusable: `lacks "${name}"` };
    members[name] = value;
  }
  return (
    publicKey(() => createPublicKey({ key: members, format: 'jwk' })) ?? {
      unusable: 'holds no valid public key',
    }
  );
}

function publicKey(create: () => KeyObject): KeyObject | undefined {
  try {
    return create();
  } catch {
    // What OpenSSL and Node say of malformed keys: ERR_OSSL_*, ERR_CRYPTO_INVALID_JWK, ERR_INVALID_ARG_VALUE.
    return undefined;
  }
}

function forPurpose(key: KeyObject, { algorithms, algorithm, kid }: KeyPurpose): VerificationKey | Unusable {
  const wanted = algorithm === undefined ? algorithms : algorithms.filter((name) => name === algorithm);
  if (wanted.length === 0)
    return { unusable: `is for ${algorithm}, which is not among the allowed algorithms` };
  const served = wanted.filter((name) => fits(key, name));
  if (served.length > 0) return { kid, algorithms: new Set(served), key, voucher: { isWithdrawn: false } };
  const needs = wanted.map((name) => `${name} needs ${describeNeed(name)}`);
  return { unusable: `is ${describeKey(key)}, but ${needs.join(', ')}` };
}

/**
 * What is held from now on by whoever held the `old` keys and reads `fresh` ones: a key that is still there stays the very
 * same, so that a rotation costs nobody anything; a key that is not vouches for nothing any more.
 */
export function replaceKeys(
  old: readonly VerificationKey[],
  fresh: readonly VerificationKey[],
): readonly VerificationKey[] {
  const keys = fresh.map((key) => old.find((known) => isSame(known, key)) ?? key);
  for (const key of old) if (!keys.includes(key)) key.voucher.isWithdrawn = true;
  return keys;
}

// The id counts too: a token that names it is not tried with the same key under another.
function isSame(a: VerificationKey, b: VerificationKey): boolean {
  return a.kid === b.kid && [...a.algorithms].join() === [...b.algorithms].join() && a.key.equals(b.key);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
