import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { guard } from './guard.ts';
import { poll } from './poll.ts';

export interface NatsOptions {
  /** Text of its config file: users, permissions, TLS, `max_payload`. The addresses are not in it. */
  readonly config?: string;
  /** Keeps streams in a folder of its own. Default false. */
  readonly jetStream?: boolean;
  /** The program. Default: `NATS_SERVER_BIN`, else the one on the PATH. */
  readonly binary?: string;
}

/** A real nats-server on ports that the kernel chose. Its end is the test's. */
export class NatsServer implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sidestream-nats-'));
  readonly #jetStream: boolean;
  readonly #binary: string;
  #process: ChildProcess | undefined;
  #port = -1;
  #monitoring = '';
  #log = '';

  constructor({ config = '', jetStream = false, binary }: NatsOptions) {
    this.#jetStream = jetStream;
    this.#binary = binary ?? process.env.NATS_SERVER_BIN ?? 'nats-server';
    this.configure(config);
  }

  get #streams(): string {
    return join(this.#folder, 'streams');
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** Starts it again on the port that it had; the first time, on a free one. */
  async start(): Promise<void> {
    const child = this.#spawn();
    this.#process = child;
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`nats-server ended:\n${this.#log}`)));
    });
    failed.catch(() => {
      // It ends when the test wants it to; only an end before it is ready is told, by the race below.
    });
    const { nats, monitoring } = await Promise.race([
      failed,
      poll('nats-server to listen', () => this.#readPorts(child)),
    ]);
    this.#port = Number(new URL(nats).port);
    this.#monitoring = monitoring;
  }

  /** Ends it in good order: clients are disconnected. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Ends it and keeps a copy of its streams for `restore`; then starts it again. */
  async backUp(): Promise<void> {
    await this.stop();
    cpSync(this.#streams, `${this.#streams}-copy`, { recursive: true });
    await this.start();
  }

  /** Puts its streams back to what they were at `backUp`, which is to be called before. It ends and starts again. */
  async restore(): Promise<void> {
    await this.stop();
    rmSync(this.#streams, { recursive: true });
    renameSync(`${this.#streams}-copy`, this.#streams);
    await this.start();
  }

  /** Replaces its config; what runs does not notice. */
  configure(config: string): void {
    writeFileSync(join(this.#folder, 'nats.conf'), config);
  }

  /** Replaces its config while it runs. */
  async reload(config: string): Promise<void> {
    this.configure(config);
    const already = this.#log.length;
    this.#process?.kill('SIGHUP');
    await poll('nats-server to reload', () => /Reloaded server configuration/.test(this.#log.slice(already)));
  }

  /** How many subscriptions it holds whose subject is written exactly so. */
  async subscriptionsTo(subject: string): Promise<number> {
    return (await this.subscriptions()).filter((candidate) => candidate === subject).length;
  }

  /** The subjects of all subscriptions that it holds. */
  async subscriptions(): Promise<string[]> {
    const response = await fetch(`${this.#monitoring}/subsz?subs=1&limit=100000`);
    const subsz: { subscriptions_list?: { subject: string }[] } = JSON.parse(await response.text());
    return (subsz.subscriptions_list ?? []).map(({ subject }) => subject);
  }

  /** Waits until it has heard of `count` subscriptions to a subject: what is published from then on reaches them. */
  async subscribed(subject: string, count = 1): Promise<void> {
    await poll(
      `${count} subscriptions to ${subject}`,
      async () => (await this.subscriptionsTo(subject)) === count,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(): ChildProcess {
    const config = ['-c', join(this.#folder, 'nats.conf'), '--ports_file_dir', this.#folder];
    const listen = ['-a', '127.0.0.1', '-p', `${this.#port}`, '-m', '-1'];
    const jetStream = this.#jetStream ? ['-js', '-sd', this.#streams] : [];
    const child = spawn(this.#binary, [...config, ...listen, ...jetStream], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', (text: Buffer) => {
      this.#log += text;
    });
    guard(child);
    return child;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill(signal);
    });
  }

  // The server writes where it listens into a file named after its process, once it does.
  #readPorts({ pid }: ChildProcess): { nats: string; monitoring: string } | undefined {
    const file = readdirSync(this.#folder).find((name) => name.endsWith(`_${pid}.ports`));
    if (file === undefined) return undefined;
    const text = readFileSync(join(this.#folder, file), 'utf8');
    if (!text.endsWith('}')) return undefined;
    const { nats, monitoring }: { nats: string[]; monitoring: string[] } = JSON.parse(text);
    const [first, monitor] = [nats[0], monitoring[0]];
    return first === undefined || monitor === undefined ? undefined : { nats: first, monitoring: monitor };
  }
}

/** Starts a nats-server (`NATS_SERVER_BIN`, else the one on the PATH) that is gone when the test is over. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const server = new NatsServer(options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  await server.start();
  return server;
}
