import { AckPolicy, DeliverPolicy, type JetStreamManager, type StoredMsg } from '@nats-io/jetstream';
import { type Msg, type NatsConnection, nanos } from '@nats-io/transport-node';
import type { TimerWheel } from '../clock.ts';
import { type Delivery, nanosToMs } from './delivery.ts';
import { type ConsumerOpening, type ConsumerStart, OrderedConsumer } from './ordered-consumer.ts';
import type { Message, Stamp } from './publication.ts';

/** One message as it is read again. Its data is its own. */
export interface StoredMessage {
  readonly message: Message;
  readonly stamp: Stamp & { readonly offset: number };
}

export interface StreamReaderOptions {
  readonly connection: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly wheel: TimerWheel;
  readonly stream: string;
  /** A subject, with wildcards perhaps. */
  readonly filter: string;
}

/** What has not come for twice as long will not come. */
const HEARTBEAT_MS = 1_000;
/** How long the server keeps a consumer that only counted, should it not be deleted. */
const INACTIVE_MS = 1_000;
/** In a cluster a consumer may be put on a server that is down, so that nobody answers; the next one hardly is. */
const MAX_ATTEMPTS = 3;

/**
 * Reads what one subject has in a stream, by a consumer of its own for as long as that takes. A push consumer, like the one
 * that follows: a pull consumer that was just made may not be there yet for its first request (nats-server 2.15, in a cluster).
 */
export class StreamReader {
  readonly #options: StreamReaderOptions;
  #consumer: OrderedConsumer | undefined;
  #name: string | undefined;
  #waiting = 0;
  #received = 0;
  /** What came before anybody took it. */
  #early: StoredMessage[] = [];
  #take: ((message: StoredMessage) => boolean) | undefined;
  #done: () => void = () => {};

  constructor(options: StreamReaderOptions) {
    this.#options = options;
  }

  /** @throws Error of the NATS client */
  async open(start: ConsumerStart): Promise<ConsumerOpening> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#open(start);
      } catch (error) {
        this.#consumer?.close();
        const isSilence = error instanceof Error && error.name === 'TimeoutError';
        if (!isSilence || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /**
   * Shows `take` what there was at `open`, in order, until it wants no more.
   * @throws Error the consumer came to its end before
   */
  async read(take: (message: StoredMessage) => boolean): Promise<void> {
    const done = new Promise<undefined>((resolve) => {
      this.#done = () => resolve(undefined);
    });
    this.#take = take;
    if (
      this.#waiting === 0 ||
      this.#early.some((message) => !take(message)) ||
      this.#received >= this.#waiting
    )
      return;
    this.#early = [];
    const reason = await Promise.race([done, this.#consumer?.ended]);
    if (reason !== undefined)
      throw new Error(`reading the stream ${this.#options.stream} broke off: ${reason}`);
  }

  /** Says that reading is over. Never rejects. */
  async close(): Promise<void> {
    this.#consumer?.close();
    if (this.#name !== undefined) await forget(this.#options.jsm, this.#options.stream, this.#name);
  }

  async #open(start: ConsumerStart): Promise<ConsumerOpening> {
    const { connection, jsm, wheel, stream, filter } = this.#options;
    const receiver = {
      message: (message: Msg, delivery: Delivery) => this.#receive(message, delivery),
      // What is left was deleted meanwhile.
      idle: () => this.#done(),
    };
    const filters = [filter];
    this.#early = [];
    this.#received = 0;
    this.#consumer = new OrderedConsumer({
      connection,
      wheel,
      stream,
      start,
      filters,
      heartbeatMs: HEARTBEAT_MS,
      receiver,
    });
    const opening = await this.#consumer.open(jsm);
    this.#name = opening.name;
    this.#waiting = opening.waiting;
    return opening;
  }

  #receive(received: Msg, { offset, timeNanos }: Delivery): void {
    this.#received += 1;
    // A page may be kept: a view would hold the whole buffer that came from the socket.
    const { subject, data } = received;
    const message: Message = { subject, data: Uint8Array.from(data), headers: headersOf(received) };
    const stored = { message, stamp: { offset, timeMs: nanosToMs(timeNanos) } };
    if (this.#take === undefined) this.#early.push(stored);
    else if (!this.#take(stored) || this.#received >= this.#waiting) this.#done();
  }
}

function headersOf(message: Msg): Message['headers'] {
  try {
    return message.headers;
  } catch {
    // InvalidArgumentError: as where it is live, the event goes without them.
    return undefined;
  }
}

/** How many messages there are from `offset` on. @throws Error of the NATS client */
export async function countFrom(
  { jsm, stream, filter }: StreamReaderOptions,
  offset: number,
): Promise<number> {
  const info = await jsm.consumers.add(stream, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Math.max(1, offset),
    ack_policy: AckPolicy.None,
    filter_subject: filter,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(INACTIVE_MS),
  });
  void forget(jsm, stream, info.name);
  return info.num_pending;
}

/** A message that the stream's leader gave. */
export function storedByLeader(found: StoredMsg): StoredMessage {
  const message: Message = {
    subject: found.subject,
    data: found.data,
    get headers() {
      return found.header;
    },
  };
  return { message, stamp: { offset: found.seq, timeMs: Date.parse(found.timestamp) } };
}

async function forget(jsm: JetStreamManager, stream: string, consumer: string): Promise<void> {
  try {
    await jsm.consumers.delete(stream, consumer);
  } catch {
    // It is gone, cannot be reached, or must not be deleted: the server forgets it when it is inactive.
  }
}
