export type Claims = Readonly<Record<string, unknown>>;

/** Who is at the other end of a stream, as far as that is known. */
export interface Visitor {
  readonly subject: string | undefined;
  readonly claims: Claims;
}

/** A member as others see it: a user, or where no token names one, a stream. */
export interface Shown {
  readonly user?: string;
  /** Of the stream. */
  readonly id?: string;
  readonly claims?: Claims;
}

/** Claims that one member shows, in bytes of JSON. */
const MAX_CLAIMS_BYTES = 1024;

/** Names who is on a channel of which only counts whether anybody is there. Nobody is shown it, not even where that has changed a moment ago. */
export const SOMEBODY = '';

/** Names a member among those of a channel, on every instance alike: a user is one, on however many streams. */
export function keyOf(connection: string, visitor: Visitor | undefined): string {
  return visitor?.subject === undefined ? `c:${connection}` : `u:${visitor.subject}`;
}

export function shown(key: string, claims: Claims | undefined): Shown {
  const name = key.slice(2);
  const who = key.startsWith('u:') ? { user: name } : { id: name };
  return claims === undefined ? who : { ...who, claims };
}

/** The claims of these names, in that order, as far as they fit; `undefined` where there are none. */
export function chosenClaims(names: readonly string[], visitor: Visitor | undefined): Claims | undefined {
  if (visitor === undefined || names.length === 0) return undefined;
  const chosen = new Map<string, unknown>();
  // Both braces, less the comma that the first one has none of.
  let bytes = 1;
  for (const name of names) {
    if (!Object.hasOwn(visitor.claims, name)) continue;
    const value = visitor.claims[name];
    bytes += Buffer.byteLength(JSON.stringify({ [name]: value })) - 1;
    if (bytes > MAX_CLAIMS_BYTES) break;
    chosen.set(name, value);
  }
  return chosen.size === 0 ? undefined : Object.fromEntries(chosen);
}
