import { fileConfig } from '../support/bridge.ts';
import type { Certificate } from '../support/certificate.ts';
import { type Cli, serve } from '../support/cli.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';
import { AS_IT_IS } from './form.ts';
import type { OpenLine } from './line.ts';
import { Mix, type MixOptions, PAIR_BYTES } from './mix.ts';
import { Reader, type ReaderOptions } from './reader.ts';
import { PublicationRecord } from './record.ts';

const MIB = 1024 * 1024;
const BATCH_BYTES = MIB / 2;
/** Published beyond the point where the server has noticed that the readers are behind. */
const BEHIND_BYTES = 3 * MIB;

export interface SceneOptions extends MixOptions {
  readonly certificate?: Certificate;
}

/** The program as it ships, a publisher, and a record of what was published. */
export class Scene {
  readonly cli: Cli;
  readonly #nats: NatsServer;
  readonly #httpPort: number;
  readonly #opsUrl: string;
  readonly #publisher: Publisher;
  readonly #mix: Mix;
  readonly #batchBytes: number;
  readonly #record = new PublicationRecord();

  private constructor(
    options: SceneOptions,
    { cli, httpPort, opsUrl }: Awaited<ReturnType<typeof serve>>,
    nats: NatsServer,
    publisher: Publisher,
  ) {
    this.cli = cli;
    this.#nats = nats;
    this.#httpPort = httpPort;
    this.#opsUrl = opsUrl;
    this.#publisher = publisher;
    this.#mix = new Mix(options);
    this.#batchBytes = options.alternating === true ? PAIR_BYTES : BATCH_BYTES;
  }

  static async start(options: SceneOptions): Promise<Scene> {
    const nats = await startNats({ config: 'max_payload: 2MB' });
    const { certFile, keyFile } = options.certificate ?? {};
    const served = await serve(
      fileConfig(
        {
          ...(certFile !== undefined && { http: { tls: { certFile, keyFile } } }),
          // Nobody is to be cut off: what is looked at is what is written for who is behind.
          limits: { pending: '256MiB', stalled: '1h' },
          sse: { heartbeat: '0s', compression: ['gzip'] },
        },
        nats,
      ),
    );
    await served.cli.logged('connected to NATS');
    return new Scene(options, served, nats, await startPublisher(nats));
  }

  /** Opens a stream for each line; resolves when they get what is published from then on. */
  async open(
    lines: Readonly<Record<string, OpenLine>>,
    { channels = 'ab', way = AS_IT_IS }: Partial<Pick<ReaderOptions, 'channels' | 'way'>> = {},
  ): Promise<Reader[]> {
    const [port, record] = [this.#httpPort, this.#record];
    const readers = Object.entries(lines).map(
      ([name, open]) => new Reader({ name: `${name}, ${way.name}`, port, channels, record, way, open }),
    );
    await poll('all streams to be open', () => readers.every(({ isOpen }) => isOpen));
    for (const letter of channels) await this.#nats.subscribed(`topics.${letter}`);
    return readers;
  }

  /** Resolves when the bridge has it. */
  async publish(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const publication = this.#mix.next();
      this.#record.add(publication);
      this.#publisher.send(`topics.${publication.channel}`, publication.payload);
      left -= publication.payload.length;
    }
    await this.#publisher.connection.flush();
    await poll('the bridge to have everything', async () => {
      return (await this.#metric('publications_total{route="topic"}')) === this.#record.length;
    });
  }

  /** Makes readers stop, and publishes until the server has noticed it of each of them, and then some. */
  async letBehind(readers: readonly Reader[]): Promise<void> {
    for (const reader of readers) reader.pause();
    while ((await this.#metric('slow_connections')) < readers.length) await this.publish(this.#batchBytes);
    await this.publish(BEHIND_BYTES);
  }

  async #metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.#opsUrl}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`sidestream_${name} `));
    return Number(line?.split(' ')[1]);
  }
}
