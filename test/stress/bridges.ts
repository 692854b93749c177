import { setTimeout as sleep } from 'node:timers/promises';
import { type FileConfig, fileConfig } from '../support/bridge.ts';
import { type Cli, serve } from '../support/cli.ts';
import type { Link } from './link.ts';

/** One bridge as clients find it. */
export interface Address {
  readonly name: string;
  readonly port: number;
  /** Another number for each process that ever was. */
  readonly process: number;
}

interface Running {
  readonly cli: Cli;
  readonly opsUrl: string;
  readonly address: Address;
}

/** What a run should have come to, by the names that a report gives it. */
const TOTALS = {
  'archive reads': 'sidestream_archive_reads_total',
  'archive reads that failed': 'sidestream_archive_failures_total',
  'closed: slow': 'sidestream_connections_closed_total{reason="slow"}',
} as const;

/** How long a bridge stays far from NATS after it was cut off, in milliseconds. */
const FAR_MS = 1500;

/** Bridges on one config, each a process of its own, and where they are. */
export class Bridges {
  readonly #config: FileConfig;
  readonly #links: readonly Link[];
  readonly #running: Running[] = [];
  #processes = 0;
  /** Of the processes that are gone, as far as they were asked. */
  readonly #totals = new Map<string, number>();

  /** As many as there are ways to NATS. */
  constructor(config: FileConfig, links: readonly Link[]) {
    this.#config = config;
    this.#links = links;
  }

  get count(): number {
    return this.#links.length;
  }

  /** Where a client may go, also while nobody is there. */
  get addresses(): readonly Address[] {
    return this.#running.map(({ address }) => address);
  }

  /** What the bridges counted, all processes together. */
  async totals(): Promise<ReadonlyMap<string, number>> {
    for (const { opsUrl } of this.#running) await this.#addUp(opsUrl);
    return this.#totals;
  }

  /** Streams that the bridges believe to be open. */
  async connections(): Promise<number> {
    let open = 0;
    for (const { opsUrl } of this.#running) open += sample(await metrics(opsUrl), 'sidestream_connections');
    return open;
  }

  /** Starts bridge `index`, for the first time or in place of the one that ended. */
  async start(index: number): Promise<void> {
    const { cli, httpPort, opsUrl } = await serve(fileConfig(this.#config, this.#link(index)));
    const process = this.#processes;
    this.#processes += 1;
    this.#running[index] = {
      cli,
      opsUrl,
      address: { name: `bridge ${index}.${process}`, port: httpPort, process },
    };
  }

  /** Ends one by a signal and starts it anew. Gives how it ended. */
  async restart(
    index: number,
    signal: 'SIGTERM' | 'SIGKILL',
    awayMs: number,
  ): Promise<number | NodeJS.Signals> {
    const { cli, opsUrl } = this.#at(index);
    await this.#addUp(opsUrl);
    cli.signal(signal);
    const end = await cli.exited();
    await sleep(awayMs);
    await this.start(index);
    return end;
  }

  /** Holds one up, so that the other gets ahead of it. */
  async stall(index: number, forMs: number): Promise<void> {
    const { cli } = this.#at(index);
    cli.signal('SIGSTOP');
    await sleep(forMs);
    cli.signal('SIGCONT');
  }

  /** Keeps one away from NATS, and then far from it for a while: it follows its streams later than the other. */
  async cutOff(index: number, forMs: number, delayMs: number): Promise<void> {
    const link = this.#link(index);
    link.cut();
    await sleep(forMs);
    link.delay(delayMs);
    link.mend();
    await sleep(FAR_MS);
    link.delay(0);
  }

  /** Lines in the logs of those that run, from `warn` up. */
  get complaints(): readonly string[] {
    return this.#running.flatMap(({ cli, address }) =>
      cli.logs
        .filter(({ level }) => level === 'warn' || level === 'error' || level === 'fatal')
        .map((line) => `${address.name}: ${JSON.stringify(line)}`),
    );
  }

  async #addUp(opsUrl: string): Promise<void> {
    const text = await metrics(opsUrl);
    for (const [what, name] of Object.entries(TOTALS))
      this.#totals.set(what, (this.#totals.get(what) ?? 0) + sample(text, name));
  }

  #link(index: number): Link {
    const link = this.#links[index];
    if (link === undefined) throw new TypeError(`there is no bridge ${index}`);
    return link;
  }

  #at(index: number): Running {
    const running = this.#running[index];
    if (running === undefined) throw new TypeError(`bridge ${index} was never started`);
    return running;
  }
}

async function metrics(opsUrl: string): Promise<string> {
  return (await fetch(`${opsUrl}/metrics`)).text();
}

function sample(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}
