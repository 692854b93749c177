import { expect } from 'vitest';
import { type FileConfig, fileConfig } from '../support/bridge.ts';
import { type Cli, serve } from '../support/cli.ts';
import type { NatsServer } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type RequestOptions, request, type StreamClient } from '../support/stream-client.ts';

/** Asked for at a time, and so often as is needed for both workers to have got some: the kernel spreads by chance. */
const MANY = 12;

/** The program with two workers, as an operator runs it. */
export class RunningWorkers {
  readonly cli: Cli;
  readonly httpPort: number;
  readonly opsUrl: string;

  constructor({ cli, httpPort, opsUrl }: { cli: Cli; httpPort: number; opsUrl: string }) {
    this.cli = cli;
    this.httpPort = httpPort;
    this.opsUrl = opsUrl;
  }

  /** Sends a request on a connection of its own; resolves with the head of its answer. */
  request(target: string, options: Omit<RequestOptions, 'port' | 'target'> = {}): Promise<StreamClient> {
    return request({ port: this.httpPort, target, ...options });
  }

  /** Whether whichever worker is asked looks at requests. */
  async answersAll(): Promise<boolean> {
    const headers = { Authorization: 'x' };
    const asked = Array.from({ length: MANY }, () =>
      this.request('/events/no..channel.of.any.route', { headers }),
    );
    const answers = await Promise.all(asked);
    for (const answer of answers) answer.destroy();
    return answers.every(({ status }) => status !== 503);
  }

  /** `open`, or the code with which the stream was refused. A stream that is open stays so. */
  async ask(target: string, options: Omit<RequestOptions, 'port' | 'target'> = {}): Promise<string> {
    const client = await this.request(target, options);
    if (client.status !== 200) {
      await client.ended();
      return JSON.parse(client.body).error.code;
    }
    const { event, data } = await client.next();
    return event === 'sidestream.open' ? 'open' : JSON.parse(data).code;
  }

  /** Streams on a channel, of which each worker has some. */
  async spread(target: string): Promise<Map<StreamClient, number>> {
    const streams = new Map<StreamClient, number>();
    while (new Set(streams.values()).size < 2) {
      const opened = await Promise.all(Array.from({ length: MANY }, () => this.stream(target)));
      for (const [client, worker] of opened) streams.set(client, worker);
    }
    return streams;
  }

  /** Opens a stream that must be granted; gives it and the number of the worker that has it. */
  async stream(
    target: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<[StreamClient, number]> {
    const opened = await this.tryStream(target, headers);
    if (opened === undefined) throw new Error(`no stream ${target}`);
    return opened;
  }

  /** The same; `undefined` where it is refused in-band. */
  async tryStream(
    target: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<[StreamClient, number] | undefined> {
    const client = await this.request(target, { headers });
    const { event, data } = await client.next();
    if (event !== 'sidestream.open') return undefined;
    const { connection } = JSON.parse(data);
    const line = await poll('the log line of the stream', () =>
      this.cli.logs.find((entry) => entry.message === 'stream opened' && entry.connection === connection),
    );
    return [client, Number(line.worker)];
  }

  /** The process that listens as a worker, the latest with this number. */
  pidOf(worker: number): number {
    const line = this.cli.logs.findLast(
      (entry) => entry.message === 'worker listening' && entry.worker === worker,
    );
    return Number(line?.pid);
  }

  /** Every process that ever listened as a worker. */
  get pids(): number[] {
    return this.cli.logs
      .filter(({ message }) => message === 'worker listening')
      .map(({ pid }) => Number(pid));
  }

  /** Lines of the log with this text, in all. */
  count(message: string): number {
    return this.cli.logs.filter((line) => line.message === message).length;
  }

  async metrics(): Promise<Map<string, number>> {
    const text = await (await fetch(`${this.opsUrl}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const samples = lines.map((line): [string, number] => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    });
    // A sample that comes twice makes Prometheus refuse all.
    expect(new Set(samples.map(([name]) => name)).size).toBe(samples.length);
    return new Map(samples);
  }

  async sample(name: string): Promise<number | undefined> {
    return (await this.metrics()).get(name);
  }
}

/** Starts two workers that log each stream and drain fast; resolves when both have NATS. */
export async function startWorkers(nats: NatsServer, config: FileConfig = {}): Promise<RunningWorkers> {
  const started = await serve(
    fileConfig(
      { workers: 2, drain: { timeout: '2s' }, sse: { retry: '100ms' }, ...config, log: { level: 'debug' } },
      nats,
    ),
  );
  const running = new RunningWorkers(started);
  await poll('both workers to have NATS', () => running.count('connected to NATS') === 2);
  // They may still be reading what was revoked.
  await poll('both workers to let streams in', () => running.answersAll());
  return running;
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: it is not.
    return false;
  }
}
