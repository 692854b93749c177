import type { AccessConfig } from '../config/schema.ts';
import type { Destination } from '../routing/router.ts';
import type { Identity } from './identity.ts';

/** Whether an identity may read a channel; or what must be asked to know. */
export type Decision =
  | 'allow'
  | 'deny'
  /** Nobody may without an identity; with one, perhaps. */
  | 'authenticate'
  | { readonly ask: string };

/** Longest claim value that may stand in a subject, in characters. */
const MAX_VALUE_LENGTH = 128;
const SAFE_VALUE = /^[A-Za-z0-9_:~-]+$/;

/**
 * Decides a route's `access`. Deny by default: only what a rule allows in so many words is allowed.
 * Where several rules are given, any one that allows is enough; one that has to be asked is asked only when no other allows.
 */
export function decideAccess(
  rules: readonly AccessConfig[],
  identity: Identity | undefined,
  { channel, params }: Pick<Destination, 'channel' | 'params'>,
): Decision {
  let ask: string | undefined;
  for (const rule of rules) {
    if (rule.kind === 'public') return 'allow';
    if (rule.kind === 'callout') ask ??= rule.subject;
    else if (identity !== undefined && holds(rule, identity, channel, params)) return 'allow';
  }
  if (ask !== undefined) return { ask };
  return identity === undefined ? 'authenticate' : 'deny';
}

function holds(
  rule: Exclude<AccessConfig, { kind: 'public' | 'callout' }>,
  { claims }: Identity,
  channel: string,
  params: Readonly<Record<string, string>>,
): boolean {
  switch (rule.kind) {
    case 'authenticated':
      return true;
    case 'where':
      return Object.entries(rule.where).every(
        ([name, claim]) => params[name] !== undefined && params[name] === safeClaim(claims, claim),
      );
    case 'claim': {
      const patterns = claimAt(claims, rule.claim);
      return Array.isArray(patterns) && patterns.some((pattern) => matches(pattern, channel));
    }
  }
}

/** A claim's value where it can stand as one subject token: a short string of safe characters, or a whole number. */
export function safeClaim(claims: Readonly<Record<string, unknown>>, path: string): string | undefined {
  const value = claimAt(claims, path);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
  if (typeof value !== 'string' || value.length > MAX_VALUE_LENGTH) return undefined;
  return SAFE_VALUE.test(value) ? value : undefined;
}

/** `sub`, or a path: `sidestream.channels` is the claim of that very name, else `channels` inside `sidestream`. */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    // Its own members only: `constructor` is no claim.
    value = Object.entries(value).find(([key]) => key === name)?.[1];
  }
  return value;
}

/** Longest pattern that is looked at, in characters; no channel's name is longer. */
const MAX_PATTERN_LENGTH = 256;

/**
 * `*` in a pattern stands for characters other than a dot, at least one; everything else for itself. All ways are
 * followed at once and not by a RegExp: a claim like `*a*a*a*a*b` must not cost exponential time.
 */
function matches(pattern: unknown, channel: string): boolean {
  if (typeof pattern !== 'string' || pattern.length > MAX_PATTERN_LENGTH) return false;
  if (!pattern.includes('*')) return pattern === channel;
  // reached[i]: what was read of the channel can be what the pattern's first i characters stand for.
  const reached = new Uint8Array(pattern.length + 1);
  reached[0] = 1;
  for (const character of channel) {
    // Backwards, so that what is left of `end` is still of the character before.
    for (let end = pattern.length; end > 0; end -= 1) {
      const before = reached[end - 1] ?? 0;
      const piece = pattern[end - 1];
      if (piece === '*') reached[end] = character === '.' ? 0 : before | (reached[end] ?? 0);
      else reached[end] = piece === character ? before : 0;
    }
    reached[0] = 0;
  }
  return reached[pattern.length] === 1;
}
