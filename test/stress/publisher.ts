import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import type { Book } from './book.ts';
import type { Findings } from './findings.ts';
import type { Random } from './random.ts';

export interface PublisherOptions {
  readonly connection: NatsConnection;
  readonly book: Book;
  readonly random: Random;
  readonly findings: Findings;
  /** Aborted when nothing more is to be begun. */
  readonly stop: AbortSignal;
}

/** How long an answer is waited for, and how long before the next attempt, in milliseconds. */
const ANSWER_MS = 1000;
const RETRY_MS = 50;

/** Publishes on one channel at its rate: publication by publication, each until it is known to be stored. */
export class ChannelPublisher {
  readonly #options: PublisherOptions;
  readonly #jetStream: JetStreamClient;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#jetStream = jetstream(options.connection);
  }

  async run(): Promise<void> {
    const { book, random, stop } = this.#options;
    const intervalMs = 1000 / book.spec.rate;
    while (!stop.aborted) {
      await this.publish();
      await sleep(random.between(0, 2 * intervalMs));
    }
  }

  /** One publication; of a bucket a value or, not as often, a deletion. */
  async publish(): Promise<void> {
    const { book, random } = this.#options;
    const { keys } = book.spec;
    if (keys === undefined) await this.#put('');
    else await this.#put(random.pick(keys), random.chance(0.35));
  }

  /** What is to be the newest there is: of a bucket a value of each key. */
  async finish(): Promise<void> {
    for (const key of this.#options.book.spec.keys ?? ['']) await this.#put(key);
  }

  async #put(key: string, isDeletion = false): Promise<void> {
    const { book, findings } = this.#options;
    const { name, subject, padding, stream } = book.spec;
    const number = book.begin(key, isDeletion);
    const payload = JSON.stringify({ channel: name, number, padding: '.'.repeat(padding) });
    const fullSubject = key === '' ? subject : `${subject}.${key}`;
    const offset =
      stream === undefined
        ? await this.#send(fullSubject, payload)
        : await this.#store(fullSubject, isDeletion ? '' : payload, `${name}/${number}`, isDeletion);
    const wrong = book.store(offset);
    if (wrong !== undefined) findings.fault({ who: 'publisher', channel: name, what: wrong, trail: [] });
  }

  async #send(subject: string, payload: string): Promise<number> {
    const { connection, book } = this.#options;
    connection.publish(subject, payload);
    // Rejects where the connection is lost: a client without one drops what it was given.
    await connection.flush().catch(() => book.doubt());
    return 0;
  }

  /** Stores it once, however often it has to be sent. NATS: `Nats-Msg-Id` is remembered for two minutes. */
  async #store(subject: string, payload: string, id: string, isDeletion: boolean): Promise<number> {
    const block = headers();
    if (isDeletion) block.set('KV-Operation', 'DEL');
    for (;;) {
      try {
        const { seq } = await this.#jetStream.publish(subject, payload, {
          msgID: id,
          timeout: ANSWER_MS,
          headers: block,
        });
        return seq;
      } catch {
        // The server is away, or went away before it answered.
        this.#options.findings.count('publications sent again');
        await sleep(RETRY_MS);
      }
    }
  }
}
