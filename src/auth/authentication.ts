import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import type { Destination, Router } from '../routing/router.ts';
import { AccessCallouts } from './access-callout.ts';
import type { AskingVerifier } from './asking-verifier.ts';
import { Authenticator } from './authenticator.ts';
import { type CalloutDeps, createCalloutVerifier } from './callout.ts';
import type { Verifier } from './identity.ts';
import { createIntrospectionVerifier } from './introspection.ts';
import type { KeySetCounts } from './jwks.ts';
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
  readonly request: CalloutDeps['request'];
  /** Whether a channel may be read now; whoever is on it without asking is left out otherwise. */
  isOpen(destination: Destination): boolean;
  /** Tells the other instances that a ticket is used; says whether it was before. Never rejects. */
  claimTicket(key: string): Promise<Claim>;
}

/** What a JWT says is good until it expires; only how many are kept is bounded. */
const JWT_MAX_TTL_MS = 365 * 24 * 60 * 60 * 1000;
/** Longest answer of a service that is asked, in bytes: claims are small. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** What a config makes of the room: who checks which tokens, who is asked. */
interface Means {
  readonly config: Config['auth'];
  /** For JWTs, whether or not there is anybody whose are taken. */
  readonly jwt: CachedVerifier;
  readonly asked: AskingVerifier | undefined;
  readonly opaque: CachedVerifier | undefined;
  readonly callouts: AccessCallouts;
}

/** Another config for the room, with all that it takes at hand. */
export interface PreparedAuthentication {
  /** Goes by it from now on. */
  adopt(): void;
  /** Lets go of it. */
  discard(): void;
}

/** All of the room, wired by the config: an authenticator, and what it needs started and stopped. */
export class Authentication {
  readonly authenticator: Authenticator;
  readonly #options: AuthenticationOptions;
  readonly #jwt: JwtVerifier;
  #means: Means;

  constructor(options: AuthenticationOptions) {
    const { config, router, revocations, clock, log, claimTicket } = options;
    this.#options = options;
    this.#jwt = createJwtVerifier(config.jwt, { clock, log });
    // A copy: what is given may change, and is held against what it is then.
    this.#means = this.#made({ ...config });
    const tickets = new UsedTickets({ clock, log, claim: claimTicket });
    const means = () => this.#means;
    const hasIssuers = () => this.#jwt.hasIssuers;
    this.authenticator = new Authenticator({
      router,
      revocations,
      get jwt() {
        return hasIssuers() ? means().jwt : undefined;
      },
      get opaque() {
        return means().opaque;
      },
      isOpen: (destination) => options.isOpen(destination),
      redeem: (ticket) => tickets.redeem(ticket),
      askAccess: (...question) => means().callouts.ask(...question),
    });
  }

  /**
   * Makes ready for another config; what stays as it is keeps what it knows.
   * @throws SidestreamError CONFIG_INVALID — a key is of no use, or a key set cannot be fetched
   */
  async prepare(config: Config['auth']): Promise<PreparedAuthentication> {
    // What could throw does so now.
    this.#made(config, this.#means);
    const issuers = await this.#jwt.prepare(config.jwt);
    return {
      adopt: () => {
        const isChanged = !isDeepStrictEqual(config.jwt, this.#means.config.jwt);
        this.#jwt.adopt(issuers);
        this.#means = this.#made(config, this.#means);
        if (isChanged) this.#means.jwt.forgiveBad();
        this.authenticator.rerouted();
      },
      discard: () => this.#jwt.discard(issuers),
    };
  }

  #made(config: Config['auth'], before?: Means): Means {
    const stays = (...keys: (keyof Config['auth'])[]) =>
      before !== undefined && keys.every((key) => isDeepStrictEqual(config[key], before.config[key]));
    const keepsCaches = stays('cache');
    const keepsAsked = stays('introspection', 'callout');
    const asked = keepsAsked ? before?.asked : opaqueVerifier(config, this.#options, before?.asked?.counts);
    const { maxTtlMs } = config.cache;
    return {
      config,
      jwt:
        (keepsCaches ? before?.jwt : undefined) ??
        this.#cached(this.#jwt, JWT_MAX_TTL_MS, config, before?.jwt),
      asked,
      opaque:
        (keepsCaches && keepsAsked ? before?.opaque : undefined) ??
        (asked && this.#cached(asked, maxTtlMs, config, before?.opaque)),
      callouts:
        (stays('access') ? before?.callouts : undefined) ??
        new AccessCallouts(
          { ...config.access, maxBytes: MAX_ANSWER_BYTES },
          this.#options,
          before?.callouts.counts,
        ),
    };
  }

  /** Goes on counting where the one before it ends. */
  #cached(
    verifier: Verifier,
    ttlMs: number,
    { cache }: Config['auth'],
    before?: CachedVerifier,
  ): CachedVerifier {
    const { size: maxTokens, badTtlMs } = cache;
    const made = new CachedVerifier(verifier, { maxTokens, badTtlMs, maxTtlMs: ttlMs }, this.#options.clock);
    made.hits = before?.hits ?? 0;
    made.misses = before?.misses ?? 0;
    return made;
  }

  /** Tokens that were known, and those that had to be checked. */
  get checks(): { readonly hit: number; readonly miss: number } {
    const { jwt, opaque } = this.#means;
    return { hit: jwt.hits + (opaque?.hits ?? 0), miss: jwt.misses + (opaque?.misses ?? 0) };
  }

  /** Questions sent to each service that is configured. */
  get questions(): [{ readonly service: string }, number][] {
    return this.#services.map(([service, { questions }]) => [{ service }, questions]);
  }

  /** Questions that each left without an answer of use, by why. */
  get faults(): [{ readonly service: string; readonly fault: string }, number][] {
    return this.#services.flatMap(([service, { faults }]) =>
      Object.entries(faults).map(([fault, n]): [{ service: string; fault: string }, number] => [
        { service, fault },
        n,
      ]),
    );
  }

  /** By their key under `auth`. */
  get #services(): [string, ServiceCounts][] {
    const { config, asked, callouts } = this.#means;
    const services: [string, ServiceCounts][] = [];
    if (asked !== undefined)
      services.push([config.introspection === undefined ? 'callout' : 'introspection', asked.counts]);
    const { routes } = this.#options.router;
    if (routes.some((route) => route.config.access.some(({ kind }) => kind === 'callout')))
      services.push(['access', callouts.counts]);
    return services;
  }

  /** Attempts to fetch each key set, and those of them that failed. */
  get keySets(): [{ readonly url: string }, KeySetCounts][] {
    return [...this.#jwt.keySets].map(([url, counts]) => [{ url }, counts]);
  }

  /** Reads keys. @throws SidestreamError CONFIG_INVALID — a configured key is of no use */
  async start(): Promise<void> {
    await this.#jwt.start();
  }

  stop(): void {
    this.#jwt.stop();
  }
}

function opaqueVerifier(
  config: Config['auth'],
  deps: Pick<AuthenticationOptions, 'clock' | 'log' | 'request'>,
  counts: ServiceCounts | undefined,
): AskingVerifier | undefined {
  if (config.introspection !== undefined) {
    return createIntrospectionVerifier({ ...config.introspection, maxBytes: MAX_ANSWER_BYTES }, deps, counts);
  }
  if (config.callout === undefined) return undefined;
  return createCalloutVerifier({ ...config.callout, maxBytes: MAX_ANSWER_BYTES }, deps, counts);
}
