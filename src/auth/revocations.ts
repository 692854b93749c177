import type { Clock } from '../clock.ts';
import type { Identity } from './identity.ts';

/** Whose tokens are no longer good. Exactly one kind. */
export type RevocationTarget =
  /** Every token of a user that was issued up to `issuedBeforeMs`. */
  | { readonly user: string; readonly issuedBeforeMs: number }
  /** One token, by its `jti`. */
  | { readonly tokenId: string }
  /** Every token of anybody that was issued up to then. */
  | { readonly issuedBeforeMs: number };

/** Times in milliseconds since the Unix epoch. */
export interface Revocation {
  readonly target: RevocationTarget;
  /** Until when it is remembered: no later than the last token it names expires by itself. */
  readonly untilMs: number;
}

/** Most revocations remembered at once; the one that ends first gives way. */
export const MAX_REVOCATIONS = 100_000;

/**
 * What is revoked, in memory. A token without `iat` counts as issued at the beginning of time: what cannot be shown to
 * be newer than the revocation is refused.
 */
export class Revocations {
  readonly #clock: Clock;
  readonly #users = new Map<string, { issuedBeforeMs: number; untilMs: number }>();
  readonly #tokens = new Map<string, number>();
  #everybody = { issuedBeforeMs: Number.NEGATIVE_INFINITY, untilMs: Number.NEGATIVE_INFINITY };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#users.size + this.#tokens.size + Number(this.#everybody.untilMs > this.#clock.wall());
  }

  /** Remembers a revocation; of two for the same user the wider counts. */
  add({ target, untilMs }: Revocation): void {
    if (untilMs <= this.#clock.wall()) return;
    if ('tokenId' in target) {
      this.#tokens.set(target.tokenId, Math.max(untilMs, this.#tokens.get(target.tokenId) ?? 0));
      trim(this.#tokens, (until) => until);
    } else if ('user' in target) {
      this.#users.set(target.user, widest(this.#users.get(target.user), { ...target, untilMs }));
      trim(this.#users, (entry) => entry.untilMs);
    } else this.#everybody = widest(this.#everybody, { ...target, untilMs });
  }

  isRevoked(identity: Identity): boolean {
    const nowMs = this.#clock.wall();
    const { subject, tokenId, issuedAtMs = Number.NEGATIVE_INFINITY } = identity;
    if (tokenId !== undefined && (this.#tokens.get(tokenId) ?? 0) > nowMs) return true;
    const user = subject === undefined ? undefined : this.#users.get(subject);
    return [user, this.#everybody].some(
      (entry) => entry !== undefined && entry.untilMs > nowMs && issuedAtMs <= entry.issuedBeforeMs,
    );
  }

  /** Forgets what has ended; called now and then. */
  sweep(): void {
    const nowMs = this.#clock.wall();
    for (const [tokenId, untilMs] of this.#tokens) if (untilMs <= nowMs) this.#tokens.delete(tokenId);
    for (const [user, { untilMs }] of this.#users) if (untilMs <= nowMs) this.#users.delete(user);
  }
}

function widest<T extends { issuedBeforeMs: number; untilMs: number }>(known: T | undefined, added: T): T {
  if (known === undefined) return added;
  return {
    ...added,
    issuedBeforeMs: Math.max(known.issuedBeforeMs, added.issuedBeforeMs),
    untilMs: Math.max(known.untilMs, added.untilMs),
  };
}

// Over the bound, which no ordinary use comes near, the entries that would end first anyway are given up, a tenth at a time.
function trim<V>(entries: Map<string, V>, endsAtMs: (value: V) => number): void {
  if (entries.size <= MAX_REVOCATIONS) return;
  const first = [...entries].sort(([, a], [, b]) => endsAtMs(a) - endsAtMs(b)).slice(0, MAX_REVOCATIONS / 10);
  for (const [key] of first) entries.delete(key);
}
