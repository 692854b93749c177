import { AckPolicy, type ConsumerConfig, DeliverPolicy, type JetStreamManager } from '@nats-io/jetstream';
import {
  createInbox,
  type Msg,
  type NatsConnection,
  nanos,
  type Subscription,
} from '@nats-io/transport-node';
import { Timer, type TimerWheel } from '../clock.ts';
import { type Delivery, parseDelivery } from './delivery.ts';

/** Where a consumer begins. */
export type ConsumerStart =
  | { readonly at: 'offset'; readonly offset: number }
  /** RFC 3339: the first message that was stored then or later. */
  | { readonly at: 'time'; readonly time: string }
  | { readonly at: 'end' }
  /** The newest message of each subject, then what comes. */
  | { readonly at: 'values' };

export interface OrderedConsumerOptions {
  readonly connection: NatsConnection;
  readonly wheel: TimerWheel;
  readonly stream: string;
  readonly start: ConsumerStart;
  /** None overlaps another; none at all: the whole stream. More than one needs nats-server 2.10. */
  readonly filters: readonly string[];
  /** How often the server says that it is there when it has nothing to send. */
  readonly heartbeatMs: number;
  readonly receiver: ConsumerReceiver;
}

/** What a consumer is for. No call may throw. */
export interface ConsumerReceiver {
  /** One message, in the order of the stream. Its data is a view into the connection's buffer. */
  message(message: Msg, delivery: Delivery): void;
  /** Nothing that concerns this consumer lies between what it was given and this offset, and nothing waits. */
  idle(offset: number): void;
}

/** What was known when the consumer was made. */
export interface ConsumerOpening {
  readonly name: string;
  /** It begins after this offset. Exact only where nothing is `waiting`: the server may already be sending. */
  readonly offset: number;
  /** Messages that there are to be sent. */
  readonly waiting: number;
}

/** How long the server keeps it when nobody listens any more: nobody needs to be permitted to delete it. */
const INACTIVE_MS = 5_000;
/** ADR-9, ADR-13: idle heartbeat and flow control come as status 100 without a payload. */
const STATUS_CONTROL = 100;
/** More of them in a row, and our answers do not arrive: NATS does not permit them, perhaps. */
const MAX_STALLS = 2;
const LAST_COUNT_HEADER = 'Nats-Last-Consumer';
const LAST_OFFSET_HEADER = 'Nats-Last-Stream';
const STALLED_HEADER = 'Nats-Consumer-Stalled';

/**
 * One life of an ordered consumer (ADR-17): an ephemeral push consumer without acknowledgements, given up as soon as a
 * message is missing or the server falls silent. Whoever owns it looks at the stream then, and makes another one.
 *
 * Not the client's own ordered consumer, since that one goes on by itself behind the last sequence that it saw: in a
 * stream that was deleted and made anew, or purged, it leaves out messages without a word. Not a pull consumer, whose
 * requests cost and which can fall idle between two of them.
 */
export class OrderedConsumer {
  /** Resolves with why, when it will not bring anything any more. */
  readonly ended: Promise<string>;
  readonly #options: OrderedConsumerOptions;
  readonly #inbox: string;
  readonly #silence: Timer;
  #subscription: Subscription | undefined;
  #count = 0;
  /** Heartbeats in a row that said that the server waits for an answer of ours. */
  #stalls = 0;
  #heard = false;
  #isOver = false;
  #setEnded: (reason: string) => void = () => {};

  constructor(options: OrderedConsumerOptions) {
    this.#options = options;
    this.#inbox = createInbox();
    this.#silence = new Timer({ onDue: () => this.#checkSilence() });
    this.ended = new Promise((resolve) => {
      this.#setEnded = resolve;
    });
  }

  /**
   * Messages may come before it resolves.
   * @throws Error of the NATS client, when JetStream refuses or does not answer
   */
  async open(jsm: JetStreamManager): Promise<ConsumerOpening> {
    const { connection, stream, filters } = this.#options;
    this.#subscription = connection.subscribe(this.#inbox, {
      callback: (error, message) => this.#receive(error, message),
    });
    const info = await jsm.consumers.add(stream, this.#config());
    const { filter_subject, filter_subjects } = info.config;
    const applied = filter_subjects ?? (filter_subject === undefined ? [] : [filter_subject]);
    if (filters.some((filter) => !applied.includes(filter)))
      throw new Error(`the server did not apply the filters ${filters.join(', ')}`);
    if (!this.#isOver) this.#options.wheel.schedule(this.#silence, this.#patienceMs);
    return { name: info.name, offset: info.delivered.stream_seq, waiting: info.num_pending };
  }

  /** Nothing is received from here on. May be called twice. */
  close(reason = 'closed'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.wheel.cancel(this.#silence);
    this.#subscription?.unsubscribe();
    this.#setEnded(reason);
  }

  get #patienceMs(): number {
    return this.#options.heartbeatMs * 2;
  }

  #config(): Partial<ConsumerConfig> {
    const { filters, heartbeatMs } = this.#options;
    const [only] = filters;
    return {
      ...this.#startConfig(),
      deliver_subject: this.#inbox,
      ack_policy: AckPolicy.None,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      flow_control: true,
      idle_heartbeat: nanos(heartbeatMs),
      inactive_threshold: nanos(INACTIVE_MS),
      ...(filters.length === 1 && only !== undefined && { filter_subject: only }),
      ...(filters.length > 1 && { filter_subjects: [...filters] }),
    };
  }

  #startConfig(): Partial<ConsumerConfig> {
    const { start } = this.#options;
    switch (start.at) {
      case 'offset':
        return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, start.offset) };
      case 'time':
        return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: start.time };
      case 'end':
        return { deliver_policy: DeliverPolicy.New };
      case 'values':
        return { deliver_policy: DeliverPolicy.LastPerSubject };
    }
  }

  #receive(error: Error | null, message: Msg): void {
    if (this.#isOver) return;
    if (error !== null) {
      this.close(error.message);
      return;
    }
    this.#heard = true;
    // A stored message comes under its own subject, and with where it stands as its reply; what the server says, under ours.
    if (message.subject === this.#inbox) {
      this.#control(message);
      return;
    }
    const delivery = parseDelivery(message.reply ?? '');
    if (delivery === undefined || delivery.count !== this.#count + 1) {
      this.close('a message is missing');
      return;
    }
    this.#count = delivery.count;
    this.#stalls = 0;
    this.#options.receiver.message(message, delivery);
  }

  #control(message: Msg): void {
    const { headers } = message;
    if (headers?.code !== STATUS_CONTROL) {
      this.close(`status ${headers?.code ?? ''} ${headers?.description ?? ''}`);
      return;
    }
    // Flow control asks for an answer, so that no more is sent than is taken in.
    if (message.reply !== undefined && message.reply !== '') {
      message.respond();
      return;
    }
    const stalled = headers.get(STALLED_HEADER);
    if (stalled !== '') {
      this.#stalls += 1;
      if (this.#stalls > MAX_STALLS) {
        this.close('flow control is not answered');
        return;
      }
      this.#options.connection.publish(stalled);
    }
    if (Number(headers.get(LAST_COUNT_HEADER)) !== this.#count) {
      this.close('a message is missing');
      return;
    }
    const offset = Number(headers.get(LAST_OFFSET_HEADER));
    if (stalled === '' && Number.isSafeInteger(offset)) this.#options.receiver.idle(offset);
  }

  // A flag and a look now and then: setting a timer anew at each message would cost more than the rest of this file.
  #checkSilence(): void {
    if (!this.#heard) {
      this.close('the server fell silent');
      return;
    }
    this.#heard = false;
    this.#options.wheel.schedule(this.#silence, this.#patienceMs);
  }
}
