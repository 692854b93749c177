import { createServer } from 'node:net';
import type { Authenticator, Denial, Objection, Permit } from '../auth/authenticator.ts';
import type { Identity } from '../auth/identity.ts';
import type { Clock, TimerWheel } from '../clock.ts';
import type { Config, HostPort } from '../config/schema.ts';
import { SidestreamError } from '../errors.ts';
import type { Hub } from '../hub/hub.ts';
import type { Logger } from '../log.ts';
import type { Ending, Metrics } from '../metrics.ts';
import type { Destination, Router } from '../routing/router.ts';
import { ClientAddress, limitKey, peerAddress } from './address.ts';
import { Admission } from './admission.ts';
import { Connection, type ConnectionContext } from './connection.ts';
import { Cors } from './cors.ts';
import { streamsThatFit } from './descriptors.ts';
import { drainConnections } from './drain.ts';
import { Failures } from './failures.ts';
import { type Answer, refusal } from './refusal.ts';
import {
  type Ask,
  acceptsEventStream,
  copyRequest,
  isStreamPath,
  readStreamRequest,
  type StreamRequest,
  type Wanted,
  wantsStatus,
} from './request.ts';
import { Retry } from './retry.ts';
import { channelLimit, openStream, resolveChannels } from './subscribe.ts';
import { findToken } from './token.ts';
import { createApp, type HttpRequest, type HttpResponse, type LoadedUws, type TemplatedApp } from './uws.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly hub: Hub;
  readonly router: Router;
  readonly uws: LoadedUws['uws'];
  /** Whether channels can be fed: false until NATS was reached for the first time. */
  natsReady(): boolean;
  readonly authenticator: Pick<Authenticator, 'permit' | 'hasAutomaticChannels' | 'checksTokens'>;
}

type Outcome = Permit | Denial;

/** A request that is well formed and within the limits; it has been counted in, and must be released. */
interface Arrival {
  readonly request: StreamRequest;
  readonly destinations: readonly Destination[];
  readonly address: string;
}

/** The public port: takes requests, refuses or opens streams, and lets them go when the process drains. */
export class Server {
  readonly #options: ServerOptions;
  readonly #app: TemplatedApp;
  readonly #connections = new Set<Connection>();
  readonly #admission: Admission;
  readonly #cors: Cors;
  readonly #addresses: ClientAddress;
  readonly #retry: Retry;
  readonly #context: ConnectionContext;
  readonly #failures: Failures;
  readonly #wanted: Wanted;
  readonly #needsAddresses: boolean;
  #draining = false;

  constructor(options: ServerOptions) {
    const { config, clock, wheel, metrics, hub, uws } = options;
    this.#options = options;
    this.#admission = new Admission(clock, { ...config.limits, connections: this.#seats() });
    this.#cors = new Cors(config.http.cors);
    this.#addresses = new ClientAddress(config.http);
    this.#retry = new Retry({
      clock,
      retryMs: config.sse.retryMs,
      reconnectRatePerSecond: config.drain.reconnectRatePerSecond,
      connections: () => this.#connections.size,
    });
    const { sse, limits } = config;
    this.#context = {
      clock,
      wheel,
      hub,
      metrics,
      sse,
      limits,
      retry: this.#retry,
      log: options.log,
      ended: (...end) => this.#ended(...end),
    };
    this.#failures = new Failures(clock, config.auth.failureRatePerSecond);
    const { checksTokens } = options.authenticator;
    this.#needsAddresses = checksTokens || this.#admission.countsAddresses;
    this.#wanted = {
      forwardedHeader: this.#addresses.behindProxies ? this.#addresses.header : undefined,
      cookie: config.auth.token.some((place) => place.in === 'cookie'),
      userAgent: checksTokens,
    };
    this.#app = createApp(uws, config.http.tls);
    this.#app.any('/*', (res, req) => this.#handle(res, req));
  }

  #seats(): number {
    const { connections } = this.#options.config.limits;
    const fitting = streamsThatFit() ?? connections;
    if (fitting < connections) {
      this.#options.log.warn(
        { limit: connections, fitting },
        'limits.connections is above what the limit on open files allows; streams beyond that are refused (raise it: ulimit -n, LimitNOFILE)',
      );
    }
    return Math.min(connections, fitting);
  }

  get #hasAutomaticChannels(): boolean {
    return this.#options.authenticator.hasAutomaticChannels;
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /**
   * Starts listening; gives where.
   * @throws SidestreamError LISTEN_FAILED
   */
  async listen(): Promise<HostPort> {
    const { uws, config } = this.#options;
    const { host, port } = config.http.listen;
    const socket = await new Promise<false | object>((resolve) => {
      // Exclusive: a second process on the port is an error, not a silent share of the connections.
      listenExclusively(this.#app, host, port, resolve);
    });
    if (socket === false) {
      throw new SidestreamError(
        'LISTEN_FAILED',
        `cannot listen on ${host}:${port} (http.listen): ${await listenProblem(host, port)}`,
        { fields: { host, port } },
      );
    }
    return { host, port: uws.us_socket_local_port(socket) };
  }

  /** Refuses what is new, tells every stream to come back elsewhere, at its own time, and ends it. */
  async drain(): Promise<void> {
    const { config, clock, metrics } = this.#options;
    this.#draining = true;
    metrics.draining = true;
    await drainConnections(this.#connections, { clock, retryMs: config.sse.retryMs, ...config.drain });
  }

  /** Ends the streams that match, telling the reason; says how many. */
  end(
    reason: 'revoked' | 'disconnected',
    matches: (stream: { readonly id: string; readonly identity: Identity | undefined }) => boolean,
  ): number {
    const matching = [...this.#connections].filter(({ id, client }) =>
      matches({ id, identity: client.identity }),
    );
    for (const connection of matching) connection.close(reason);
    return matching.length;
  }

  /** Closes the port and cuts off what is still open. */
  stop(): void {
    for (const connection of this.#connections) connection.abort('draining');
    this.#app.close();
  }

  // uWebSockets.js must never see a throw.
  #handle(res: HttpResponse, req: HttpRequest): void {
    try {
      this.#answer(res, copyRequest(req, this.#wanted));
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'a request could not be answered');
      res.close();
    }
  }

  #answer(res: HttpResponse, ask: Ask): void {
    const { path } = this.#options.config.http;
    if (ask.method === 'options' && isStreamPath(ask.path, path)) {
      const headers = this.#cors.preflight(ask.origin);
      writeAnswer(res, ask, { status: '204 No Content', headers, body: '', close: false });
      return;
    }
    const arrival = this.#arrive(res, ask);
    if ('refused' in arrival) {
      this.#refuse(res, ask, arrival);
      return;
    }
    const outcome = this.#permit(ask, arrival);
    if (outcome instanceof Promise) this.#concludeLater(res, ask, arrival, outcome);
    else this.#conclude(res, ask, arrival, outcome);
  }

  /** Everything that may speak against a stream before anybody asks who it is for, cheapest first. */
  #arrive(res: HttpResponse, ask: Ask): Objection | Arrival {
    const { config, router, natsReady } = this.#options;
    if (!isStreamPath(ask.path, config.http.path)) return { refused: 'NOT_FOUND' };
    if (ask.method !== 'get') return { refused: 'METHOD_NOT_ALLOWED' };
    if (ask.hasBody) return { refused: 'BODY_NOT_ALLOWED' };
    if (!acceptsEventStream(ask.accept)) return { refused: 'NOT_ACCEPTABLE' };
    const request = readStreamRequest(ask, config.http.path, config.limits.channelsPerConnection);
    if (typeof request === 'string') return { refused: request };
    if (request.channels.length === 0 && !this.#hasAutomaticChannels) return { refused: 'CHANNELS_MISSING' };
    if (this.#draining) return { refused: 'DRAINING' };
    if (!natsReady()) return { refused: 'NATS_NOT_READY' };
    const resolution = resolveChannels(request.channels, router);
    if ('refused' in resolution) return resolution;
    const address = this.#address(res, ask);
    const limit = this.#admission.admit(address);
    if (limit !== undefined) return { refused: limit };
    return { request, destinations: resolution.found, address };
  }

  #permit(ask: Ask, arrival: Arrival): Outcome | Promise<Outcome> {
    const { config, authenticator } = this.#options;
    const { request, destinations, address } = arrival;
    return authenticator.permit({
      token: findToken(ask, config.auth.token),
      destinations,
      client: limitKey(address),
      request: { address, origin: ask.origin, userAgent: ask.userAgent, channels: request.channels },
      mayVerify: () => this.#failures.mayVerify(address),
      objection: (permit) => this.#objection(permit, arrival),
    });
  }

  // The response may be gone before the answer comes; then nothing of it may be touched.
  #concludeLater(res: HttpResponse, ask: Ask, arrival: Arrival, outcome: Promise<Outcome>): void {
    let aborted = false;
    res.onAborted(() => {
      aborted = true;
      this.#admission.release(arrival.address);
    });
    const conclude = (found: Outcome) => {
      if (!aborted) res.cork(() => this.#conclude(res, ask, arrival, found));
    };
    outcome
      .catch((error: unknown): Outcome => {
        this.#options.log.error({ error: String(error) }, 'a request could not be judged');
        return { refused: 'AUTH_UNAVAILABLE', badToken: false };
      })
      .then(conclude)
      // Not concluded once more: what has been counted out would be counted out twice.
      .catch((error: unknown) => {
        this.#options.log.error({ error: String(error) }, 'a request could not be answered');
      });
  }

  #conclude(res: HttpResponse, ask: Ask, arrival: Arrival, outcome: Outcome): void {
    const refused = this.#admit(outcome, arrival);
    if (refused !== undefined) {
      this.#admission.release(arrival.address);
      this.#refuse(res, ask, refused);
    } else if (!('refused' in outcome)) this.#open(res, ask, arrival, outcome);
  }

  /** Counts the stream towards its user, or says what still speaks against it; time may have passed. */
  #admit(outcome: Outcome, arrival: Arrival): Objection | undefined {
    if ('refused' in outcome) {
      if (outcome.badToken) this.#failures.failed(arrival.address);
      return outcome;
    }
    const objection = this.#objection(outcome, arrival);
    if (objection === undefined) this.#admission.countUser(outcome.identity?.subject);
    return objection;
  }

  /** What speaks against a stream now that it is known who it is for. */
  #objection({ identity, destinations }: Permit, { destinations: asked }: Arrival): Objection | undefined {
    const { hub, config, clock } = this.#options;
    // Its stream would end at once: a token that only the clock tolerance still lets pass would be opened, ended and
    // brought back until that too is over.
    if ((identity?.expiresAtMs ?? Infinity) <= clock.wall()) return { refused: 'TOKEN_EXPIRED' };
    if (this.#draining) return { refused: 'DRAINING' };
    if (destinations.length === 0) {
      return { refused: identity === undefined ? 'TOKEN_MISSING' : 'CHANNELS_MISSING' };
    }
    const limit = channelLimit(asked, destinations, hub, config.limits);
    if (limit !== undefined) return limit;
    return this.#admission.hasRoomFor(identity?.subject) ? undefined : { refused: 'CONNECTION_LIMIT_USER' };
  }

  #open(
    res: HttpResponse,
    ask: Ask,
    { request, address }: Arrival,
    { identity, destinations }: Permit,
  ): void {
    const { metrics, log } = this.#options;
    const connection = new Connection(res, { address, identity }, this.#context);
    this.#connections.add(connection);
    metrics.connections += 1;
    metrics.connectionsOpened += 1;
    const headers = this.#cors.headers(ask.origin);
    openStream(connection, res, this.#context, { destinations, cursor: request.cursor, headers });
    if (!log.isLevelEnabled('debug')) return;
    const channels = destinations.map(({ channel }) => channel);
    log.debug({ connection: connection.id, user: identity?.subject, channels, address }, 'stream opened');
  }

  #address(res: HttpResponse, ask: Ask): string {
    if (!this.#needsAddresses && !this.#options.log.isLevelEnabled('debug')) return '';
    return this.#addresses.of(peerAddress(res.getRemoteAddress()), ask.forwarded);
  }

  #refuse(res: HttpResponse, ask: Ask, { refused: code, channel, detail }: Objection): void {
    const { metrics, config, log } = this.#options;
    metrics.refused(code);
    if (log.isLevelEnabled('debug'))
      log.debug({ code, channel, address: this.#address(res, ask), detail }, 'request refused');
    const retryMs = this.#retry.next();
    const answer = refusal(code, {
      asStatus: wantsStatus(ask),
      retryMs,
      control: config.sse.control,
      ...(channel !== undefined && { channel }),
    });
    writeAnswer(res, ask, { ...answer, headers: [...answer.headers, ...this.#cors.headers(ask.origin)] });
  }

  #ended(connection: Connection, ending: Ending): void {
    const { metrics, log } = this.#options;
    this.#connections.delete(connection);
    this.#admission.release(connection.client.address);
    this.#admission.releaseUser(connection.client.identity?.subject);
    metrics.connections -= 1;
    metrics.closed(ending);
    log.debug({ connection: connection.id, reason: ending }, 'stream ended');
  }
}

function writeAnswer(res: HttpResponse, { method }: Ask, { status, headers, body, close }: Answer): void {
  res.writeStatus(status);
  for (const [name, value] of headers) res.writeHeader(name, value);
  // RFC 9110 9.3.2: what followed the head of an answer to HEAD would be taken for the next answer.
  // No arguments, not even `undefined`: given a length uWebSockets.js waits for that body, or ends the process.
  if (status.startsWith('204') || method === 'head') res.endWithoutBody();
  // With `close` uWebSockets.js writes `Connection: close` itself.
  else res.end(body, close);
}

/** uWebSockets.js only says that it cannot; Node, asked for the same, says why. */
async function listenProblem(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error) => resolve(error.message));
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => resolve('uWebSockets.js does not take this address'));
    });
  });
}

/** `LIBUS_LISTEN_EXCLUSIVE_PORT` of uSockets' libusockets.h. */
const EXCLUSIVE_PORT = 1;

type Listen = (host: string, port: number, options: number, done: (socket: false | object) => void) => void;

/** The addon takes host and options together; its type declarations do not say so. */
function listenExclusively(
  app: TemplatedApp,
  host: string,
  port: number,
  done: (socket: false | object) => void,
): void {
  const listen: Listen = app.listen.bind(app) as never;
  listen(host, port, EXCLUSIVE_PORT, done);
}
