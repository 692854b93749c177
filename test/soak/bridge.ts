import { connect } from 'node:net';
import { join } from 'node:path';
import { fileConfig } from '../support/bridge.ts';
import { type Cli, serve } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import type { NatsServer } from '../support/nats-server.ts';
import { CONFIG } from './scene.ts';

const PROBE = new URL('probe.mjs', import.meta.url).href;

/** What the process says of itself (probe.mjs). */
interface Held {
  readonly residentBytes: number;
  /** JavaScript heap, and buffers outside it. */
  readonly heldBytes: number;
  readonly descriptors: number;
  readonly resources: number;
}

/** One reading of the bridge, its memory after garbage collection. */
export interface Sample extends Held {
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
  readonly #probe: string;

  constructor(cli: Cli, httpPort: number, opsUrl: string, probe: string) {
    this.cli = cli;
    this.httpPort = httpPort;
    this.#opsUrl = opsUrl;
    this.#probe = probe;
  }

  async metrics(): Promise<Metrics> {
    // A connection kept alive would be a descriptor that comes and goes by itself.
    const response = await fetch(`${this.#opsUrl}/metrics`, { headers: { Connection: 'close' } });
    return new Metrics(await response.text());
  }

  async sample(atS: number): Promise<Sample> {
    const metrics = await this.metrics();
    return { atS, metrics, ...(await this.#held()) };
  }

  #held(): Promise<Held> {
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(this.#probe);
      socket.setEncoding('utf8');
      socket.on('data', (piece: string) => {
        text += piece;
      });
      socket.on('error', reject);
      socket.on('end', () => resolve(JSON.parse(text)));
    });
  }
}

export async function startSoakBridge(nats: NatsServer): Promise<SoakBridge> {
  const probe = join(temporaryFolder(), 'probe');
  const env = { NODE_OPTIONS: `--import ${PROBE}`, SOAK_PROBE: probe };
  const { cli, httpPort, opsUrl } = await serve(fileConfig(CONFIG, nats), { env });
  await cli.logged('connected to NATS');
  return new SoakBridge(cli, httpPort, opsUrl, probe);
}
