import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileConfig } from '../support/bridge.ts';
import { type Cli, serve } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import type { NatsServer } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { CONFIG } from './scene.ts';

const PROBE = new URL('probe.mjs', import.meta.url).href;

/** What a process says of itself (probe.mjs). */
interface Held {
  readonly residentBytes: number;
  /** JavaScript heap, and buffers outside it. */
  readonly heldBytes: number;
  readonly descriptors: number;
  readonly resources: number;
}

/** One reading of the bridge, of all its processes together, their memory after garbage collection. */
export interface Sample extends Held {
  readonly processes: number;
  /** Seconds since the clients began to come. */
  readonly atS: number;
  readonly metrics: Metrics;
}

/** What `/metrics` says, by name: with its labels, and added up over them. */
export class Metrics {
  readonly #values = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [, name, labels, value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined) continue;
      this.#values.set(name, (this.#values.get(name) ?? 0) + Number(value));
      if (labels !== undefined) this.#values.set(name + labels, Number(value));
    }
  }

  /** @throws TypeError where there is no such metric, which no test should take for zero */
  of(name: string): number {
    const value = this.#values.get(`sidestream_${name}`);
    if (value === undefined) throw new TypeError(`no metric sidestream_${name}`);
    return value;
  }

  /** Zero where nothing has been counted under any label yet. */
  counted(name: string): number {
    return this.#values.get(`sidestream_${name}`) ?? 0;
  }
}

/** The program as it ships, with a probe loaded beside it. */
export class SoakBridge {
  readonly cli: Cli;
  readonly httpPort: number;
  readonly #opsUrl: string;
  /** A folder with a socket for each process. */
  readonly #probes: string;

  constructor(cli: Cli, httpPort: number, opsUrl: string, probes: string) {
    this.cli = cli;
    this.httpPort = httpPort;
    this.#opsUrl = opsUrl;
    this.#probes = probes;
  }

  async metrics(): Promise<Metrics> {
    // A connection kept alive would be a descriptor that comes and goes by itself.
    const response = await fetch(`${this.#opsUrl}/metrics`, { headers: { Connection: 'close' } });
    return new Metrics(await response.text());
  }

  async sample(atS: number): Promise<Sample> {
    const metrics = await this.metrics();
    // The socket of a process that is gone answers nobody: none may go during a soak.
    const all = await Promise.all(readdirSync(this.#probes).map((pid) => ask(join(this.#probes, pid))));
    const sum = (read: (held: Held) => number) => all.reduce((total, held) => total + read(held), 0);
    return {
      atS,
      metrics,
      processes: all.length,
      residentBytes: sum(({ residentBytes }) => residentBytes),
      heldBytes: sum(({ heldBytes }) => heldBytes),
      descriptors: sum(({ descriptors }) => descriptors),
      resources: sum(({ resources }) => resources),
    };
  }
}

function ask(probe: string): Promise<Held> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(probe);
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      text += piece;
    });
    socket.on('error', reject);
    socket.on('end', () => resolve(JSON.parse(text)));
  });
}

export async function startSoakBridge(nats: NatsServer, workers: number): Promise<SoakBridge> {
  const probes = temporaryFolder();
  const env = { NODE_OPTIONS: `--import ${PROBE}`, SOAK_PROBE: probes };
  const { cli, httpPort, opsUrl } = await serve(fileConfig({ ...CONFIG, workers }, nats), { env });
  const connected = () => cli.logs.filter(({ message }) => message === 'connected to NATS');
  await poll('all to have NATS', () => connected().length === workers);
  return new SoakBridge(cli, httpPort, opsUrl, probes);
}
