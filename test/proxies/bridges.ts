import { jetstreamManager } from '@nats-io/jetstream';
import { AUTH } from '../integration/protected.ts';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { type Cli, startCli, writeConfig } from '../support/cli.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { freePort } from '../support/ports.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';
import { type Address, type ProxyKind, type Replacement, type RunningProxy, startProxy } from './proxy.ts';

/** Addresses of two machines: proxies look for the same ops port on each. */
export const HOSTS = ['127.0.0.1', '127.0.0.2'] as const;

const CHANNELS = {
  prices: { channel: 'prices.{symbol}', subject: 'prices.{symbol}', access: 'public', event: 'price' },
  orders: {
    channel: 'orders.{id}',
    subject: 'orders.{id}',
    stream: 'ORDERS',
    access: 'public',
    event: 'order',
  },
  notices: {
    channel: 'user-{id}',
    subject: 'notify.{id}',
    stream: 'NOTIFY',
    inbox: true,
    access: { where: { id: '{claims.sub}' } },
  },
};

export interface SceneOptions {
  readonly config?: FileConfig;
  readonly also?: readonly Replacement[];
  /** Where the proxy asks whether both are ready. Default: their ops port. */
  readonly healthPort?: number;
}

/** A proxy before two bridges on one NATS. */
export interface Scene {
  readonly proxy: RunningProxy;
  readonly nats: NatsServer;
  readonly publisher: Publisher;
}

async function startSources() {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const { streams } = await jetstreamManager(publisher.connection);
  await streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  await streams.add({ name: 'NOTIFY', subjects: ['notify.>'] });
  return { nats, publisher };
}

async function addresses() {
  const ports = [await freePort(HOSTS[0]), await freePort(HOSTS[1])] as const;
  const bridges = [
    { host: HOSTS[0], port: ports[0] },
    { host: HOSTS[1], port: ports[1] },
  ] as const;
  return { bridges, opsPort: await freePort(...HOSTS) };
}

/** The config of the bridge at an address, behind a proxy on 127.0.0.1. */
function configAt(
  { host, port }: Address,
  opsPort: number,
  { sse, http, ops, ...rest }: FileConfig,
): FileConfig {
  return {
    sse: { retry: '100ms..200ms', ...sse },
    http: { listen: `${host}:${port}`, trustedProxies: ['127.0.0.1'], ...http },
    ops: { listen: `${host}:${opsPort}`, ...ops },
    auth: AUTH,
    channels: CHANNELS,
    ...rest,
  };
}

/** Both in this process. */
export async function startScene(
  proxy: ProxyKind,
  { config = {}, also = [], healthPort }: SceneOptions = {},
): Promise<Scene & { readonly bridges: readonly TestBridge[] }> {
  const sources = await startSources();
  const places = await addresses();
  const bridges = await Promise.all(
    places.bridges.map((address) =>
      startBridge({ nats: sources.nats, config: configAt(address, places.opsPort, config) }),
    ),
  );
  const setUp = { ...places, also, opsPort: healthPort ?? places.opsPort };
  return { ...sources, bridges, proxy: await startProxy(proxy, setUp) };
}

/** A bridge as a process of its own, which can be stopped and killed, and started again where it was. */
export class BridgeProcess {
  readonly #file: string;
  readonly #opsUrl: string;
  #cli: Cli | undefined;

  constructor(config: FileConfig, opsUrl: string) {
    this.#file = writeConfig(config);
    this.#opsUrl = opsUrl;
  }

  async start(): Promise<void> {
    this.#cli = await startCli(['serve', '--config', this.#file]);
    await this.#cli.logged('connected to NATS');
    await this.#cli.logged('listening');
  }

  /** As systemd and Kubernetes do: drains, then ends. */
  async stop(): Promise<void> {
    this.#cli?.signal('SIGTERM');
    await this.#cli?.exited();
  }

  async kill(): Promise<void> {
    await this.#cli?.kill();
  }

  /** How many streams it has. */
  async connections(): Promise<number> {
    const text = await (await fetch(`${this.#opsUrl}/metrics`)).text();
    return Number(/^sidestream_connections (\d+)$/m.exec(text)?.[1]);
  }
}

/** Both as processes of their own. */
export async function startProcesses(
  proxy: ProxyKind,
  { config = {}, also = [] }: SceneOptions = {},
): Promise<Scene & { readonly bridges: readonly BridgeProcess[] }> {
  const sources = await startSources();
  const places = await addresses();
  const bridges = places.bridges.map(
    (address) =>
      new BridgeProcess(
        { nats: { servers: [sources.nats.url] }, ...configAt(address, places.opsPort, config) },
        `http://${address.host}:${places.opsPort}`,
      ),
  );
  await Promise.all(bridges.map((bridge) => bridge.start()));
  return { ...sources, bridges, proxy: await startProxy(proxy, { ...places, also }) };
}
