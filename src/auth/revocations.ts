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
  /** Until when it is remembered: best no earlier than the last token it names expires by itself. */
  readonly untilMs: number;
}

/**
 * Most users and tokens remembered at once, which no ordinary use comes near. None gives way to another: that would let
 * somebody in again, and nobody would be told.
 */
export const MAX_REVOCATIONS = 100_000;
/** Full, it is looked through for what has ended at most this often. */
const FULL_SWEEP_MS = 1000;

interface Entry {
  readonly issuedBeforeMs: number;
  readonly untilMs: number;
}

/**
 * What is revoked, in memory. A token without `iat` counts as issued at the beginning of time: what cannot be shown to
 * be newer than the revocation is refused.
 */
export class Revocations {
  /** Called with the expiry of a token that is not revoked, in milliseconds since the Unix epoch. Control sets it. */
  onPassed: (expiresAtMs: number) => void = () => {};
  readonly #clock: Clock;
  readonly #max: number;
  readonly #users = new Map<string, Entry>();
  readonly #tokens = new Map<string, number>();
  #everybody: Entry = { issuedBeforeMs: Number.NEGATIVE_INFINITY, untilMs: Number.NEGATIVE_INFINITY };
  #sweptMs = Number.NEGATIVE_INFINITY;

  /** `max`: most users and tokens. */
  constructor(clock: Clock, max = MAX_REVOCATIONS) {
    this.#clock = clock;
    this.#max = max;
  }

  get size(): number {
    return this.#users.size + this.#tokens.size + Number(this.#everybody.untilMs > this.#clock.wall());
  }

  /**
   * Remembers a revocation; of two for the same user the wider counts. False: it is not remembered, because as many
   * others are as there may be. One of everybody, or of who is revoked already, always is.
   */
  add({ target, untilMs }: Revocation): boolean {
    if (untilMs <= this.#clock.wall()) return true;
    if ('tokenId' in target) {
      const known = this.#tokens.get(target.tokenId);
      if (known === undefined && this.#isFull()) return false;
      this.#tokens.set(target.tokenId, Math.max(untilMs, known ?? 0));
    } else if ('user' in target) {
      const known = this.#users.get(target.user);
      if (known === undefined && this.#isFull()) return false;
      this.#users.set(target.user, widest(known, target.issuedBeforeMs, untilMs));
    } else this.#everybody = widest(this.#everybody, target.issuedBeforeMs, untilMs);
    return true;
  }

  isRevoked(identity: Identity): boolean {
    const nowMs = this.#clock.wall();
    if (this.#isNamed(identity, nowMs)) return true;
    if (identity.expiresAtMs !== undefined) this.onPassed(identity.expiresAtMs);
    return false;
  }

  #isNamed({ subject, tokenId, issuedAtMs }: Identity, nowMs: number): boolean {
    if (tokenId !== undefined && (this.#tokens.get(tokenId) ?? 0) > nowMs) return true;
    const user = subject === undefined ? undefined : this.#users.get(subject);
    const issuedMs = issuedAtMs ?? Number.NEGATIVE_INFINITY;
    return [user, this.#everybody].some(
      (entry) => entry !== undefined && entry.untilMs > nowMs && issuedMs <= entry.issuedBeforeMs,
    );
  }

  /** Forgets what has ended; called now and then. */
  sweep(): void {
    const nowMs = this.#clock.wall();
    for (const [tokenId, untilMs] of this.#tokens) if (untilMs <= nowMs) this.#tokens.delete(tokenId);
    for (const [user, { untilMs }] of this.#users) if (untilMs <= nowMs) this.#users.delete(user);
  }

  #isFull(): boolean {
    if (this.#users.size + this.#tokens.size < this.#max) return false;
    const nowMs = this.#clock.now();
    if (nowMs - this.#sweptMs >= FULL_SWEEP_MS) {
      this.#sweptMs = nowMs;
      this.sweep();
    }
    return this.#users.size + this.#tokens.size >= this.#max;
  }
}

function widest(known: Entry | undefined, issuedBeforeMs: number, untilMs: number): Entry {
  return {
    issuedBeforeMs: Math.max(known?.issuedBeforeMs ?? issuedBeforeMs, issuedBeforeMs),
    untilMs: Math.max(known?.untilMs ?? untilMs, untilMs),
  };
}
