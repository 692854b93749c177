import type { NatsConnection } from '@nats-io/transport-node';
import type { CodingName } from '../../src/protocol/coding.ts';
import { type Forwarder, startForwarder } from '../e2e/forwarder.ts';
import { startBridge, type TestBridge, type TestBridgeOptions } from './bridge.ts';
import type { ReceivedEvent } from './event-stream.ts';
import { startNats } from './nats-server.ts';
import { startPublisher } from './publisher.ts';
import type { RunningBridge } from './served.ts';
import type { StreamClient } from './stream-client.ts';
import { startJetStream } from './stream-source.ts';

/** One channel of a core route. All its subscribers share every byte of an event. */
export const ONE_CHANNEL = '/events/prices.ACME';
/** Channels of two logs: each connection has an `id:` of its own before the event that it shares. */
export const TWO_LOGS = '/events?channels=prices.ACME,orders.7';

const CHANNELS = {
  prices: { channel: 'prices.{symbol}', subject: 'prices.{symbol}', access: 'public', event: 'price' },
  orders: {
    channel: 'orders.{id}',
    subject: 'orders.{id}',
    stream: 'ORDERS',
    access: 'public',
    event: 'price',
  },
};
const SUBJECTS = ['prices.ACME', 'orders.7'];

export interface CompressedStreamOptions {
  readonly compression: readonly CodingName[];
  readonly path?: string;
  /** Origins of pages that read it. */
  readonly origins?: readonly string[];
  readonly limits?: Readonly<Record<string, unknown>>;
}

/**
 * A bridge that compresses, with whoever publishes to it. Beside the client under test one that takes nothing compressed
 * reads the same stream: what both get must be the same, cursors included.
 */
export class CompressedStream<B extends RunningBridge = TestBridge> {
  readonly path: string;
  readonly bridge: B;
  readonly #line: Forwarder;
  readonly #nats: NatsConnection;
  readonly #plain: StreamClient;
  #published = 0;

  constructor(bridge: B, line: Forwarder, nats: NatsConnection, plain: StreamClient, path: string) {
    this.bridge = bridge;
    this.#line = line;
    this.#nats = nats;
    this.#plain = plain;
    this.path = path;
  }

  get port(): number {
    return this.#line.port;
  }

  /** Publishes on one of the stream's channels, in turns, and nothing behind it; gives what a client without compression got. */
  async publish(data: string): Promise<ReceivedEvent> {
    const subjects = this.path === TWO_LOGS ? SUBJECTS : SUBJECTS.slice(0, 1);
    this.#nats.publish(subjects[this.#published % subjects.length] ?? '', data);
    this.#published += 1;
    for (;;) {
      const event = await this.#plain.next();
      if (event.event !== 'sidestream.cursor') return event;
    }
  }

  /** How many streams there are in a coding. */
  async compressed(coding: CodingName): Promise<number | undefined> {
    return this.bridge.sample(`sidestream_compressed_connections{coding="${coding}"}`);
  }

  /** Ends every stream in good order. */
  end(): Promise<void> {
    return this.bridge.drain();
  }

  /** Cuts every line off where it stands; the plain client has its own. */
  cut(): void {
    this.#line.cut();
  }
}

/** Starts all that; it is gone when the test is over. */
export function startCompressed(options: CompressedStreamOptions): Promise<CompressedStream> {
  return startCompressedBy(startBridge, options);
}

/** The same with a bridge that is started in another way. */
export async function startCompressedBy<B extends RunningBridge>(
  start: (options: TestBridgeOptions) => Promise<B>,
  { compression, path = ONE_CHANNEL, origins = [], limits = {} }: CompressedStreamOptions,
): Promise<CompressedStream<B>> {
  const nats = await startNats({ jetStream: true });
  await (await startJetStream(nats)).add();
  const config = {
    http: { cors: { origins } },
    sse: { compression, retry: '100ms..200ms', heartbeat: '1s' },
    drain: { reconnectRate: '100000/s' },
    limits,
    channels: CHANNELS,
  };
  const bridge = await start({ nats, config });
  const { connection } = await startPublisher(nats);
  const plain = await bridge.stream(path);
  return new CompressedStream(bridge, await startForwarder(bridge.httpPort), connection, plain, path);
}
