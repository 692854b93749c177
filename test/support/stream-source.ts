import { type JetStreamManager, jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { type ConnectionOptions, connect, type NatsConnection, type Status } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import { systemClock, TICK_MS, TimerWheel } from '../../src/clock.ts';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { ArchiveRange, Publication, Sink, Upstream } from '../../src/hub/source.ts';
import { createLog } from '../../src/log.ts';
import { Metrics } from '../../src/metrics.ts';
import { type Destination, Router } from '../../src/routing/router.ts';
import type { StreamSource } from '../../src/sources/stream.ts';
import { createStreamSources } from '../../src/sources/stream-sources.ts';
import type { NatsServer } from './nats-server.ts';
import { poll } from './poll.ts';
import { routeConfig } from './route.ts';

/** A sink that notes what it is given: `12 text` for a publication, `gap reason`, `settled`. */
export class NotingSink implements Sink {
  readonly taken: string[] = [];
  readonly publications: Publication[] = [];
  upstream: Upstream | undefined;

  publish(publication: Publication, offset?: number): void {
    this.publications.push({ ...publication, data: Buffer.from(publication.data).toString() });
    this.taken.push(`${offset} ${Buffer.from(publication.data).toString()}`);
  }

  gap(reason: string): void {
    this.taken.push(`gap ${reason}`);
  }

  settled(): void {
    this.taken.push('settled');
  }

  /** Waits until it was given so many notes, and gives them all. */
  async noted(count: number): Promise<string[]> {
    return poll(`${count} notes, not ${this.taken.join(', ')}`, () =>
      this.taken.length >= count ? this.taken : undefined,
    );
  }

  /** Waits for a note, and gives all there are. */
  async until(note: string): Promise<string[]> {
    await poll(`the note ${note}`, () => this.taken.includes(note));
    return this.taken;
  }
}

type GivenRoute = Partial<RouteConfig> & Pick<RouteConfig, 'channel' | 'subject'>;

export interface StreamSetUp {
  readonly nats: Pick<NatsServer, 'url'>;
  /** Default: one route `orders`, channel `orders.{id}`, subject `orders.{id}`, stream ORDERS, not warmed. */
  readonly routes?: Readonly<Record<string, GivenRoute>>;
  readonly maxEventBytes?: number;
  /** As a URL's user info. */
  readonly user?: string;
  readonly heartbeatMs?: number;
  readonly checkMs?: number;
}

const HISTORY = { size: 100, ageMs: 60_000, bytes: 1 << 20 };

export const ORDERS: GivenRoute = {
  channel: 'orders.{id}',
  subject: 'orders.{id}',
  source: { kind: 'stream', stream: 'ORDERS', warmMs: 0 },
};

/** The sources of some routes on a connection of their own, as the bridge runs them, with sinks that note. */
export class RunningSources {
  readonly metrics = new Metrics();
  readonly logged: { readonly level: string; readonly message: string; readonly [field: string]: unknown }[] =
    [];
  /** What went to memory alone: `channel 12 text`. */
  readonly kept: string[] = [];
  readonly router: Router;
  readonly sources: ReturnType<typeof createStreamSources>;
  readonly #setUp: StreamSetUp;
  readonly #wheel = new TimerWheel(systemClock);
  #isAway = false;

  constructor(setUp: StreamSetUp) {
    this.#setUp = setUp;
    const { routes = { orders: ORDERS }, maxEventBytes = 1 << 20, heartbeatMs = 250, checkMs = 500 } = setUp;
    this.router = new Router(
      Object.fromEntries(
        Object.entries(routes).map(([name, config]) => [name, routeConfig({ history: HISTORY, ...config })]),
      ),
    );
    const log = createLog(
      { level: 'debug', format: 'json' },
      { write: (line) => this.logged.push(JSON.parse(line)) },
    );
    this.sources = createStreamSources(this.router.routes, {
      clock: systemClock,
      wheel: this.#wheel,
      log,
      metrics: this.metrics,
      maxEventBytes,
      heartbeatMs,
      checkMs,
      intake: {
        keep: ({ channel }, { data }, offset) =>
          void this.kept.push(`${channel} ${offset} ${Buffer.from(data).toString()}`),
      },
    });
  }

  async start(): Promise<void> {
    const ticking = setInterval(() => this.#wheel.advance(), TICK_MS);
    const connection = await connect({
      servers: this.#setUp.nats.url.split(','),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      ignoreAuthErrorAbort: true,
      ...(this.#setUp.user !== undefined && { user: this.#setUp.user, pass: this.#setUp.user }),
    });
    onTestFinished(async () => {
      clearInterval(ticking);
      this.sources.stop();
      await connection.close();
    });
    void this.#follow(connection);
    for (const listener of this.sources.listeners) listener.connected(connection);
  }

  /** Takes the connection for lost, until `comeBack`. */
  leave(): void {
    this.#isAway = true;
    for (const listener of this.sources.listeners) listener.disconnected?.();
  }

  comeBack(): void {
    this.#isAway = false;
    for (const listener of this.sources.listeners) listener.reconnected();
  }

  destination(channel: string): Destination {
    const destination = this.router.resolve(channel);
    if (destination === undefined) throw new TypeError(channel);
    return destination;
  }

  source(channel: string): StreamSource {
    const source = this.sources.of(this.destination(channel).route);
    if (source === undefined) throw new TypeError(channel);
    return source;
  }

  open(channel: string): NotingSink {
    const sink = new NotingSink();
    sink.upstream = this.source(channel).open(this.destination(channel), sink);
    return sink;
  }

  /** Opens a channel and waits until it is fed. */
  async opened(channel: string): Promise<NotingSink> {
    const sink = this.open(channel);
    await sink.until('settled');
    sink.taken.length = 0;
    return sink;
  }

  /** Reads a channel again; up to everything that there is, without a limit, where `range` does not say. */
  async read(channel: string, range: Partial<ArchiveRange> = {}) {
    const { archive } = this.source(channel);
    const through = await archive.newest();
    const whole = { from: { kind: 'all' }, through, limit: 100_000, maxBytes: 1 << 30 } as const;
    const page = await archive.read(this.destination(channel), { ...whole, ...range });
    return {
      ...page,
      texts: page.publications.map(({ offset, publication: { data } }) => `${offset} ${Buffer.from(data)}`),
    };
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status() as AsyncIterable<Status>) {
      const { type } = status;
      for (const listener of this.sources.listeners) {
        if (status.type === 'error') listener.refused?.(status.error);
        if (this.#isAway) continue;
        if (type === 'disconnect') listener.disconnected?.();
        if (type === 'reconnect') listener.reconnected();
      }
    }
  }
}

export async function startSources(setUp: StreamSetUp): Promise<RunningSources> {
  const running = new RunningSources(setUp);
  await running.start();
  return running;
}

/** JetStream, as an operator and the publishers use it. */
export class JetStream {
  readonly manager: JetStreamManager;

  /** Of the server. */
  readonly version: string;

  readonly #options: ConnectionOptions;

  constructor(manager: JetStreamManager, version: string, options: ConnectionOptions) {
    this.manager = manager;
    this.version = version;
    this.#options = options;
  }

  /** Makes the stream ORDERS of `orders.>`, in a file. */
  async add(config: Partial<StreamConfig> = {}): Promise<void> {
    await this.manager.streams.add({ name: 'ORDERS', subjects: ['orders.>'], ...config });
  }

  /** Makes a bucket. */
  bucket(name: string, history = 1): Promise<KV> {
    return new Kvm(this.manager.jetstream()).create(name, { history });
  }

  /** Publishes one after the other, on a connection of its own: the server may just have been restarted. */
  async publish(subject: string, ...texts: readonly string[]): Promise<void> {
    const connection = await connect(this.#options);
    const client = jetstream(connection);
    for (const text of texts) await client.publish(subject, text);
    await connection.close();
  }
}

export async function startJetStream({ url }: Pick<NatsServer, 'url'>, user?: string): Promise<JetStream> {
  const options = { servers: url.split(','), ...(user !== undefined && { user, pass: user }) };
  const connection = await connect({ ...options, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  onTestFinished(() => connection.close());
  return new JetStream(await jetstreamManager(connection), connection.info?.version ?? '', options);
}
