import { writeFileSync } from 'node:fs';
import { jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { onTestFinished } from 'vitest';
import { startJwksServer } from '../auth/jwks-server.ts';
import { signer } from '../auth/tokens.ts';
import { AUTH, bearer, signed } from '../integration/protected.ts';
import { type FileConfig, fileConfig } from '../support/bridge.ts';
import { type Cli, startCli, writeConfig } from '../support/cli.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';
import { type RequestOptions, request, type StreamClient } from '../support/stream-client.ts';

const OPS_TOKEN = 'of-the-tests-alone';
const AUTHORIZATION = { Authorization: `Bearer ${OPS_TOKEN}` };
const BRIDGE_USER = { user: 'bridge', password: 'of-the-tests' };
/** What the bridges may not read is there to have NATS refuse something. */
const NATS_CONFIG = `authorization { users: [
  { user: bridge, password: of-the-tests, permissions: { subscribe: { deny: "secret.>" } } }
  { user: backend, password: of-the-tests }
] }`;

/** A route of each kind. */
const CHANNELS = {
  prices: { channel: 'prices.{symbol}', subject: 'market.{symbol}', access: 'public' },
  bulk: { channel: 'bulk', subject: 'bulk', access: 'public', slow: 'drop' },
  orders: { channel: 'orders.{shop}', subject: 'orders.{shop}', stream: 'ORDERS', access: 'public' },
  settings: { channel: 'settings.{app}', kv: 'settings', key: 'app.{app}', access: 'public' },
  notes: {
    channel: 'user-{id}',
    subject: 'notify.{id}',
    stream: 'NOTIFY',
    inbox: true,
    access: { where: { id: '{claims.sub}' } },
  },
  rooms: { channel: 'room-{id}', subject: 'room.{id}', access: 'public', presence: true },
  judged: { channel: 'judged-{id}', subject: 'judged.{id}', access: { callout: 'nobody.answers' } },
  forbidden: { channel: 'secret-{id}', subject: 'secret.{id}', access: 'public' },
};

const CONFIG = {
  channels: CHANNELS,
  ops: { token: OPS_TOKEN },
  nats: { auth: BRIDGE_USER },
  sse: { compression: ['gzip'], heartbeat: '1s' },
  limits: { event: '128KiB', pending: '64MiB', stalled: '1h', connectionsPerChannel: 40 },
  drain: { timeout: '1s' },
};

/** One event of this size fills what the kernels take of a reader that has stopped, some MB, after some tens of them. */
const BULK_BYTES = 100_000;
const SLOW = { route: 'bulk', target: '/events/bulk' };

/** The program, by its ports. */
export interface Instance {
  readonly cli: Cli;
  /** Its config. */
  readonly file: string;
  readonly httpPort: number;
  readonly opsUrl: string;
}

/** NATS with all that the routes need, one instance of one process and one of two workers, and a backend. */
export class Scene {
  readonly nats: NatsServer;
  readonly backend: Publisher;
  readonly alone: Instance;
  readonly workers: Instance;
  /** What both were started with, but for the workers. */
  readonly config: typeof CONFIG & Pick<FileConfig, 'auth'>;

  constructor(parts: Pick<Scene, 'nats' | 'backend' | 'alone' | 'workers' | 'config'>) {
    this.nats = parts.nats;
    this.backend = parts.backend;
    this.alone = parts.alone;
    this.workers = parts.workers;
    this.config = parts.config;
  }

  get instances(): readonly Instance[] {
    return [this.alone, this.workers];
  }

  /** Opens a stream that must be given. */
  async stream(
    { httpPort: port }: Instance,
    target: string,
    headers: RequestOptions['headers'] = {},
  ): Promise<StreamClient> {
    const client = await request({ port, target, headers });
    await client.next('sidestream.open');
    return client;
  }

  /** Readers of every kind, and what a backend tells them. */
  async everyday(): Promise<void> {
    for (const instance of this.instances) {
      const prices = await this.stream(instance, '/events/prices.ACME');
      await this.compressed(instance);
      await this.stream(instance, '/events/room-1');
      await (await this.stream(instance, '/events/settings.shop')).next('put');
      await this.inbox(instance);
      await poll('an event', async () => {
        await this.backend.publish('market.ACME', '{"price":1}');
        return prices.body.includes('"price"');
      });
      await this.resumed(instance);
      await this.polled(instance);
    }
  }

  /** A reader who loses the connection and gets what was missed. */
  async resumed(instance: Instance): Promise<void> {
    const { connection } = this.backend;
    const first = await this.stream(instance, '/events/orders.1');
    await connection.request('orders.1', 'one');
    await first.next();
    first.destroy();
    await connection.request('orders.1', 'two');
    const again = await request({
      port: instance.httpPort,
      target: '/events/orders.1',
      headers: { 'Last-Event-ID': first.lastEventId },
    });
    await again.next('sidestream.open');
    await again.next();
  }

  /** A compressed stream, of which the first bytes are read. */
  async compressed({ httpPort }: Instance): Promise<void> {
    const aborting = new AbortController();
    onTestFinished(() => aborting.abort());
    const { body } = await fetch(`http://127.0.0.1:${httpPort}/events/prices.ACME`, {
      headers: { Accept: 'text/event-stream', 'Accept-Encoding': 'gzip' },
      signal: aborting.signal,
    });
    await body?.getReader().read();
  }

  async polled({ httpPort }: Instance): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${httpPort}/events/prices.ACME?wait=0s`, {
      headers: { Accept: 'application/json' },
    });
    await answer.text();
  }

  async inbox(instance: Instance): Promise<void> {
    const { headers } = bearer(await signed({ sub: '42' }));
    await this.stream(instance, '/events/user-42', headers);
    await this.backend.connection.request('notify.42', 'you have mail');
    await fetch(`http://127.0.0.1:${instance.httpPort}/events/user-42/inbox`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: '{"read":"all"}',
    });
  }

  /** What is refused, and why. */
  async refusals(): Promise<void> {
    for (const { httpPort: port, opsUrl } of this.instances) {
      const headers = { Authorization: 'Bearer of-nobody' };
      const mine = bearer(await signed({ sub: '42' }));
      await (await request({ port, target: '/events/no.such.channel' })).ended();
      await (await request({ port, target: '/events/user-42' })).ended();
      await (await request({ port, target: '/events/user-42', headers })).ended();
      await (await request({ port, target: '/events/judged-1', ...mine })).ended();
      await request({ port, target: '/events/secret-1' });
      await fetch(`${opsUrl}/api/stats`, { headers });
    }
  }

  /** What backends and operators do. */
  async control(): Promise<void> {
    const { connection } = this.backend;
    for (const instance of this.instances) {
      await this.call(instance, 'publish', { channel: 'room-1', data: 'from a backend' });
      await this.call(instance, 'disconnect', { user: 'nobody' });
    }
    await connection.request('sidestream.control.disconnect', '{"user":"nobody"}');
  }

  /** Messages that cannot be passed on as they are. */
  async oddities(): Promise<void> {
    await this.backend.publish('market.ACME', 'x'.repeat(200_000));
    await this.backend.publish('market.ACME', Uint8Array.of(0xff));
    await this.backend.publish('market.ACME', '1', { 'Sse-Ttl': 'soon' });
  }

  /** A reader that stops, and is owed something from then on. */
  async slowReader(): Promise<void> {
    const reader = await this.stream(this.alone, SLOW.target);
    reader.pause();
    await poll('a reader to be behind', async () => {
      for (let n = 0; n < 10; n += 1) this.backend.send(SLOW.route, 'x'.repeat(BULK_BYTES));
      await this.backend.connection.flush();
      return (await (await fetch(`${this.alone.opsUrl}/metrics`)).text()).includes(
        'sidestream_slow_connections 1',
      );
    });
  }

  /** Changes the config of the instance of one process, and tells it so. */
  reconfigure({ nats, ...sections }: FileConfig): void {
    const config = { ...this.config, ...sections, nats: { ...this.config.nats, ...nats } };
    writeFileSync(this.alone.file, JSON.stringify(fileConfig(config, this.nats)));
    this.alone.cli.signal('SIGHUP');
  }

  /** Has the instance of one process end its streams; it goes on to answer. */
  async drain(): Promise<void> {
    const answer = await fetch(`${this.alone.opsUrl}/api/instances`, { headers: AUTHORIZATION });
    const { list }: { list: { instance: string; worker?: number }[] } = JSON.parse(await answer.text());
    const { instance } = list.find(({ worker }) => worker === undefined) ?? {};
    await this.call(this.alone, 'drain', { instance });
  }

  /** Calls an operation over HTTP. @throws Error where it is refused */
  async call({ opsUrl }: Instance, operation: string, fields: object): Promise<void> {
    const answer = await fetch(`${opsUrl}/api/${operation}`, {
      method: 'POST',
      headers: { ...AUTHORIZATION, 'Content-Type': 'application/json' },
      body: JSON.stringify(fields),
    });
    if (!answer.ok) throw new Error(`${operation}: ${answer.status} ${await answer.text()}`);
  }
}

async function startInstance(config: object): Promise<Instance> {
  const file = writeConfig(config);
  const cli = await startCli(['serve', '--config', file]);
  const line = await cli.logged('listening');
  const { http, ops } = line as unknown as { readonly http: Address; readonly ops: Address };
  return { cli, file, httpPort: http.port, opsUrl: `http://127.0.0.1:${ops.port}` };
}

interface Address {
  readonly port: number;
}

export async function startScene(): Promise<Scene> {
  const nats = await startNats({ jetStream: true, config: NATS_CONFIG });
  const backend = await startPublisher(nats, { user: 'backend', pass: BRIDGE_USER.password });
  const jsm = await jetstreamManager(backend.connection);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  await jsm.streams.add({ name: 'NOTIFY', subjects: ['notify.>'] });
  await (await new Kvm(backend.connection).create('settings')).put('app.shop', 'open');
  const issuer = await startJwksServer();
  issuer.publish((await signer('RS256')).jwk);
  const published = { issuer: 'elsewhere', algorithms: ['RS256'], jwksUrl: issuer.url };
  const config = { ...CONFIG, auth: { ...AUTH, jwt: [AUTH.jwt, published] } };
  const [alone, workers] = await Promise.all([
    startInstance(fileConfig(config, nats)),
    startInstance(fileConfig({ ...config, workers: 2 }, nats)),
  ]);
  const scene = new Scene({ nats, backend, alone, workers, config });
  for (const { opsUrl } of scene.instances)
    await poll('new streams to be given', async () =>
      (await (await fetch(`${opsUrl}/metrics`)).text()).includes('\nsidestream_accepting 1\n'),
    );
  return scene;
}
