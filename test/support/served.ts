import {
  fileConfig,
  readSample,
  type StreamOptions,
  type TestBridge,
  type TestBridgeOptions,
} from './bridge.ts';
import { type Cli, serve } from './cli.ts';
import { poll } from './poll.ts';
import { request, type StreamClient } from './stream-client.ts';

/** What a test may ask of a bridge, whether it runs in this process or as a program of its own. */
export type RunningBridge = Pick<TestBridge, 'httpPort' | 'request' | 'stream' | 'sample' | 'drain' | 'stop'>;

/** Opens the control plane to the test. */
const TOKEN = 'of-the-tests-alone';

/** What `/api/instances` says of the one instance there is. */
interface Instance {
  readonly instance: string;
  readonly natsConnected: boolean;
  readonly accepting: boolean;
}

/** A bridge as an operator has it: a process that serves. All that is asked of it goes over its ports. */
export class ServedBridge implements RunningBridge {
  readonly httpPort: number;
  readonly opsUrl: string;
  readonly #cli: Cli;

  constructor(cli: Cli, httpPort: number, opsUrl: string) {
    this.#cli = cli;
    this.httpPort = httpPort;
    this.opsUrl = opsUrl;
  }

  /** Waits until it gives streams and has NATS. */
  async connected(): Promise<void> {
    await poll('the connection to NATS', async () => {
      const { natsConnected, accepting } = await this.#instance();
      return natsConnected && accepting;
    });
  }

  async request(target: string, options: StreamOptions = {}): Promise<StreamClient> {
    return request({ port: this.httpPort, target, ...options });
  }

  async stream(target: string, options: StreamOptions = {}): Promise<StreamClient> {
    const client = await this.request(target, options);
    await client.next('sidestream.open');
    return client;
  }

  sample(name: string): Promise<number | undefined> {
    return readSample(this.opsUrl, name);
  }

  /** Calls an operation that acts. @throws Error with what was answered, where it was refused */
  async call(operation: string, fields: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#ask(operation, { method: 'POST', body: JSON.stringify(fields) });
  }

  /** Ends every stream, and waits for it; the process stays. */
  async drain(): Promise<void> {
    const { instance } = await this.#instance();
    await this.call('drain', { instance });
    await poll('the end of its streams', async () => (await this.sample('sidestream_connections')) === 0);
  }

  /** Ends it in good order. @throws Error where it does not end so */
  async stop(): Promise<void> {
    this.#cli.signal('SIGTERM');
    const status = await this.#cli.exited();
    if (status !== 0) throw new Error(`it ended with ${status}: ${this.#cli.stderr}`);
  }

  async #instance(): Promise<Instance> {
    const { list }: { list: readonly Instance[] } = JSON.parse(await this.#ask('instances', {}));
    const [only] = list;
    if (only === undefined) throw new Error('there is no instance');
    return only;
  }

  async #ask(operation: string, init: RequestInit): Promise<string> {
    const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
    const response = await fetch(`${this.opsUrl}/api/${operation}`, { ...init, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${operation}: ${response.status} ${text}`);
    return text;
  }
}

/** Starts the program; it is gone when the test is over. */
export async function startServed({ nats, config = {} }: TestBridgeOptions = {}): Promise<ServedBridge> {
  const file = fileConfig({ ...config, ops: { token: TOKEN, ...config.ops } }, nats);
  const { cli, httpPort, opsUrl } = await serve(file);
  const program = new ServedBridge(cli, httpPort, opsUrl);
  if (nats !== undefined) await program.connected();
  return program;
}
