import { onTestFinished } from 'vitest';
import { createBridge } from '../../src/bridge/bridge.ts';
import type { Bridge } from '../../src/bridge/contract.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import { parseConfig } from '../../src/config/load.ts';
import { planOf } from '../../src/config/plan.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Outcome } from '../../src/control/outcome.ts';
import { createLog } from '../../src/log.ts';
import { type Metrics, ReloadMetrics } from '../../src/metrics.ts';
import type { NatsServer } from './nats-server.ts';
import { poll } from './poll.ts';
import { type RequestOptions, request, type StreamClient } from './stream-client.ts';

/** Sections of the config file, in the file's own form (`heartbeat: '15s'`); what is left out has its default. */
export type FileConfig = {
  readonly [S in Exclude<keyof Config, 'workers'>]?: Readonly<Record<string, unknown>>;
} & { readonly workers?: Config['workers'] };

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface TestBridgeOptions {
  /** Without one the bridge looks for NATS where nothing listens. */
  readonly nats?: NatsServer;
  /** `channels` replaces the one default route: `topic.{name}` from the subject `topics.{name}`. */
  readonly config?: FileConfig;
  readonly clock?: Clock;
  /** Of the software. */
  readonly version?: string;
  /** Whether to wait for the connection to NATS. Default: true where there is a server. */
  readonly connected?: boolean;
}

/** What a test asks of a stream besides its target. */
export type StreamOptions = Omit<RequestOptions, 'port' | 'target'>;

const CHANNELS = { topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public' } };
/** Nothing listens on the discard port, and nobody may take it by accident. */
const NOWHERE = 'nats://127.0.0.1:9';

/** One sample of the `/metrics` of an ops port. */
export async function readSample(opsUrl: string, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

/** The config file of a test, on free ports. */
export function fileConfig(config: FileConfig, nats: Pick<NatsServer, 'url'> = { url: NOWHERE }) {
  return {
    ...config,
    http: { listen: '127.0.0.1:0', ...config.http },
    ops: { listen: '127.0.0.1:0', ...config.ops },
    nats: { servers: [nats.url], ...config.nats },
    log: { level: 'debug', ...config.log },
    channels: config.channels ?? CHANNELS,
  };
}

/** A bridge in this process, on free ports. */
export class TestBridge {
  readonly logs: LogLine[] = [];
  readonly #bridge: Bridge;
  readonly #nats: Pick<NatsServer, 'url'> | undefined;
  readonly #started: Config;
  #running: Config;
  #httpPort = 0;
  #opsPort = 0;

  constructor({ nats, config = {}, clock, version = '0.0.0-test' }: TestBridgeOptions) {
    // JSON is YAML: the config goes the same way as an operator's file.
    const { config: parsed } = parseConfig(JSON.stringify(fileConfig(config, nats)), 'test.yaml', {});
    this.#nats = nats;
    this.#started = parsed;
    this.#running = parsed;
    const log = createLog(
      { ...parsed.log, format: 'json' },
      { write: (line) => this.logs.push(JSON.parse(line)) },
    );
    this.#bridge = createBridge({
      config: parsed,
      log,
      version,
      reloads: new ReloadMetrics(systemClock.wall()),
      ...(clock !== undefined && { clock }),
    });
  }

  get metrics(): Metrics {
    return this.#bridge.metrics;
  }

  get httpPort(): number {
    return this.#httpPort;
  }

  get opsUrl(): string {
    return `http://127.0.0.1:${this.#opsPort}`;
  }

  async start(): Promise<void> {
    const { http, ops } = await this.#bridge.start();
    this.#httpPort = http.port;
    this.#opsPort = ops?.port ?? 0;
  }

  async connected(): Promise<void> {
    await poll('the connection to NATS', () => this.metrics.natsConnected && this.#bridge.accepting);
  }

  /** Waits for a log line. */
  async logged(message: string | RegExp): Promise<LogLine> {
    return poll(`the log line ${message}`, () =>
      this.logs.find((line) =>
        typeof message === 'string' ? line.message === message : message.test(line.message),
      ),
    );
  }

  /** Sends any request; resolves with the head of its answer. */
  async request(target: string, options: StreamOptions = {}): Promise<StreamClient> {
    return request({ port: this.#httpPort, target, ...options });
  }

  /** Opens a stream that must be granted, and takes `sidestream.open` from it. */
  async stream(target: string, options: StreamOptions = {}): Promise<StreamClient> {
    const client = await this.request(target, options);
    await client.next('sidestream.open');
    return client;
  }

  /** One sample of `/metrics`, or `undefined` where there is none: `sidestream_connections`, `x_total{reason="y"}`. */
  sample(name: string): Promise<number | undefined> {
    return readSample(this.opsUrl, name);
  }

  /** Calls an operation of the control plane by this very instance. */
  call(operation: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Outcome> {
    return this.#bridge.call(operation, fields, { via: 'http' });
  }

  /**
   * Has it go by another config, as far as that can be had without a restart; gives the keys of the rest.
   * @throws whatever keeps it from making ready
   */
  async reload(config: FileConfig): Promise<readonly string[]> {
    const next = parseConfig(JSON.stringify(fileConfig(config, this.#nats)), 'test.yaml', {}).config;
    const plan = planOf({ started: this.#started, running: this.#running }, next);
    const prepared = await this.#bridge.prepare(plan.config);
    await prepared.apply();
    this.#running = plan.config;
    return plan.restart;
  }

  drain(): Promise<void> {
    return this.#bridge.drain();
  }

  stop(): Promise<void> {
    return this.#bridge.stop();
  }
}

/** Starts a bridge that is stopped when the test is over. */
export async function startBridge(options: TestBridgeOptions = {}): Promise<TestBridge> {
  const bridge = new TestBridge(options);
  onTestFinished(() => bridge.stop());
  await bridge.start();
  if (options.connected ?? options.nats !== undefined) await bridge.connected();
  return bridge;
}
