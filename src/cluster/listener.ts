import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Logger } from '../log.ts';
import { headersOf } from './headers.ts';
import type { Replies } from './replies.ts';

export interface ListenerOptions {
  readonly subject: string;
  readonly log: Logger;
  /** Where answers may go; absent: anywhere. */
  readonly replies?: Pick<Replies, 'accepts'> | undefined;
  /** What comes in. `payload` is the NATS client's: it must not be kept. It must not throw. */
  readonly message: (payload: Uint8Array, message: Incoming) => void;
}

/** Answers who asked, if they want an answer. Never throws. */
export type Answer = (text: string) => void;

/** A message, besides what it carries. */
export interface Incoming {
  readonly subject: string;
  /** A header's value; empty where it has none. */
  header(name: string): string;
  readonly answer: Answer;
}

/** How long until NATS is asked again for a subject that it refused, in milliseconds. */
const DENIED_RETRY_MS = 60_000;

/** One subscription without a queue group: every instance hears everything. It is kept across connections and refusals. */
export class Listener {
  readonly #options: ListenerOptions;
  #connection: NatsConnection | undefined;
  #subscription: Subscription | undefined;
  #retry: NodeJS.Timeout | undefined;
  #denied = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#denied = false;
    this.#subscribe();
  }

  /** The client has restored the subscription, unless NATS had refused it. */
  reconnected(): void {
    if (this.#subscription === undefined) this.#subscribe();
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#connection = undefined;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }

  #subscribe(): void {
    const connection = this.#connection;
    if (connection === undefined || connection.isClosed()) return;
    clearTimeout(this.#retry);
    const { subject } = this.#options;
    try {
      this.#subscription = connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) this.#receive(connection, message);
          else this.#refused(error);
        },
      });
    } catch (error) {
      // ClosedConnectionError: `connected` comes. Or a subject that the client does not take.
      this.#refused(error);
    }
  }

  #receive(connection: NatsConnection, received: Msg): void {
    const { data, reply, subject } = received;
    const { replies, message } = this.#options;
    if (replies?.accepts(reply) === false) return;
    message(data, {
      subject,
      header: headersOf(received),
      answer: (text) => this.#answer(connection, reply, text),
    });
  }

  #answer(connection: NatsConnection, reply: string | undefined, text: string): void {
    if (reply === undefined || reply === '') return;
    const { log, subject } = this.#options;
    try {
      connection.publish(reply, text);
    } catch (error) {
      // ClosedConnectionError, or a reply subject that is none: it was acted on all the same.
      log.debug({ subject, error: String(error) }, 'a command could not be answered');
    }
  }

  #refused(error: unknown): void {
    const { subject, log } = this.#options;
    this.#subscription = undefined;
    this.#retry = setTimeout(() => this.#subscribe(), DENIED_RETRY_MS);
    if (this.#denied) return;
    this.#denied = true;
    log.error(
      { subject, error: String(error) },
      'NATS refuses the subject: its commands do not reach this instance',
    );
  }
}
