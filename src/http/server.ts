import type { Clock, TimerWheel } from '../clock.ts';
import type { Config, HostPort } from '../config/schema.ts';
import { SidestreamError } from '../errors.ts';
import type { Hub } from '../hub/hub.ts';
import type { Logger } from '../log.ts';
import type { Ending, Metrics } from '../metrics.ts';
import type { Position } from '../protocol/cursor.ts';
import type { RefusalCode } from '../reasons.ts';
import type { Destination, Router } from '../routing/router.ts';
import { ClientAddress, peerAddress } from './address.ts';
import { Admission } from './admission.ts';
import { Connection, type ConnectionContext } from './connection.ts';
import { Cors } from './cors.ts';
import { drainConnections } from './drain.ts';
import { type Answer, refusal } from './refusal.ts';
import {
  type Ask,
  acceptsEventStream,
  copyRequest,
  isStreamPath,
  readStreamRequest,
  wantsStatus,
} from './request.ts';
import { Retry } from './retry.ts';
import { openStream, resolveChannels } from './subscribe.ts';
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
}

/** A request that gets no stream, and the channel that is to blame, if one is. */
interface Refused {
  readonly refused: RefusalCode;
  readonly channel?: string;
}

/** A request that gets its stream; `address` has been counted and must be released. */
interface Admitted {
  readonly destinations: readonly Destination[];
  readonly cursor: readonly Position[] | undefined;
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
  #draining = false;

  constructor(options: ServerOptions) {
    const { config, clock, wheel, metrics, hub, uws } = options;
    this.#options = options;
    this.#admission = new Admission(clock, config.limits);
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
      ended: (...end) => this.#ended(...end),
    };
    this.#app = createApp(uws, config.http.tls);
    this.#app.any('/*', (res, req) => this.#handle(res, req));
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
        `cannot listen on ${host}:${port} (http.listen): in use, not permitted, or not an address of this machine`,
        {
          fields: { host, port },
        },
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

  /** Closes the port and cuts off what is still open. */
  stop(): void {
    for (const connection of this.#connections) connection.abort('draining');
    this.#app.close();
  }

  // uWebSockets.js must never see a throw.
  #handle(res: HttpResponse, req: HttpRequest): void {
    try {
      this.#answer(res, copyRequest(req, this.#addresses.behindProxies ? this.#addresses.header : undefined));
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
    const decision = this.#decide(res, ask);
    if ('refused' in decision) this.#refuse(res, ask, decision);
    else this.#open(res, ask, decision);
  }

  /** Everything that may speak against a stream, cheapest first. Where nothing does, it has been counted in. */
  #decide(res: HttpResponse, ask: Ask): Refused | Admitted {
    const { config, router, hub, natsReady } = this.#options;
    if (!isStreamPath(ask.path, config.http.path)) return { refused: 'NOT_FOUND' };
    if (ask.method !== 'get') return { refused: 'METHOD_NOT_ALLOWED' };
    if (ask.hasBody) return { refused: 'BODY_NOT_ALLOWED' };
    if (!acceptsEventStream(ask.accept)) return { refused: 'NOT_ACCEPTABLE' };
    const request = readStreamRequest(ask, config.http.path, config.limits.channelsPerConnection);
    if (typeof request === 'string') return { refused: request };
    if (this.#draining) return { refused: 'DRAINING' };
    if (!natsReady()) return { refused: 'NATS_NOT_READY' };
    const resolution = resolveChannels(request.channels, router, hub, config.limits);
    if ('refused' in resolution) return resolution;
    const address = this.#address(res, ask);
    const limit = this.#admission.admit(address);
    if (limit !== undefined) return { refused: limit };
    return { destinations: resolution.found, cursor: request.cursor, address };
  }

  #open(res: HttpResponse, ask: Ask, { destinations, cursor, address }: Admitted): void {
    const { metrics, log } = this.#options;
    const connection = new Connection(res, address, this.#context);
    this.#connections.add(connection);
    metrics.connections += 1;
    metrics.connectionsOpened += 1;
    openStream(connection, res, {
      ...this.#context,
      destinations,
      cursor,
      headers: this.#cors.headers(ask.origin),
    });
    if (!log.isLevelEnabled('debug')) return;
    const channels = destinations.map(({ channel }) => channel);
    log.debug({ connection: connection.id, channels, address }, 'stream opened');
  }

  #address(res: HttpResponse, ask: Ask): string {
    if (!this.#admission.countsAddresses && !this.#options.log.isLevelEnabled('debug')) return '';
    return this.#addresses.of(peerAddress(res.getRemoteAddress()), ask.forwarded);
  }

  #refuse(res: HttpResponse, ask: Ask, { refused: code, channel }: Refused): void {
    const { metrics, config, log } = this.#options;
    metrics.refused(code);
    log.debug({ code }, 'request refused');
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
    this.#admission.release(connection.address);
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
