import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import type { Router } from '../routing/router.ts';
import { Authenticator } from './authenticator.ts';
import {
  type AccessCallout,
  type CalloutOptions,
  createAccessCallout,
  createCalloutVerifier,
} from './callout.ts';
import type { Identity, Verifier } from './identity.ts';
import { createIntrospectionVerifier } from './introspection.ts';
import { createJwtVerifier, type JwtVerifier } from './jwt.ts';
import type { Revocations } from './revocations.ts';
import { CachedVerifier } from './verified.ts';

export interface AuthenticationOptions {
  readonly config: Config['auth'];
  readonly router: Router;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks a service over NATS; rejects where none answers. */
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
}

/** What a JWT says is good until it expires; only how many are kept is bounded. */
const JWT_MAX_TTL_MS = 365 * 24 * 60 * 60 * 1000;
/** Longest answer of a service that is asked, in bytes: claims are small. */
const MAX_ANSWER_BYTES = 64 * 1024;
const DEFAULT_CALLOUT = { timeoutMs: 2000, concurrency: 64 };

/** All of the room, wired by the config: an authenticator, and what it needs started and stopped. */
export class Authentication {
  readonly authenticator: Authenticator;
  readonly #jwt: JwtVerifier | undefined;
  readonly #caches: readonly CachedVerifier[];

  constructor({ config, router, revocations, clock, log, request }: AuthenticationOptions) {
    const { size: maxTokens, badTtlMs, maxTtlMs } = config.cache;
    const cached = (verifier: Verifier, ttlMs: number) =>
      new CachedVerifier(verifier, { maxTokens, badTtlMs, maxTtlMs: ttlMs }, clock);
    this.#jwt = config.jwt.length === 0 ? undefined : createJwtVerifier(config.jwt, { clock, log });
    const jwt = this.#jwt === undefined ? undefined : cached(this.#jwt, JWT_MAX_TTL_MS);
    const limits = { ...DEFAULT_CALLOUT, ...config.callout };
    const callout = (subject: string): CalloutOptions => ({ ...limits, subject, maxBytes: MAX_ANSWER_BYTES });
    const asked = opaqueVerifier(config, callout, { clock, log, request });
    const opaque = asked === undefined ? undefined : cached(asked, maxTtlMs);
    this.#caches = [jwt, opaque].filter((cache) => cache !== undefined);
    const accessCallouts = new Map<string, AccessCallout>();
    this.authenticator = new Authenticator({
      router,
      revocations,
      ...(jwt !== undefined && { jwt }),
      ...(opaque !== undefined && { opaque }),
      askAccess: (subject, identity, channel, about) => {
        const known = accessCallouts.get(subject);
        const asking = known ?? createAccessCallout(callout(subject), { clock, log, request });
        if (known === undefined) accessCallouts.set(subject, asking);
        return asking.allow(identity, channel, about);
      },
    });
  }

  /** Tokens that were known, and those that had to be checked. */
  get checks(): { readonly hit: number; readonly miss: number } {
    const sum = (read: (cache: CachedVerifier) => number) =>
      this.#caches.reduce((total, cache) => total + read(cache), 0);
    return { hit: sum((cache) => cache.hits), miss: sum((cache) => cache.misses) };
  }

  get jwksFetches(): { readonly all: number; readonly failed: number } {
    return { all: this.#jwt?.jwksFetches ?? 0, failed: this.#jwt?.jwksFailures ?? 0 };
  }

  /** Reads keys. @throws SidestreamError CONFIG_INVALID — a configured key is of no use */
  async start(): Promise<void> {
    await this.#jwt?.start();
  }

  stop(): void {
    this.#jwt?.stop();
  }

  /** Drops what is remembered of identities that are no longer good. */
  forget(matches: (identity: Identity) => boolean): void {
    for (const cache of this.#caches) cache.forget(matches);
  }
}

function opaqueVerifier(
  config: Config['auth'],
  callout: (subject: string) => CalloutOptions,
  deps: Pick<AuthenticationOptions, 'clock' | 'log' | 'request'>,
): Verifier | undefined {
  if (config.introspection !== undefined) {
    return createIntrospectionVerifier({ ...config.introspection, maxBytes: MAX_ANSWER_BYTES }, deps);
  }
  if (config.callout === undefined) return undefined;
  return createCalloutVerifier(callout(config.callout.subject), deps);
}
