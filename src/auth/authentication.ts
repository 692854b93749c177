import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import type { Destination, Router } from '../routing/router.ts';
import { AccessCallouts } from './access-callout.ts';
import type { AskingVerifier } from './asking-verifier.ts';
import { Authenticator } from './authenticator.ts';
import { createCalloutVerifier } from './callout.ts';
import type { Verifier } from './identity.ts';
import { createIntrospectionVerifier } from './introspection.ts';
import { createJwtVerifier, type JwtVerifier } from './jwt.ts';
import type { Revocations } from './revocations.ts';
import type { ServiceCounts } from './service.ts';
import { type Claim, UsedTickets } from './used-tickets.ts';
import { CachedVerifier } from './verified.ts';

export interface AuthenticationOptions {
  readonly config: Config['auth'];
  readonly router: Router;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks a service over NATS; rejects where none answers. */
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Whether a channel may be read now; whoever is on it without asking is left out otherwise. */
  isOpen(destination: Destination): boolean;
  /** Tells the other instances that a ticket is used; says whether it was before. Never rejects. */
  claimTicket(key: string): Promise<Claim>;
}

/** What a JWT says is good until it expires; only how many are kept is bounded. */
const JWT_MAX_TTL_MS = 365 * 24 * 60 * 60 * 1000;
/** Longest answer of a service that is asked, in bytes: claims are small. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** All of the room, wired by the config: an authenticator, and what it needs started and stopped. */
export class Authentication {
  readonly authenticator: Authenticator;
  readonly #jwt: JwtVerifier | undefined;
  readonly #caches: readonly CachedVerifier[];
  /** By their key under `auth`. */
  readonly #services = new Map<string, ServiceCounts>();

  constructor(options: AuthenticationOptions) {
    const { config, router, revocations, clock, log, request, claimTicket } = options;
    const { size: maxTokens, badTtlMs, maxTtlMs } = config.cache;
    const cached = (verifier: Verifier, ttlMs: number) =>
      new CachedVerifier(verifier, { maxTokens, badTtlMs, maxTtlMs: ttlMs }, clock);
    this.#jwt = config.jwt.length === 0 ? undefined : createJwtVerifier(config.jwt, { clock, log });
    const jwt = this.#jwt === undefined ? undefined : cached(this.#jwt, JWT_MAX_TTL_MS);
    const asked = opaqueVerifier(config, { clock, log, request });
    const opaque = asked === undefined ? undefined : cached(asked, maxTtlMs);
    if (asked !== undefined)
      this.#services.set(config.introspection === undefined ? 'callout' : 'introspection', asked.counts);
    this.#caches = [jwt, opaque].filter((cache) => cache !== undefined);
    const callouts = new AccessCallouts(
      { ...config.access, maxBytes: MAX_ANSWER_BYTES },
      { clock, log, request },
    );
    if (router.routes.some((route) => route.config.access.some(({ kind }) => kind === 'callout')))
      this.#services.set('access', callouts.counts);
    const tickets = new UsedTickets({ clock, log, claim: claimTicket });
    this.authenticator = new Authenticator({
      router,
      revocations,
      ...(jwt !== undefined && { jwt }),
      ...(opaque !== undefined && { opaque }),
      isOpen: (destination) => options.isOpen(destination),
      redeem: (ticket) => tickets.redeem(ticket),
      askAccess: (...question) => callouts.ask(...question),
    });
  }

  /** Tokens that were known, and those that had to be checked. */
  get checks(): { readonly hit: number; readonly miss: number } {
    const sum = (read: (cache: CachedVerifier) => number) =>
      this.#caches.reduce((total, cache) => total + read(cache), 0);
    return { hit: sum((cache) => cache.hits), miss: sum((cache) => cache.misses) };
  }

  /** Questions sent to each service that is configured. */
  get questions(): [{ readonly service: string }, number][] {
    return [...this.#services].map(([service, { questions }]) => [{ service }, questions]);
  }

  /** Questions that each left without an answer of use, by why. */
  get faults(): [{ readonly service: string; readonly fault: string }, number][] {
    return [...this.#services].flatMap(([service, { faults }]) =>
      Object.entries(faults).map(([fault, n]): [{ service: string; fault: string }, number] => [
        { service, fault },
        n,
      ]),
    );
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
}

function opaqueVerifier(
  config: Config['auth'],
  deps: Pick<AuthenticationOptions, 'clock' | 'log' | 'request'>,
): AskingVerifier | undefined {
  if (config.introspection !== undefined) {
    return createIntrospectionVerifier({ ...config.introspection, maxBytes: MAX_ANSWER_BYTES }, deps);
  }
  if (config.callout === undefined) return undefined;
  return createCalloutVerifier({ ...config.callout, maxBytes: MAX_ANSWER_BYTES }, deps);
}
