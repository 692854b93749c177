import { type KeyPurpose, keyFromJwk, type VerificationKey } from './keys.ts';

/** A JWK Set (RFC 7517 5) as far as it serves. */
export interface KeySet {
  readonly keys: readonly VerificationKey[];
  /** The others: which, and why not. RFC 7517 5: what is not understood is ignored, the rest serves. */
  readonly skipped: readonly string[];
}

export interface KeySetPurpose extends KeyPurpose {
  /** `refused` for a set that comes over the network: whoever can read it could sign. */
  readonly secrets: 'taken' | 'refused';
}

const MAX_KID = 64;

/** @throws Error saying what is wrong, where `json` is no JWK Set at all; nothing of the text stands in it */
export function parseKeySet(json: string, { secrets, ...purpose }: KeySetPurpose): KeySet {
  const keys: VerificationKey[] = [];
  const skipped: string[] = [];
  for (const [index, jwk] of membersOf(json).entries()) {
    const key = keyFromJwk(jwk, purpose);
    if ('unusable' in key) skipped.push(`${nameOf(jwk, index)} ${key.unusable}`);
    else if (key.key.type === 'secret' && secrets === 'refused')
      skipped.push(`${nameOf(jwk, index)} is a secret`);
    else keys.push(key);
  }
  return { keys, skipped };
}

function membersOf(json: string): readonly unknown[] {
  const set = parse(json);
  const keys = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(keys))
    throw new Error('is not a JWK Set: a JSON object with an array "keys" is expected');
  return keys;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // SyntaxError, whose text would quote the content.
    throw new Error('is not JSON');
  }
}

function nameOf(jwk: unknown, index: number): string {
  const kid = typeof jwk === 'object' && jwk !== null && 'kid' in jwk ? jwk.kid : undefined;
  return typeof kid === 'string' ? `key "${kid.slice(0, MAX_KID)}"` : `key ${index + 1}`;
}
