import type { Authenticator, Denial, Objection, Permit } from '../auth/authenticator.ts';
import type { Identity } from '../auth/identity.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { RefusalCode } from '../reasons.ts';
import type { Destination, Router } from '../routing/router.ts';
import { isChannelName } from '../routing/template.ts';
import { limitKey } from './address.ts';
import { TokenBucket } from './admission.ts';
import { Body, type ReadBody } from './body.ts';
import { type ChannelState, REFUSED_STATES } from './channel-state.ts';
import type { Cors } from './cors.ts';
import type { Failures } from './failures.ts';
import { InFlight } from './in-flight.ts';
import { type Answer, refusal, writeAnswer } from './refusal.ts';
import { type Ask, traced } from './request.ts';
import type { Resource, ResourceAnswer } from './resource.ts';
import type { Retry } from './retry.ts';
import { findToken, tokenRequest } from './token.ts';
import type { HttpResponse } from './uws.ts';

export interface ResourcesOptions {
  readonly resources: readonly Resource[];
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly router: Router;
  readonly authenticator: Pick<Authenticator, 'permit'>;
  readonly front: { readonly cors: Cors; readonly retry: Retry; readonly failures: Failures };
  /** Whose request it is. */
  address(res: HttpResponse, ask: Ask): string;
  /** Whether a channel is there now. */
  channelState(destination: Destination): ChannelState;
  /** What speaks against all requests now. */
  unready(): RefusalCode | undefined;
}

/** A request that may be answered, unless its body or its token speaks against it. */
interface Call {
  readonly resource: Resource;
  readonly method: 'GET' | 'POST';
  readonly destination: Destination;
  readonly address: string;
}

type Refused = Objection & { readonly allow?: string };

const EXPIRED: Denial = { refused: 'TOKEN_EXPIRED', badToken: false };
/** Largest body of a request, in bytes. */
const MAX_BODY_BYTES = 16 * 1024;
/** Requests that are answered at a time. Each may hold a body for as long as its sender dawdles: uWebSockets.js gives up after 10 s of silence. */
const MAX_IN_FLIGHT = { all: 1024, perClient: 128 };
const METHODS: Readonly<Record<string, 'GET' | 'POST'>> = { get: 'GET', post: 'POST' };
const JSON_TYPE = /^application\/json[\t ]*(;|$)/i;
const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

/**
 * Answers requests for what stands beside a channel's stream, `/events/{channel}/{name}`: who may read the channel may ask, and no stream is opened.
 * They have a rate of their own, as high as that of new streams: neither takes from the other.
 */
export class Resources {
  readonly #options: ResourcesOptions;
  #rate: TokenBucket;
  readonly #inFlight = new InFlight(MAX_IN_FLIGHT);

  constructor(options: ResourcesOptions) {
    this.#options = options;
    this.#rate = new TokenBucket(options.clock, options.config.limits.connectRatePerSecond);
  }

  /** The limits have other values now. */
  reconfigured(): void {
    const { clock, config } = this.#options;
    const { connectRatePerSecond } = config.limits;
    if (this.#rate.perSecond !== connectRatePerSecond)
      this.#rate = new TokenBucket(clock, connectRatePerSecond);
  }

  /** Requests that are being answered. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Takes a request to a path that is none of a stream's, or leaves it: false where no resource has the path. */
  take(res: HttpResponse, ask: Ask): boolean {
    const { resources, config, front } = this.#options;
    const path = readPath(ask.path, config.http.path);
    const resource = path && resources.find(({ name }) => name === path.name);
    if (path === undefined || resource === undefined) return false;
    if (ask.method === 'options') {
      const headers = front.cors.preflight(ask.origin, resource.methods);
      writeAnswer(res, ask, { status: '204 No Content', headers, body: '', close: false });
      return true;
    }
    const call = this.#admit(res, ask, resource, path.channel);
    if ('refused' in call) this.#refuse(res, ask, call);
    else this.#run(res, ask, call);
    return true;
  }

  /** Everything that may speak against it before its body is read, cheapest first; what is admitted counts as under way. */
  #admit(res: HttpResponse, ask: Ask, resource: Resource, channel: string | undefined): Refused | Call {
    const { router, unready, channelState, address: addressOf } = this.#options;
    const method = METHODS[ask.method];
    if (method === undefined || !resource.methods.includes(method))
      return { refused: 'METHOD_NOT_ALLOWED', allow: [...resource.methods, 'OPTIONS'].join(', ') };
    const flaw = bodyFlaw(ask);
    if (flaw !== undefined) return { refused: flaw };
    if (channel === undefined) return { refused: 'CHANNEL_MALFORMED' };
    const objection = unready();
    if (objection !== undefined) return { refused: objection };
    const destination = router.resolve(channel);
    if (destination === undefined) return { refused: 'CHANNEL_UNKNOWN', channel };
    const state = channelState(destination);
    // 204, as a stream's refusal, would be taken for having been done.
    if (state === 'closed') return { refused: 'CHANNEL_UNKNOWN', channel };
    if (state !== 'open') return { refused: REFUSED_STATES[state], channel };
    if (!resource.serves(destination)) return { refused: 'NOT_FOUND' };
    const address = addressOf(res, ask);
    if (!this.#rate.take()) return { refused: 'REQUEST_RATE' };
    if (!this.#inFlight.enter(limitKey(address))) return { refused: 'REQUEST_LIMIT' };
    return { resource, method, destination, address };
  }

  // After an abort the response must not be touched.
  #run(res: HttpResponse, ask: Ask, call: Call): void {
    let isAborted = false;
    const body = call.method === 'POST' ? new Body(res, MAX_BODY_BYTES) : undefined;
    res.onAborted(() => {
      isAborted = true;
      body?.abort();
    });
    const write = (outcome: Refused | ResourceAnswer) => {
      this.#inFlight.leave(limitKey(call.address));
      if (isAborted) return;
      res.cork(() => {
        if ('refused' in outcome) this.#refuse(res, ask, outcome);
        else this.#write(res, ask, toAnswer(outcome, this.#options.front.retry.next()));
      });
    };
    this.#answer(ask, call, body?.read)
      .catch((error: unknown): Refused => {
        this.#options.log.error(traced(ask, { error: String(error) }), 'a request could not be answered');
        return { refused: 'REQUEST_FAILED' };
      })
      .then(write)
      .catch((error: unknown) => {
        this.#options.log.error(traced(ask, { error: String(error) }), 'an answer could not be written');
      });
  }

  async #answer(
    ask: Ask,
    call: Call,
    reading: Promise<ReadBody> | undefined,
  ): Promise<Refused | ResourceAnswer> {
    // First: who has no right to ask is not waited for.
    const outcome = await this.#permit(ask, call);
    if ('refused' in outcome) return outcome;
    const bytes = await reading;
    if (bytes === 'too-large') return { refused: 'BODY_TOO_LARGE' };
    // Nobody is there to be answered.
    if (bytes === 'aborted') return { refused: 'BODY_MALFORMED' };
    if (this.#isOver(outcome.identity)) return EXPIRED;
    const { resource, method, destination } = call;
    // With the next attempt it is as the config of now says.
    if (destination.route.isRetired) return { refused: 'NATS_NOT_READY', channel: destination.channel };
    const { identity } = outcome;
    const body = bytes === undefined ? undefined : parse(bytes);
    if (body === MALFORMED) return { refused: 'BODY_MALFORMED' };
    return resource.answer({ method, destination, identity, query: new URLSearchParams(ask.query), body });
  }

  async #permit(ask: Ask, { destination, address }: Call): Promise<Permit | Denial> {
    const { authenticator, config, front } = this.#options;
    const outcome = await authenticator.permit({
      token: findToken(ask, config.auth.token),
      destinations: [destination],
      client: limitKey(address),
      request: tokenRequest(ask, address, [destination.channel]),
      mayVerify: () => front.failures.mayVerify(address),
      objection: ({ identity }) => (this.#isOver(identity) ? EXPIRED : undefined),
    });
    if ('refused' in outcome) {
      if (outcome.badToken) front.failures.failed(address);
      return outcome;
    }
    return this.#isOver(outcome.identity) ? EXPIRED : outcome;
  }

  #isOver(identity: Identity | undefined): boolean {
    return (identity?.expiresAtMs ?? Infinity) <= this.#options.clock.wall();
  }

  #refuse(res: HttpResponse, ask: Ask, { refused: code, channel, detail, allow }: Refused): void {
    const { metrics, front, log } = this.#options;
    metrics.refused(code);
    if (log.isLevelEnabled('debug')) {
      const address = this.#options.address(res, ask);
      log.debug(traced(ask, { code, channel, address, detail }), 'request refused');
    }
    const retryMs = front.retry.next();
    const answer = refusal(code, {
      asStatus: true,
      retryMs,
      control: true,
      ...(channel !== undefined && { channel }),
      ...(allow !== undefined && { allow }),
    });
    this.#write(res, ask, answer);
  }

  #write(res: HttpResponse, ask: Ask, answer: Answer): void {
    const headers = [...answer.headers, ...this.#options.front.cors.headers(ask.origin)];
    writeAnswer(res, ask, { ...answer, headers });
  }
}

interface ResourcePath {
  /** Absent where it cannot be one. */
  readonly channel: string | undefined;
  readonly name: string;
}

/** The two segments behind the path of the streams, if there are two. */
function readPath(path: string, basePath: string): ResourcePath | undefined {
  if (!path.startsWith(`${basePath}/`)) return undefined;
  const [encoded = '', name, ...rest] = path.slice(basePath.length + 1).split('/');
  if (name === undefined || name === '' || rest.length > 0) return undefined;
  return { channel: channelOf(encoded), name };
}

function channelOf(encoded: string): string | undefined {
  try {
    const channel = decodeURIComponent(encoded);
    return isChannelName(channel) ? channel : undefined;
  } catch {
    // URIError: a broken percent-encoding.
    return undefined;
  }
}

/**
 * What its head says against the body of a request. A body must say that it is JSON: a form of another site's page may send a body with
 * the user's cookie, but not of this type, which a browser asks leave for first (Fetch standard, "CORS-safelisted request-header").
 */
function bodyFlaw({ method, hasBody, contentType, contentLength }: Ask): RefusalCode | undefined {
  if (method !== 'post') return hasBody ? 'BODY_NOT_ALLOWED' : undefined;
  if (!JSON_TYPE.test(contentType)) return 'BODY_TYPE';
  if (!hasBody) return 'BODY_MALFORMED';
  return Number(contentLength) > MAX_BODY_BYTES ? 'BODY_TOO_LARGE' : undefined;
}

const MALFORMED = Symbol('malformed');

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // SyntaxError; TypeError: not UTF-8.
    return MALFORMED;
  }
}

function toAnswer({ status, body }: ResourceAnswer, retryMs: number): Answer {
  const retryAfter: [string, string][] =
    status === 503 || status === 429 ? [['Retry-After', String(Math.ceil(retryMs / 1000))]] : [];
  return {
    status: `${status} ${STATUS_TEXT[status] ?? ''}`.trim(),
    headers: [['Content-Type', 'application/json'], ['Cache-Control', 'private, no-store'], ...retryAfter],
    body: JSON.stringify(body),
    close: false,
  };
}
