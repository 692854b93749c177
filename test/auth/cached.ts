import {
  type TokenFault,
  type TokenRequest,
  toIdentity,
  type Verification,
  type Verifier,
} from '../../src/auth/identity.ts';
import { CachedVerifier, type CacheOptions } from '../../src/auth/verified.ts';
import { ManualClock } from '../support/clock.ts';

export const REQUEST: TokenRequest = { address: '192.0.2.1', origin: '', userAgent: '', channels: [] };
export const OPTIONS: CacheOptions = { maxTokens: 100, maxTtlMs: 60_000, badTtlMs: 2_000 };

/** A verifier that finds what it is told to, and notes what it is asked. */
export class Notes implements Verifier {
  readonly asked: string[] = [];
  find: (token: string) => Verification | Promise<Verification> = (token) => toIdentity({ sub: token });

  async verify(token: string): Promise<Verification> {
    this.asked.push(token);
    return this.find(token);
  }
}

/** A cache over a verifier that takes every token for the name of its user, until it is told otherwise. */
export function setUp(options: Partial<CacheOptions> = {}) {
  const clock = new ManualClock();
  const inner = new Notes();
  const cached = new CachedVerifier(inner, { ...OPTIONS, ...options }, clock);
  const verify = (token: string) => cached.verify(token, REQUEST);
  const expiring = (sub: string, ms: number) => toIdentity({ sub, exp: (clock.wall() + ms) / 1000 });
  return { clock, inner, cached, verify, expiring };
}

/** What a verifier finds about a bad token. */
export const rejected = (fault: TokenFault): Verification => ({ rejected: fault, detail: '' });
