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
    case 'claim':
      return lists(claimAt(claims, rule.claim), channel);
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

/** Longest list that is looked at; a longer one holds nothing. */
const MAX_PATTERNS = 1000;
/** Longest pattern that is looked at, in characters; no channel's name is longer. */
const MAX_PATTERN_LENGTH = 256;
/** Most `*` in a pattern that is looked at. */
const MAX_STARS = 16;

/** Bounded in all it may cost: an issuer signs what its users choose, perhaps, and every request is held against it. */
function lists(patterns: unknown, channel: string): boolean {
  if (!Array.isArray(patterns) || patterns.length > MAX_PATTERNS) return false;
  return patterns.some((pattern) => typeof pattern === 'string' && matches(pattern, channel));
}

/** `*` in a pattern stands for characters other than a dot, at least one; everything else for itself. */
function matches(pattern: string, channel: string): boolean {
  if (pattern.length > MAX_PATTERN_LENGTH) return false;
  if (!pattern.includes('*')) return pattern === channel;
  if (pattern.split('*').length > MAX_STARS + 1) return false;
  // No `*` reaches over a dot, so that each token is matched by itself.
  const tokens = channel.split('.');
  const parts = pattern.split('.');
  return (
    parts.length === tokens.length && parts.every((part, index) => matchesToken(part, tokens[index] ?? ''))
  );
}

/**
 * Looks for each piece between two `*` where it first occurs: if the rest does not follow from there, it does from nowhere.
 * Not a RegExp, which would go back and try the others: `*a*a*a*b` must not cost exponential time.
 */
function matchesToken(part: string, token: string): boolean {
  const [first = '', ...pieces] = part.split('*');
  const last = pieces.pop();
  if (last === undefined) return part === token;
  if (!token.startsWith(first) || !token.endsWith(last)) return false;
  let end = first.length;
  for (const piece of pieces) {
    const start = token.indexOf(piece, end + 1);
    if (start === -1) return false;
    end = start + piece.length;
  }
  return end + 1 <= token.length - last.length;
}
