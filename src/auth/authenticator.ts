import type { RefusalCode } from '../reasons.ts';
import type { Destination, Route, Router } from '../routing/router.ts';
import { decideAccess, safeClaim } from './access.ts';
import type {
  Identity,
  Rejected,
  Ticket,
  TokenFault,
  TokenRequest,
  Verification,
  Verifier,
} from './identity.ts';
import { Pending } from './pending.ts';
import type { Revocations } from './revocations.ts';
import type { Redemption } from './used-tickets.ts';

/** A verifier that can tell at once what it knows already. */
export interface KnowingVerifier extends Verifier {
  peek(token: string): Verification | undefined;
}

export interface AuthenticatorOptions {
  readonly router: Router;
  readonly revocations: Revocations;
  /** For tokens that look like a JWT. */
  readonly jwt?: KnowingVerifier | undefined;
  /** For all others; for JWTs too where there is no `jwt`. */
  readonly opaque?: KnowingVerifier | undefined;
  /** Whether a channel may be read now, of those that nobody asks for. Default: all may. */
  readonly isOpen?: (destination: Destination) => boolean;
  /** Takes a ticket for used from now on; says whether it was not before. Never rejects. */
  redeem(ticket: Ticket): Promise<Redemption>;
  /** Asks on a NATS subject whether an identity may read a channel. */
  askAccess(
    subject: string,
    identity: Identity | undefined,
    channel: string,
    request: TokenRequest,
  ): Promise<'allow' | 'deny' | 'unavailable'>;
}

export interface Petition {
  readonly token: string | undefined;
  readonly request: TokenRequest;
  /** Whom the request counts against: an address, or an IPv6 network. */
  readonly client: string;
  readonly destinations: readonly Destination[];
  /** Whether a token that is not known yet may be checked for this caller now. */
  mayVerify(): boolean;
  /** What speaks against the stream besides the token: asked before a ticket is used up for it. */
  objection(permit: Permit): Objection | undefined;
}

export interface Objection {
  readonly refused: RefusalCode;
  /** The channel that is to blame, if one is. */
  readonly channel?: string;
  /** For the log at debug level: what exactly is wrong with the token. */
  readonly detail?: string;
}

export interface Permit {
  readonly identity: Identity | undefined;
  /** What was asked for, then the routes' automatic channels; without repeats. */
  readonly destinations: readonly Destination[];
}

export interface Denial extends Objection {
  /** Whether the token was checked for this request and found bad: such callers are slowed down. Others cost no check, or are honest. */
  readonly badToken: boolean;
}

const REFUSED_TICKETS: Readonly<Record<Exclude<Redemption, 'first'>, RefusalCode>> = {
  used: 'TOKEN_USED',
  unavailable: 'AUTH_UNAVAILABLE',
  expired: 'TOKEN_EXPIRED',
};

const FAULTS: Readonly<Record<TokenFault, RefusalCode>> = {
  malformed: 'TOKEN_INVALID',
  invalid: 'TOKEN_INVALID',
  'not-yet-valid': 'TOKEN_INVALID',
  expired: 'TOKEN_EXPIRED',
  revoked: 'TOKEN_REVOKED',
  unavailable: 'AUTH_UNAVAILABLE',
};

/**
 * Requests of one client that are under way at a time; what comes beyond is told to come back. Far fewer of those that a
 * service is asked about: it takes 64 by default. A signature takes a moment, but may have to wait for an issuer's keys.
 */
const MAX_PENDING = { signed: 512, asked: 64 } as const;

/** Three parts with dots between, as every JWS in compact form has (RFC 7515 7.1). */
const LOOKS_LIKE_JWT = /^[^.]+\.[^.]+\.[^.]*$/;

const TOO_MANY: Denial = { refused: 'AUTH_RATE', badToken: false };
// With the next attempt it is known whether another key vouches for it.
const WITHDRAWN: Denial = { refused: 'AUTH_UNAVAILABLE', badToken: false };
// No sign of an attack: it was good, and a page that was left open brings it again and again.
const REVOKED: Denial = { refused: 'TOKEN_REVOKED', badToken: false };

/**
 * Says who the caller is and whether they may have the channels asked for. Where everything is known (no token, or one
 * that was verified before) it answers at once: a storm of reconnecting clients costs no promise and no signature.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  #automatic: readonly Route[] = [];
  readonly #signed = new Pending(MAX_PENDING.signed);
  readonly #asked = new Pending(MAX_PENDING.asked);

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.rerouted();
  }

  /** To be called when the router has other routes. */
  rerouted(): void {
    this.#automatic = this.#options.router.routes.filter(({ config }) => config.automatic !== undefined);
  }

  /** Whether tokens are checked at all. */
  get checksTokens(): boolean {
    return this.#options.jwt !== undefined || this.#options.opaque !== undefined;
  }

  /** Whether a request that names no channel may still get some. */
  get hasAutomaticChannels(): boolean {
    return this.#automatic.length > 0;
  }

  /** Why somebody who has a stream already may not read one more channel; `undefined` where they may. */
  async mayRead(
    identity: Identity | undefined,
    destination: Destination,
    { address, client }: { readonly address: string; readonly client: string },
  ): Promise<Denial | undefined> {
    if (identity !== undefined && this.#options.revocations.isRevoked(identity)) return REVOKED;
    const outcome = await this.#authorise(identity, {
      token: undefined,
      client,
      destinations: [destination],
      request: { address, origin: '', userAgent: '', channels: [destination.channel] },
      mayVerify: () => false,
      objection: () => undefined,
    });
    return 'refused' in outcome ? outcome : undefined;
  }

  permit(petition: Petition): Permit | Denial | Promise<Permit | Denial> {
    const outcome = this.#decide(petition);
    return outcome instanceof Promise
      ? outcome.then((decided) => this.#redeem(decided, petition))
      : this.#redeem(outcome, petition);
  }

  #decide(petition: Petition): Permit | Denial | Promise<Permit | Denial> {
    const { token, request, client } = petition;
    const verifier = token === undefined ? undefined : this.#verifierOf(token);
    if (token === undefined || verifier === undefined) return this.#authorise(undefined, petition);
    const known = verifier.peek(token);
    if (known !== undefined) return this.#judge(known, petition);
    if (!petition.mayVerify()) return TOO_MANY;
    const pending = verifier === this.#options.jwt ? this.#signed : this.#asked;
    const found = pending.run(client, () => verifier.verify(token, request));
    return (
      found?.then((verification) => {
        // By another config, which came meanwhile, somebody else is to be asked.
        if (this.#verifierOf(token) !== verifier) return WITHDRAWN;
        return isGuess(verification)
          ? { ...rejection(verification), badToken: true }
          : this.#judge(verification, petition);
      }) ?? TOO_MANY
    );
  }

  #verifierOf(token: string): KnowingVerifier | undefined {
    const { jwt, opaque } = this.#options;
    return jwt !== undefined && (opaque === undefined || LOOKS_LIKE_JWT.test(token)) ? jwt : opaque;
  }

  #judge(verification: Verification, petition: Petition): Permit | Denial | Promise<Permit | Denial> {
    if ('rejected' in verification) return rejection(verification);
    // Its key was withdrawn while its signature was checked.
    if (verification.voucher?.isWithdrawn === true) return WITHDRAWN;
    if (this.#options.revocations.isRevoked(verification)) return REVOKED;
    return this.#authorise(verification, petition);
  }

  #authorise(identity: Identity | undefined, petition: Petition): Permit | Denial | Promise<Permit | Denial> {
    const questions: { subject: string; channel: string }[] = [];
    for (const destination of petition.destinations) {
      const { channel, route } = destination;
      const decision = decideAccess(route.config.access, identity, destination);
      if (decision === 'authenticate') return { refused: 'TOKEN_MISSING', channel, badToken: false };
      if (decision === 'deny') return { refused: 'CHANNEL_FORBIDDEN', channel, badToken: false };
      if (decision !== 'allow') questions.push({ subject: decision.ask, channel });
    }
    const permit = { identity, destinations: this.#withAutomatic(identity, petition.destinations) };
    if (questions.length === 0) return permit;
    return this.#asked.run(petition.client, () => this.#ask(questions, permit, petition.request)) ?? TOO_MANY;
  }

  async #ask(
    questions: readonly { subject: string; channel: string }[],
    permit: Permit,
    request: TokenRequest,
  ): Promise<Permit | Denial> {
    const { askAccess } = this.#options;
    const answers = await Promise.all(
      questions.map(async ({ subject, channel }) => ({
        channel,
        answer: await askAccess(subject, permit.identity, channel, request),
      })),
    );
    const denied = answers.find(({ answer }) => answer === 'deny');
    if (denied !== undefined)
      return { refused: 'CHANNEL_FORBIDDEN', channel: denied.channel, badToken: false };
    const silent = answers.find(({ answer }) => answer === 'unavailable');
    if (silent !== undefined)
      return { refused: 'AUTH_UNAVAILABLE', channel: silent.channel, badToken: false };
    // Revoked while the answers were awaited: the stream was not open yet, so the revocation did not end it.
    const { identity } = permit;
    if (identity !== undefined && this.#options.revocations.isRevoked(identity)) return REVOKED;
    return permit;
  }

  /**
   * The last step: whoever is refused, or told to come back, keeps the ticket. No second use is ever let pass, however
   * soon: who read the ticket in a log cannot be told from the browser that lost its connection.
   */
  #redeem(outcome: Permit | Denial, petition: Petition): Permit | Denial | Promise<Permit | Denial> {
    if ('refused' in outcome) return outcome;
    const { identity } = outcome;
    // While others were asked about the channels.
    if (identity?.voucher?.isWithdrawn === true) return WITHDRAWN;
    if (identity?.ticket === undefined) return outcome;
    const objection = petition.objection(outcome);
    if (objection !== undefined) return { ...objection, badToken: false };
    return this.#options.redeem(identity.ticket).then((redemption) => {
      // A browser that lost its connection brings its ticket again: that is no sign of an attack.
      if (redemption !== 'first') return { refused: REFUSED_TICKETS[redemption], badToken: false };
      return this.#options.revocations.isRevoked(identity) ? REVOKED : outcome;
    });
  }

  #withAutomatic(identity: Identity | undefined, asked: readonly Destination[]): readonly Destination[] {
    if (this.#automatic.length === 0) return asked;
    const all = new Map(asked.map((destination) => [destination.channel, destination]));
    for (const route of this.#automatic) {
      if (route.config.automatic === 'authenticated' && identity === undefined) continue;
      const destination = this.#automaticDestination(route, identity);
      if (destination === undefined || this.#options.isOpen?.(destination) === false) continue;
      if (!all.has(destination.channel)) all.set(destination.channel, destination);
    }
    return [...all.values()];
  }

  // The route's own rule says which claim each parameter is: a claim that is missing or not one safe token gives no
  // channel, and what it does give is held against the rule once more.
  #automaticDestination(route: Route, identity: Identity | undefined): Destination | undefined {
    const params: Record<string, string> = {};
    const where = route.config.access.find((rule) => rule.kind === 'where')?.where ?? {};
    for (const name of route.template.params) {
      const claim = where[name];
      const value = claim === undefined ? undefined : safeClaim(identity?.claims ?? {}, claim);
      if (value === undefined) return undefined;
      params[name] = value;
    }
    const destination = this.#options.router.resolve(route.template.fill(params));
    if (destination?.route !== route) return undefined;
    return decideAccess(route.config.access, identity, destination) === 'allow' ? destination : undefined;
  }
}

function rejection({ rejected, detail }: Rejected): Denial {
  return { refused: FAULTS[rejected], detail, badToken: false };
}

/** Whether who brings it may be trying out tokens. */
function isGuess(verification: Verification): verification is Rejected {
  if (!('rejected' in verification)) return false;
  return verification.rejected !== 'unavailable' && verification.wasGood !== true;
}
