import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import { guard } from './guard.ts';
import { poll } from './poll.ts';

const SIZE = 3;

/** Three real nats-servers with JetStream that know each other. */
export class NatsCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sidestream-cluster-'));
  readonly #servers: { readonly name: string; readonly url: string; readonly process: ChildProcess }[] = [];

  /** Of all three, with commas between. */
  get url(): string {
    return this.#servers.map(({ url }) => url).join();
  }

  async start(): Promise<void> {
    const ports = await freePorts(SIZE * 2);
    const routes = ports.slice(SIZE).map((port) => `nats://127.0.0.1:${port}`);
    for (const [index, port] of ports.slice(0, SIZE).entries()) {
      const name = `n${index}`;
      const folder = join(this.#folder, name);
      mkdirSync(folder);
      const config = `
        server_name: ${name}
        listen: "127.0.0.1:${port}"
        jetstream { store_dir: "${join(folder, 'streams')}" }
        cluster { name: c, listen: "127.0.0.1:${ports[SIZE + index]}", routes: [${routes.join()}] }`;
      writeFileSync(join(folder, 'nats.conf'), config);
      const program = process.env.NATS_SERVER_BIN ?? 'nats-server';
      const child = spawn(program, ['-c', join(folder, 'nats.conf')], { stdio: 'ignore' });
      guard(child);
      this.#servers.push({ name, url: `nats://127.0.0.1:${port}`, process: child });
    }
    await poll('the cluster', () => this.#isReady());
  }

  /** Ends the server of that name as a crash does. */
  async kill(name: string): Promise<void> {
    const child = this.#servers.find((server) => server.name === name)?.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  }

  async stop(): Promise<void> {
    for (const { name } of this.#servers) await this.kill(name);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Whether a stream of three replicas can be made, which needs every server and a leader. */
  async #isReady(): Promise<boolean> {
    try {
      const connection = await connect({ servers: this.url.split(','), timeout: 1_000 });
      try {
        const config = { name: 'READY', subjects: ['ready'], num_replicas: SIZE };
        const options = { timeout: 1_000 };
        const answer = await connection.request(
          '$JS.API.STREAM.CREATE.READY',
          JSON.stringify(config),
          options,
        );
        const { error } = answer.json<{ error?: unknown }>();
        if (error === undefined) await connection.request('$JS.API.STREAM.DELETE.READY', '', options);
        return error === undefined;
      } finally {
        await connection.close();
      }
    } catch {
      // ConnectionError, TimeoutError, NoRespondersError: not yet.
      return false;
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const held = Array.from({ length: count }, () => createServer());
  await Promise.all(held.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))));
  const ports = held.map((server) => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('a port was asked for');
    return address.port;
  });
  await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

export async function startNatsCluster(): Promise<NatsCluster> {
  const cluster = new NatsCluster();
  onTestFinished(() => cluster.stop());
  await cluster.start();
  return cluster;
}
