import { createHash } from 'node:crypto';
import type { Revocation, RevocationTarget } from '../../auth/revocations.ts';

/**
 * Names a target in the bucket, and in the ledger: one key per user, per token, and one for everybody. Hashed, because a
 * key holds few characters and a user's name any. `printf 42 | sha256sum` finds a user's.
 */
export function keyOf(target: RevocationTarget): string {
  if ('tokenId' in target) return `token.${sha256(target.tokenId)}`;
  return 'user' in target ? `user.${sha256(target.user)}` : 'everybody';
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A bucket's value. Public: other instances, of other versions too, read it. */
export function encodeRecord({ target, untilMs }: Revocation): string {
  return JSON.stringify({ ...target, untilMs });
}

/** Reads a bucket's value under `key`; `undefined` where it is none of ours. */
export function decodeRecord(key: string, bytes: Uint8Array): Revocation | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // SyntaxError: somebody else wrote into the bucket.
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { user, tokenId, issuedBeforeMs, untilMs }: Partial<Record<string, unknown>> = { ...value };
  const target = toTarget(user, tokenId, issuedBeforeMs);
  if (target === undefined || !isTime(untilMs) || keyOf(target) !== key) return undefined;
  return { target, untilMs };
}

function toTarget(user: unknown, tokenId: unknown, issuedBeforeMs: unknown): RevocationTarget | undefined {
  if (typeof tokenId === 'string') return { tokenId };
  if (!isTime(issuedBeforeMs)) return undefined;
  return typeof user === 'string' ? { user, issuedBeforeMs } : { issuedBeforeMs };
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** Two revocations with the same key as one that revokes what either does. */
export function merge(a: Revocation, b: Revocation): Revocation {
  const untilMs = Math.max(a.untilMs, b.untilMs);
  if ('tokenId' in a.target || 'tokenId' in b.target) return { target: a.target, untilMs };
  const issuedBeforeMs = Math.max(a.target.issuedBeforeMs, b.target.issuedBeforeMs);
  return { target: { ...a.target, issuedBeforeMs }, untilMs };
}

/** Whether `a` already revokes all that `b`, with the same key, does. */
export function covers(a: Revocation, b: Revocation): boolean {
  const isLongEnough = a.untilMs >= b.untilMs;
  if ('tokenId' in a.target || 'tokenId' in b.target) return isLongEnough;
  return isLongEnough && a.target.issuedBeforeMs >= b.target.issuedBeforeMs;
}
