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
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = Object.entries(value).find(([key]) => key === name)?.[1];
  }
  return value;
}

/** `*` in a pattern stands for characters other than a dot, at least one; everything else for itself. */
function matches(pattern: unknown, channel: string): boolean {
  if (typeof pattern !== 'string' || pattern === '' || pattern.length > 256) return false;
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === channel;
  // Walked by hand and not by a RegExp: a claim like `*a*a*a*a*b` must not cost exponential time.
  return channel.startsWith(first) && matchRest(rest, channel, first.length);
}

function matchRest(pieces: readonly string[], channel: string, from: number): boolean {
  // reach[i]: the pieces so far can end at position i.
  let reach = new Set([from]);
  for (const [index, piece] of pieces.entries()) {
    const last = index === pieces.length - 1;
    const next = new Set<number>();
    for (const start of reach) {
      for (let end = start + 1; end <= channel.length && channel[end - 1] !== '.'; end += 1) {
        if (channel.startsWith(piece, end) && (!last || end + piece.length === channel.length))
          next.add(end + piece.length);
      }
    }
    reach = next;
  }
  return reach.size > 0;
}
