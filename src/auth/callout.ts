import { type TraceContext, traceHeaders } from '../tracing/trace-context.ts';
import { Failed, malformed, readClaims, readObject } from './answer.ts';
import { AskingVerifier } from './asking-verifier.ts';
import type { Verification } from './identity.ts';
import { Service, type ServiceCounts, type ServiceDeps, type ServiceOptions } from './service.ts';

export interface CalloutLimits extends ServiceOptions {
  /** Largest answer, in bytes. */
  readonly maxBytes: number;
}

export interface CalloutOptions extends CalloutLimits {
  /** Where the backend listens. */
  readonly subject: string;
}

export interface CalloutDeps extends ServiceDeps {
  /** Asks on a NATS subject. Rejects where nobody listens there, or no answer came in time. */
  readonly request: (
    subject: string,
    payload: Uint8Array,
    timeoutMs: number,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Uint8Array>;
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

/** Longest reason for a refusal that is kept for the log, in UTF-16 units. */
const MAX_REASON_LENGTH = 200;

/** Asks a backend over NATS who a token's bearer is. */
export function createCalloutVerifier(
  options: CalloutOptions,
  deps: CalloutDeps,
  counts?: ServiceCounts,
): AskingVerifier {
  const service = new Service<Verification>('callout', options, deps, counts);
  return new AskingVerifier(service, (token, request) => async () => {
    const { address, origin, userAgent, channels, trace } = request;
    const question: ConnectQuestion = {
      version: 1,
      kind: 'connect',
      token,
      address,
      origin,
      userAgent,
      channels,
    };
    const answer = await put(
      { subject: options.subject, question: JSON.stringify(question), trace },
      options,
      deps,
    );
    return answer instanceof Failed ? answer : toVerification(answer, token, deps.clock.wall());
  });
}

/** A question, and the trace of the request for which it is put; who joins another's question has no part in that. */
interface Put {
  readonly subject: string;
  readonly question: string;
  readonly trace: TraceContext | undefined;
}

type Answer = Readonly<Record<string, unknown>> | Failed;

/**
 * Puts one question, and reads the answer as a JSON object.
 * @throws whatever `request` rejects with
 */
export async function put(
  { subject, question, trace }: Put,
  { timeoutMs, maxBytes }: CalloutLimits,
  { request }: CalloutDeps,
): Promise<Answer> {
  const bytes = await request(subject, Buffer.from(question), timeoutMs, traceHeaders(trace));
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
