import { Failed, malformed, readClaims, readObject } from './answer.ts';
import { AskingVerifier } from './asking-verifier.ts';
import type { Identity, TokenRequest, Verification } from './identity.ts';
import { Service, type ServiceCounts, type ServiceDeps, type ServiceOptions } from './service.ts';

export interface CalloutOptions extends ServiceOptions {
  /** Where the backend listens. */
  readonly subject: string;
  /** Largest answer, in bytes. */
  readonly maxBytes: number;
}

export interface CalloutDeps extends ServiceDeps {
  /** Asks on a NATS subject. Rejects where nobody listens there, or no answer came in time. */
  readonly request: (subject: string, payload: Uint8Array, timeoutMs: number) => Promise<Uint8Array>;
}

/** Who is this? Answered by `{"claims":{…}}` or `{"refused":"why"}`. docs/callouts.md shows backends. */
export interface ConnectQuestion {
  readonly version: 1;
  readonly kind: 'connect';
  readonly token: string;
  /** The client's address, behind trusted proxies the forwarded one. */
  readonly address: string;
  /** Empty where the client sent none. */
  readonly origin: string;
  /** Empty where the client sent none. */
  readonly userAgent: string;
  /** What the request asks for; it is not granted by the answer. */
  readonly channels: readonly string[];
}

/** May they listen here? Answered by `{"allow":true}` or `{"allow":false}`. */
export interface SubscribeQuestion {
  readonly version: 1;
  readonly kind: 'subscribe';
  readonly channel: string;
  /** Of the checked token; `null` where the request brought none. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly address: string;
}

/** Longest reason for a refusal that is kept for the log, in UTF-16 units. */
const MAX_REASON_LENGTH = 200;

/** Asks a backend over NATS who a token's bearer is. */
export function createCalloutVerifier(options: CalloutOptions, deps: CalloutDeps): AskingVerifier {
  const service = new Service<Verification>('callout', options, deps);
  return new AskingVerifier(service, (token, request) => async () => {
    const { address, origin, userAgent, channels } = request;
    const question: ConnectQuestion = {
      version: 1,
      kind: 'connect',
      token,
      address,
      origin,
      userAgent,
      channels,
    };
    const answer = await put(JSON.stringify(question), options, deps);
    return answer instanceof Failed ? answer : toVerification(answer, token, deps.clock.wall());
  });
}

/** `unavailable` says nothing about the channel: the request is refused as overload. */
export type Access = 'allow' | 'deny' | 'unavailable';

/** Asks a backend over NATS, channel by channel, who may listen. */
export interface AccessCallout {
  readonly counts: ServiceCounts;
  /** Never rejects. Equal questions at the same time are asked once; nothing is remembered. */
  allow(identity: Identity | undefined, channel: string, request: TokenRequest): Promise<Access>;
}

export function createAccessCallout(options: CalloutOptions, deps: CalloutDeps): AccessCallout {
  const service = new Service<{ readonly access: Access }>('access callout', options, deps);
  return {
    counts: service.counts,
    async allow(identity, channel, { address }) {
      const claims = identity?.claims ?? null;
      const question: SubscribeQuestion = { version: 1, kind: 'subscribe', channel, claims, address };
      // The question is its own key: whatever the answer may depend on is in it.
      const text = JSON.stringify(question);
      const answer = await service.ask(text, async () => toAccess(await put(text, options, deps)));
      return answer instanceof Failed ? 'unavailable' : answer.access;
    },
  };
}

type Answer = Readonly<Record<string, unknown>> | Failed;

async function put(question: string, options: CalloutOptions, { request }: CalloutDeps): Promise<Answer> {
  const { subject, timeoutMs, maxBytes } = options;
  const bytes = await request(subject, Buffer.from(question), timeoutMs);
  return bytes.length > maxBytes ? new Failed('too-large', `${bytes.length} bytes`) : readObject(bytes);
}

function toVerification(
  answer: Readonly<Record<string, unknown>>,
  token: string,
  wallMs: number,
): Verification | Failed {
  const { claims, refused } = answer;
  if ((claims === undefined) === (refused === undefined))
    return malformed('not one of `claims` and `refused`');
  if (refused === undefined) return readClaims(claims, wallMs);
  if (typeof refused !== 'string') return malformed('`refused` is not a string');
  // Somebody else's words: a backend may quote the token.
  const reason = refused.includes(token)
    ? 'for a reason that holds the token'
    : refused.slice(0, MAX_REASON_LENGTH);
  return { rejected: 'invalid', detail: `the callout refused: ${reason}` };
}

function toAccess(answer: Answer): { readonly access: Access } | Failed {
  if (answer instanceof Failed) return answer;
  if (typeof answer.allow !== 'boolean') return malformed('`allow` is neither true nor false');
  return { access: answer.allow ? 'allow' : 'deny' };
}
