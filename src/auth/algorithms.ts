import type { KeyObject } from 'node:crypto';

/** The key that an algorithm is defined for. */
type Need =
  | { readonly type: 'secret'; readonly bytes: number }
  | { readonly type: 'rsa' }
  | { readonly type: 'ec'; readonly namedCurve: string; readonly curve: string }
  | { readonly type: 'ed25519' };

/** RFC 7518 3.3, 3.5. */
const RSA_BITS = 2048;

// RFC 7518 3.2: a secret has at least the size of the hash. RFC 7518 3.3 to 3.5, RFC 8037 3.1, RFC 9864 2.2.
// A Map, so that no name that a token brings finds what every object inherits. `none` has no entry, nor will it have.
const NEEDS: ReadonlyMap<string, Need> = new Map<string, Need>([
  ['HS256', { type: 'secret', bytes: 32 }],
  ['HS384', { type: 'secret', bytes: 48 }],
  ['HS512', { type: 'secret', bytes: 64 }],
  ['RS256', { type: 'rsa' }],
  ['RS384', { type: 'rsa' }],
  ['RS512', { type: 'rsa' }],
  ['PS256', { type: 'rsa' }],
  ['PS384', { type: 'rsa' }],
  ['PS512', { type: 'rsa' }],
  ['ES256', { type: 'ec', namedCurve: 'prime256v1', curve: 'P-256' }],
  ['ES384', { type: 'ec', namedCurve: 'secp384r1', curve: 'P-384' }],
  ['ES512', { type: 'ec', namedCurve: 'secp521r1', curve: 'P-521' }],
  ['EdDSA', { type: 'ed25519' }],
  ['Ed25519', { type: 'ed25519' }],
]);

/** Every signature algorithm that a token may be accepted with. */
export const ALGORITHMS: readonly string[] = [...NEEDS.keys()];

/** Whether the algorithm signs with a shared secret, which no key set on the web may hold. */
export function isSymmetric(algorithm: string): boolean {
  return NEEDS.get(algorithm)?.type === 'secret';
}

/**
 * Whether `key` is of the one kind that `algorithm` is defined for. This is what keeps a public key from serving as
 * an HMAC secret (RS256 to HS256 confusion): a key object is either a secret or public, whatever the token says.
 */
export function fits(key: KeyObject, algorithm: string): boolean {
  const need = NEEDS.get(algorithm);
  switch (need?.type) {
    case undefined:
      return false;
    case 'secret':
      return key.type === 'secret' && (key.symmetricKeySize ?? 0) >= need.bytes;
    case 'rsa': {
      const { modulusLength = 0, publicExponent = 1n } = key.asymmetricKeyDetails ?? {};
      return isPublic(key, 'rsa') && modulusLength >= RSA_BITS && publicExponent > 1n;
    }
    case 'ec':
      return isPublic(key, 'ec') && key.asymmetricKeyDetails?.namedCurve === need.namedCurve;
    case 'ed25519':
      return isPublic(key, 'ed25519');
  }
}

function isPublic(key: KeyObject, type: string): boolean {
  return key.type === 'public' && key.asymmetricKeyType === type;
}

/** What an algorithm asks of a key, for an error: `a secret of 32 bytes or more`. */
export function describeNeed(algorithm: string): string {
  const need = NEEDS.get(algorithm);
  switch (need?.type) {
    case undefined:
      return 'a key of another library';
    case 'secret':
      return `a secret of ${need.bytes} bytes or more`;
    case 'rsa':
      return `an RSA key of ${RSA_BITS} bits or more`;
    case 'ec':
      return `an EC key on ${need.curve}`;
    case 'ed25519':
      return 'an Ed25519 key';
  }
}

/** What a key is, for an error: `an RSA key of 1024 bits`. Nothing of the key itself. */
export function describeKey(key: KeyObject): string {
  if (key.type === 'secret') return `a secret of ${key.symmetricKeySize} bytes`;
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const details =
    modulusLength === undefined ? namedCurve && ` on ${namedCurve}` : ` of ${modulusLength} bits`;
  return `a public key (${key.asymmetricKeyType ?? 'unknown'})${details ?? ''}`;
}
