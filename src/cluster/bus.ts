import type { NatsConnection } from '@nats-io/transport-node';
import { headers as natsHeaders } from '@nats-io/transport-node';
import type { Logger } from '../log.ts';
import { type Incoming, Listener } from './listener.ts';
import { Replies, type RepliesOptions } from './replies.ts';

/** What comes in on a subject. `payload` is the NATS client's: it must not be kept. It must not throw. */
export type Receive = (payload: Uint8Array, message: Incoming) => void;

export interface Outgoing {
  readonly headers?: Readonly<Record<string, string>>;
  /** Where answers are to go. */
  readonly reply?: string;
}

/** A connection that has died without a word answers no flush. */
const FLUSH_TIMEOUT_MS = 1000;

/**
 * What instances say to each other, and to backends, over NATS. What is published while there is no connection is dropped: nothing
 * of it is of use later, and what the client would keep until then has no bound.
 */
export class Bus {
  readonly #log: Logger;
  readonly #replies: Replies | undefined;
  readonly #listeners = new Set<Listener>();
  #connection: NatsConnection | undefined;
  #isConnected = false;

  /** Without `replies`, answers go wherever they are asked for. */
  constructor(log: Logger, replies?: Omit<RepliesOptions, 'log'>) {
    this.#log = log;
    this.#replies = replies && new Replies({ ...replies, log });
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** The connection, as a library may have it that answers by itself. */
  guarded(connection: NatsConnection): NatsConnection {
    return this.#replies?.guard(connection) ?? connection;
  }

  /** Hears everything on a subject, across connections; wildcards will do. Gives what ends it. */
  listen(subject: string, message: Receive): () => void {
    const listener = new Listener({ subject, log: this.#log, replies: this.#replies, message });
    this.#listeners.add(listener);
    if (this.#connection !== undefined) listener.connected(this.#connection);
    return () => {
      this.#listeners.delete(listener);
      listener.stop();
    };
  }

  /** False where it was not sent. Never throws. */
  publish(subject: string, payload: string | Uint8Array, { headers, reply }: Outgoing = {}): boolean {
    if (this.#connection === undefined || !this.#isConnected) return false;
    try {
      this.#connection.publish(subject, payload, {
        ...(reply !== undefined && { reply }),
        ...(headers !== undefined && { headers: toHeaders(headers) }),
      });
      return true;
    } catch (error) {
      // ClosedConnectionError; a subject or a size that NATS does not take.
      this.#log.debug({ subject, error: String(error) }, 'a message could not be published');
      return false;
    }
  }

  /** Longest payload that NATS takes, in bytes; `undefined` while that is unknown. */
  get maxPayloadBytes(): number | undefined {
    return this.#connection?.info?.max_payload;
  }

  /** Resolves when what was published is with NATS, with true; or with false when it cannot be, after a second at most. */
  async flush(): Promise<boolean> {
    const connection = this.#connection;
    if (connection === undefined || !this.#isConnected) return false;
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), FLUSH_TIMEOUT_MS);
    });
    try {
      return await Promise.race([connection.flush().then(() => true), over]);
    } catch {
      // ClosedConnectionError: it is not to be sent any more.
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#isConnected = true;
    for (const listener of this.#listeners) listener.connected(connection);
  }

  disconnected(): void {
    this.#isConnected = false;
  }

  reconnected(): void {
    this.#isConnected = true;
    for (const listener of this.#listeners) listener.reconnected();
  }

  stop(): void {
    for (const listener of this.#listeners) listener.stop();
    this.#listeners.clear();
    this.#isConnected = false;
    this.#connection = undefined;
  }
}

function toHeaders(fields: Readonly<Record<string, string>>) {
  const made = natsHeaders();
  for (const [name, value] of Object.entries(fields)) made.set(name, value);
  return made;
}
