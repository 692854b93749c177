import type { Authenticator, Denial, Objection, Permit } from '../auth/authenticator.ts';
import type { Clock, TimerWheel } from '../clock.ts';
import type { Config, HostPort } from '../config/schema.ts';
import type { Hub } from '../hub/hub.ts';
import type { Logger } from '../log.ts';
import type { Ending, Metrics } from '../metrics.ts';
import type { RefusalCode } from '../reasons.ts';
import type { Destination, Router } from '../routing/router.ts';
import { negotiate, type Offer } from './accept.ts';
import { limitKey } from './address.ts';
import { type ChannelState, closedMeanwhile } from './channel-state.ts';
import { type Client, Connection, type ConnectionContext } from './connection.ts';
import type { DrainChoices } from './drain.ts';
import { Front } from './front.ts';
import { type Listening, listen } from './listen.ts';
import { ALONE, type Others } from './others.ts';
import { Poll, type PollContext, type PollOptions } from './poll.ts';
import { PollBodies } from './poll-bodies.ts';
import { refusal, writeAnswer } from './refusal.ts';
import {
  type Ask,
  copyRequest,
  isStreamPath,
  type PollRequest,
  readPollRequest,
  readStreamRequest,
  type StreamRequest,
  traced,
  wantsStatus,
} from './request.ts';
import type { Resource } from './resource.ts';
import { Resources } from './resources.ts';
import { Streams } from './streams.ts';
import { channelLimit, openStream, resolveChannels, type StreamOptions } from './subscribe.ts';
import { findToken, tokenRequest } from './token.ts';
import { createApp, type HttpRequest, type HttpResponse, type LoadedUws, type TemplatedApp } from './uws.ts';
import { Waiting } from './waiting.ts';

export interface ServerOptions extends Pick<ConnectionContext, 'joined' | 'watcher'> {
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
  /** Whether a channel of the routes is there now: some are made at run time, and any may be closed. */
  channelState(destination: Destination): ChannelState;
  readonly authenticator: Pick<Authenticator, 'permit' | 'hasAutomaticChannels' | 'checksTokens'>;
  /** What there is beside the streams. */
  readonly resources: readonly Resource[];
  /** The other processes on the same port. Default: there are none, and there must not be. */
  readonly others?: Others;
}

type Outcome = Permit | Denial;

/** A request that is well formed and within the limits; it has been counted in, and must be released. */
interface Arrival {
  readonly request: StreamRequest;
  readonly offer: Offer;
  /** Where it is for one answer rather than a stream. */
  readonly poll: PollRequest | undefined;
  readonly destinations: readonly Destination[];
  readonly address: string;
}

/** The public port: takes requests, refuses or opens streams, and lets them go when the process drains. */
export class Server {
  readonly streams = new Streams();
  readonly #options: ServerOptions;
  readonly #app: TemplatedApp;
  /** Of those that are counted by channel here; alone, the hub knows. */
  readonly #destinations = new Map<Client, readonly Destination[]>();
  /** Those that are being judged, and count already. */
  readonly #arrivals = new Set<Arrival>();
  readonly #others: Others;
  readonly #front: Front;
  readonly #waiting: Waiting;
  readonly #context: ConnectionContext & PollContext;
  readonly #resources: Resources;
  #listening: Listening | undefined;
  #draining = false;

  constructor(options: ServerOptions) {
    const { config, metrics, uws } = options;
    this.#options = options;
    this.#others = options.others ?? ALONE;
    const front = new Front({ ...options, others: this.#others, connections: () => this.streams.size });
    this.#front = front;
    const { sse, limits } = config;
    this.#waiting = new Waiting(limits.pendingTotalBytes, metrics);
    this.#context = {
      ...options,
      sse,
      limits,
      retry: front.retry,
      waiting: this.#waiting,
      bodies: new PollBodies(front.renderings.lines),
      ended: (...end: [Connection | Poll, Ending]) => this.#ended(...end),
    };
    this.#resources = new Resources({
      ...options,
      front,
      address: (res, ask) => front.addressOf(res, ask),
      unready: () => this.#unready(),
    });
    this.#app = createApp(uws, config.http.tls);
    this.#app.any('/*', (res, req) => this.#handle(res, req));
  }

  /**
   * Starts listening; gives where.
   * @throws SidestreamError LISTEN_FAILED
   */
  async listen(): Promise<HostPort> {
    const { uws, config } = this.#options;
    const isShared = this.#others !== ALONE;
    this.#listening = await listen(this.#app, uws, config.http.listen, { isShared });
    return this.#listening.address;
  }

  /** Refuses what is new, answers polls, tells every stream to come back elsewhere, at its own time, and ends it. */
  async drain({ closesPort = false, ...rate }: DrainChoices = {}): Promise<void> {
    const { config, clock, metrics } = this.#options;
    this.#draining = true;
    metrics.draining = true;
    if (closesPort) this.#listening?.close();
    const { retryMs } = config.sse;
    await this.streams.drain({ clock, retryMs, ...config.drain, ...rate });
  }

  /** Ends the streams that match, telling the reason; says how many. */
  end(...picked: Parameters<Streams['end']>): number {
    return this.streams.end(...picked);
  }

  /** The config has changed; who has a stream keeps it. */
  reconfigured(): void {
    const { limits } = this.#options.config;
    const arriving = [...this.#arrivals, ...this.streams.connections, ...this.streams.polls];
    const holders = arriving.map((holder) => {
      if (!('client' in holder)) return { address: holder.address, user: undefined, channels: [] };
      const { address, identity } = holder.client;
      const on = this.#destinations.get(holder.client) ?? [];
      return { address, user: identity?.subject, channels: on.map(({ channel }) => channel) };
    });
    this.#front.reconfigured(holders);
    this.#resources.reconfigured();
    this.#waiting.limitTo(limits.pendingTotalBytes);
  }

  /** Closes the port and cuts off what is still open. */
  stop(): void {
    this.streams.abort();
    this.#app.close();
  }

  // uWebSockets.js must never see a throw.
  #handle(res: HttpResponse, req: HttpRequest): void {
    try {
      this.#answer(res, copyRequest(req, this.#front.wanted));
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'a request could not be answered');
      res.close();
    }
  }

  #answer(res: HttpResponse, ask: Ask): void {
    const { path } = this.#options.config.http;
    if (!isStreamPath(ask.path, path)) {
      if (!this.#resources.take(res, ask)) this.#refuse(res, ask, { refused: 'NOT_FOUND' });
      return;
    }
    if (ask.method === 'options') {
      const headers = this.#front.cors.preflight(ask.origin);
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
    const { config, router, channelState, authenticator } = this.#options;
    if (ask.method !== 'get') return { refused: 'METHOD_NOT_ALLOWED' };
    if (ask.hasBody) return { refused: 'BODY_NOT_ALLOWED' };
    const offer = negotiate(ask.accept);
    if (offer === undefined) return { refused: 'NOT_ACCEPTABLE' };
    const request = readStreamRequest(ask, config.http.path, config.limits.channelsPerConnection);
    if (typeof request === 'string') return { refused: request };
    const poll = offer.transport === 'poll' ? readPollRequest(ask, config.limits.replay) : undefined;
    if (typeof poll === 'string') return { refused: poll };
    if (request.channels.length === 0 && !authenticator.hasAutomaticChannels)
      return { refused: 'CHANNELS_MISSING' };
    const unready = this.#unready();
    if (unready !== undefined) return { refused: unready };
    const resolution = resolveChannels(request.channels, router, channelState);
    if ('refused' in resolution) return resolution;
    const address = this.#front.address(res, ask);
    const limit = this.#front.admission.admit(address);
    if (limit !== undefined) return { refused: limit };
    return { request, offer, poll, destinations: resolution.found, address };
  }

  #unready(): RefusalCode | undefined {
    if (this.#draining) return 'DRAINING';
    return this.#options.natsReady() ? undefined : 'NATS_NOT_READY';
  }

  #permit(ask: Ask, arrival: Arrival): Outcome | Promise<Outcome> {
    const { config, authenticator } = this.#options;
    const { request, destinations, address } = arrival;
    return authenticator.permit({
      token: findToken(ask, config.auth.token),
      destinations,
      client: limitKey(address),
      request: tokenRequest(ask, address, request.channels),
      mayVerify: () => this.#front.failures.mayVerify(address),
      objection: (permit) => this.#objection(permit, arrival),
    });
  }

  // The response may be gone before the answer comes; then nothing of it may be touched.
  #concludeLater(res: HttpResponse, ask: Ask, arrival: Arrival, outcome: Promise<Outcome>): void {
    let aborted = false;
    this.#arrivals.add(arrival);
    res.onAborted(() => {
      aborted = true;
      this.#arrivals.delete(arrival);
      this.#front.admission.release(arrival.address);
    });
    const conclude = (found: Outcome) => {
      if (aborted) return;
      this.#arrivals.delete(arrival);
      res.cork(() => this.#conclude(res, ask, arrival, found));
    };
    outcome
      .catch((error: unknown): Outcome => {
        this.#options.log.error(traced(ask, { error: String(error) }), 'a request could not be judged');
        return { refused: 'AUTH_UNAVAILABLE', badToken: false };
      })
      .then(conclude)
      // Not concluded once more: what has been counted out would be counted out twice.
      .catch((error: unknown) => {
        this.#options.log.error(traced(ask, { error: String(error) }), 'a request could not be answered');
      });
  }

  #conclude(res: HttpResponse, ask: Ask, arrival: Arrival, outcome: Outcome): void {
    const refused = this.#admit(outcome, arrival);
    if (refused !== undefined) {
      this.#front.admission.release(arrival.address);
      this.#refuse(res, ask, refused);
    } else if (!('refused' in outcome)) this.#open(res, ask, arrival, outcome);
  }

  /** Counts the stream towards its user, or says what still speaks against it; time may have passed. */
  #admit(outcome: Outcome, arrival: Arrival): Objection | undefined {
    if ('refused' in outcome) {
      if (outcome.badToken) this.#front.failures.failed(arrival.address);
      return outcome;
    }
    const objection = this.#objection(outcome, arrival);
    if (objection === undefined) this.#front.admission.countUser(outcome.identity?.subject);
    return objection;
  }

  /** What speaks against a stream now that it is known who it is for. */
  #objection({ identity, destinations }: Permit, { destinations: asked }: Arrival): Objection | undefined {
    const { hub, config, clock, channelState } = this.#options;
    // Its stream would end at once: a token that only the clock tolerance still lets pass would be opened, ended and
    // brought back until that too is over.
    if ((identity?.expiresAtMs ?? Infinity) <= clock.wall()) return { refused: 'TOKEN_EXPIRED' };
    if (this.#draining) return { refused: 'DRAINING' };
    if (destinations.length === 0) {
      return { refused: identity === undefined ? 'TOKEN_MISSING' : 'CHANNELS_MISSING' };
    }
    const limit =
      closedMeanwhile(destinations, channelState) ?? channelLimit(asked, destinations, hub, config.limits);
    if (limit !== undefined) return limit;
    const full = this.#front.admission.fullChannel(asked);
    if (full !== undefined) return { refused: 'CONNECTION_LIMIT_CHANNEL', channel: full.channel };
    return this.#front.admission.hasRoomFor(identity?.subject)
      ? undefined
      : { refused: 'CONNECTION_LIMIT_USER' };
  }

  #open(
    res: HttpResponse,
    ask: Ask,
    { request, offer, poll, address }: Arrival,
    { identity, destinations }: Permit,
  ): void {
    const { metrics, log } = this.#options;
    const client = { address, identity };
    this.#countChannels(client, destinations);
    const { cursor } = request;
    const headers = this.#front.cors.headers(ask.origin);
    const chosen = this.#front.renderings.choose(
      offer.transport === 'ndjson' ? 'ndjson' : 'sse',
      ask.acceptEncoding,
    );
    metrics.opened(this.#options.clock.wall());
    const id =
      poll === undefined
        ? this.#stream(res, client, { destinations, cursor, headers, chosen, mediaType: offer.mediaType })
        : this.#poll(res, client, { ...poll, destinations, cursor, headers, chosen });
    if (!log.isLevelEnabled('debug')) return;
    const channels = destinations.map(({ channel }) => channel);
    log.debug(traced(ask, { connection: id, user: identity?.subject, channels, address }), 'stream opened');
  }

  #stream(res: HttpResponse, client: Client, options: StreamOptions): string {
    const connection = new Connection(res, client, this.#context, options.chosen?.rendering);
    this.streams.add(connection);
    openStream(connection, res, this.#context, options);
    return connection.id;
  }

  #poll(res: HttpResponse, client: Client, options: PollOptions): string {
    const poll = new Poll(res, client, this.#context, options);
    this.streams.add(poll);
    poll.start();
    return poll.id;
  }

  /** Whether there is room for one more on a channel, as far as that is not the hub's to know. */
  hasSeat(destination: Destination): boolean {
    return this.#front.admission.fullChannel([destination]) === undefined;
  }

  /** Counts an open stream towards other channels than before. */
  recount(client: Client, destinations: readonly Destination[]): void {
    this.#front.admission.releaseChannels(this.#destinations.get(client) ?? []);
    this.#countChannels(client, destinations);
  }

  #countChannels(client: Client, destinations: readonly Destination[]): void {
    if (this.#others === ALONE) return;
    this.#destinations.set(client, destinations);
    this.#front.admission.countChannels(destinations);
  }

  #refuse(res: HttpResponse, ask: Ask, { refused: code, channel, detail }: Objection): void {
    const { metrics, config, log } = this.#options;
    metrics.refused(code);
    if (log.isLevelEnabled('debug'))
      log.debug(
        traced(ask, { code, channel, address: this.#front.address(res, ask), detail }),
        'request refused',
      );
    const retryMs = this.#front.retry.next();
    const answer = refusal(code, {
      asStatus: wantsStatus(ask),
      retryMs,
      control: config.sse.control,
      ...(channel !== undefined && { channel }),
    });
    writeAnswer(res, ask, {
      ...answer,
      headers: [...answer.headers, ...this.#front.cors.headers(ask.origin)],
    });
  }

  #ended(connection: Connection | Poll, ending: Ending): void {
    const { metrics, log } = this.#options;
    this.streams.delete(connection);
    this.#front.admission.releaseChannels(this.#destinations.get(connection.client) ?? []);
    this.#destinations.delete(connection.client);
    this.#front.admission.release(connection.client.address);
    this.#front.admission.releaseUser(connection.client.identity?.subject);
    metrics.connections -= 1;
    metrics.closed(ending);
    log.debug({ connection: connection.id, reason: ending }, 'stream ended');
  }
}
