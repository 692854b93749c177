import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { Identity, Rejected, TokenFault, TokenRequest, Verification, Verifier } from './identity.ts';

export interface CacheOptions {
  /** Tokens kept: so many good ones, and so many bad ones; fewer, where their claims are long ({@link MEAN_BYTES}). 1 or more. */
  readonly maxTokens: number;
  /** Longest that a good token is not checked again, in milliseconds. It is dropped at its expiry in any case. */
  readonly maxTtlMs: number;
  /** How long a bad token is not checked again, in milliseconds. Short: it may only have been issued a moment too late. */
  readonly badTtlMs: number;
}

/** What stays true of a token. `unavailable` says nothing about it, and the others pass or are somebody else's to tell. */
const LASTING: ReadonlySet<TokenFault> = new Set(['invalid', 'malformed', 'expired']);

/** What the claims of all tokens that are kept may take, for each that may be: characters of JSON. Ordinary ones have a tenth. */
const MEAN_BYTES = 4096;

/** `untilMs` is in the clock's `now()`. */
interface Entry<T> {
  readonly verification: T;
  readonly untilMs: number;
}

/**
 * Remembers what another verifier found, so that a reconnect storm of known tokens costs a hash each. Good and bad tokens
 * are kept apart: rubbish in any quantity pushes no good token out. So are tickets, which come once each; knowing one says
 * nothing about whether it was used. Nothing outlives the key that vouched for it.
 *
 * The cache itself tells no time: to lru-cache an age equal to the limit is not too old, a limit of 0 is none, and its
 * clock may lag by a timer. Here an entry is over at its time, and an identity also when the wall clock says so.
 */
export class CachedVerifier implements Verifier {
  /** Tokens that were known. */
  hits = 0;
  /** Tokens that had to be checked. */
  misses = 0;
  readonly #inner: Verifier;
  readonly #options: CacheOptions;
  readonly #clock: Clock;
  readonly #good: LRUCache<string, Entry<Identity>>;
  readonly #tickets: LRUCache<string, Entry<Identity>>;
  readonly #bad: LRUCache<string, Entry<Rejected>>;

  constructor(inner: Verifier, options: CacheOptions, clock: Clock) {
    this.#inner = inner;
    this.#options = options;
    this.#clock = clock;
    const { maxTokens: max } = options;
    this.#good = new LRUCache({ max, maxSize: max * MEAN_BYTES });
    this.#tickets = new LRUCache({ max, maxSize: max * MEAN_BYTES });
    this.#bad = new LRUCache({ max });
  }

  /** Tokens held, good and bad, those included whose time is over. */
  get size(): number {
    return this.#good.size + this.#tickets.size + this.#bad.size;
  }

  /** Forgets which tokens were bad: somebody may take them now. */
  forgiveBad(): void {
    this.#bad.clear();
  }

  /** What is known of a token, at once; `undefined`: {@link verify} must find out. */
  peek(token: string): Verification | undefined {
    return this.#look(hash(token));
  }

  async verify(token: string, request: TokenRequest): Promise<Verification> {
    const key = hash(token);
    const known = this.#look(key);
    if (known !== undefined) return known;
    this.misses += 1;
    const verification = await this.#inner.verify(token, request);
    this.#keep(key, verification);
    return verification;
  }

  #look(key: string): Verification | undefined {
    const known = this.#good.get(key) ?? this.#tickets.get(key) ?? this.#bad.get(key);
    if (known === undefined) return undefined;
    const { verification, untilMs } = known;
    const isOver = untilMs <= this.#clock.now();
    if (isOver || (!('rejected' in verification) && hasEnded(verification, this.#clock))) {
      for (const cache of [this.#good, this.#tickets, this.#bad]) cache.delete(key);
      return undefined;
    }
    this.hits += 1;
    return verification;
  }

  #keep(key: string, verification: Verification): void {
    const nowMs = this.#clock.now();
    const { maxTtlMs, badTtlMs } = this.#options;
    if (!('rejected' in verification)) {
      const cache = verification.ticket === undefined ? this.#good : this.#tickets;
      if (maxTtlMs === 0 || hasEnded(verification, this.#clock)) return;
      const size = sizeOf(verification);
      if (size !== undefined) cache.set(key, { verification, untilMs: nowMs + maxTtlMs }, { size });
    } else if (badTtlMs > 0 && LASTING.has(verification.rejected)) {
      this.#bad.set(key, { verification, untilMs: nowMs + badTtlMs });
    }
  }
}

// The wall clock's to tell: a clock that was set, or a machine that slept, moves no other.
function hasEnded({ expiresAtMs = Infinity, ticket, voucher }: Identity, clock: Clock): boolean {
  if (voucher?.isWithdrawn === true) return true;
  return Math.min(expiresAtMs, ticket?.untilMs ?? Infinity) <= clock.wall();
}

/** Characters of JSON. `undefined`: nobody can tell, so it is not kept. */
function sizeOf({ claims }: Identity): number | undefined {
  try {
    return JSON.stringify(claims).length;
  } catch {
    // RangeError: nested too deeply for JSON.stringify, though not for JSON.parse.
    return undefined;
  }
}

// Never the token itself: a heap dump shows no credentials. `crypto.hash` would be quicker, but exists from Node 21 only.
function hash(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
