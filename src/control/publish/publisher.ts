import { JetStreamApiError, type JetStreamClient, jetstream, type PubAck } from '@nats-io/jetstream';
import { errors, type MsgHdrs, type NatsConnection, headers as natsHeaders } from '@nats-io/transport-node';
import { messageOf } from '../../errors.ts';
import { ControlError } from '../operation.ts';
import type { Payload } from './publish-payload.ts';

/** What a stream has told of itself: the positions of its messages are of this epoch. */
export interface KnownLog {
  readonly epoch: string | undefined;
  /** The newest that was passed on. */
  readonly offset: number;
}

/** What is to be published, and how it is to be kept. */
export interface Delivery {
  readonly subject: string;
  readonly payload: Payload;
  /** Whether a stream must take it: any, for the one that a route reads may be a mirror of others. */
  readonly isStored: boolean;
}

/** How long an acknowledgement is waited for, in milliseconds. */
const TIMEOUT_MS = 2_000;
/** `NATS/1.0`, line breaks and the blank line; and a colon, a space and a line break for each field. NATS ADR-4. */
const HEADER_BYTES = 12;
const FIELD_BYTES = 4;
/** JSStreamMessageExceedsMaximumErr. */
const TOO_LARGE_CODE = 10_054;

/**
 * Publishes on NATS for who calls the control plane, and finds out what became of it. What is published by calls that follow one
 * another goes out in their order, whether or not the acknowledgement of the first is there yet.
 */
export class Publisher {
  #connection: NatsConnection | undefined;
  #js: JetStreamClient | undefined;
  #isConnected = false;
  #flushing: Promise<void> | undefined;
  /** Subjects with messages that nobody knows yet whether NATS took them. */
  readonly #unconfirmed = new Map<string, { count: number; isRefused: boolean }>();

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#js = jetstream(connection, { timeout: TIMEOUT_MS });
    this.#isConnected = true;
  }

  disconnected(): void {
    this.#isConnected = false;
  }

  reconnected(): void {
    this.#isConnected = true;
  }

  /** NATS answers a message on a subject that is not permitted by an error that comes by itself. */
  refused(error: Error): void {
    if (!(error instanceof errors.PermissionViolationError) || error.operation !== 'publish') return;
    const waiting = this.#unconfirmed.get(error.subject);
    if (waiting !== undefined) waiting.isRefused = true;
  }

  /**
   * Publishes one message; what the stream says of it, where it is kept.
   * @throws ControlError MESSAGE_TOO_LARGE, NOT_PERMITTED, NO_STREAM, CONTROL_UNAVAILABLE
   */
  async publish(delivery: Delivery): Promise<PubAck | undefined> {
    const connection = this.#connection;
    if (connection === undefined || !this.#isConnected || connection.isClosed())
      throw new ControlError('CONTROL_UNAVAILABLE', 'there is no connection to NATS');
    checkSize(delivery, connection.info?.max_payload ?? Infinity);
    return delivery.isStored ? this.#store(delivery) : this.#send(connection, delivery);
  }

  async #store({ subject, payload }: Delivery): Promise<PubAck | undefined> {
    try {
      return await this.#js?.publish(subject, payload.bytes, {
        headers: headersOf(payload),
        timeout: TIMEOUT_MS,
      });
    } catch (error) {
      throw refusalOf(error);
    }
  }

  async #send(connection: NatsConnection, { subject, payload }: Delivery): Promise<undefined> {
    const waiting = this.#unconfirmed.get(subject) ?? { count: 0, isRefused: false };
    this.#unconfirmed.set(subject, waiting);
    waiting.count += 1;
    try {
      const { fields, bytes } = payload;
      const isPlain = Object.keys(fields).length === 0;
      connection.publish(subject, bytes, isPlain ? {} : { headers: headersOf(payload) });
      await this.#flush(connection);
    } catch (error) {
      throw new ControlError(
        'CONTROL_UNAVAILABLE',
        `NATS did not take it, as far as is known: ${messageOf(error)}`,
      );
    } finally {
      waiting.count -= 1;
      if (waiting.count === 0) this.#unconfirmed.delete(subject);
    }
    if (waiting.isRefused) throw notPermitted();
  }

  /** One round trip for all that was published in a turn. What NATS refuses it has said by then. */
  #flush(connection: NatsConnection): Promise<void> {
    this.#flushing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#flushing = undefined;
        const late = setTimeout(() => reject(new Error('no answer in time')), TIMEOUT_MS);
        connection
          .flush()
          // A turn later: errors that came before the answer reach us by a longer way.
          .then(() => setImmediate(resolve), reject)
          .finally(() => clearTimeout(late));
      });
    });
    return this.#flushing;
  }
}

function checkSize({ payload, isStored }: Delivery, maxPayload: number): void {
  const { bytes, fields } = payload;
  // Core messages without fields have no header block at all.
  const hasHeaders = isStored || Object.keys(fields).length > 0;
  let size = bytes.length + (hasHeaders ? HEADER_BYTES : 0);
  for (const [name, value] of Object.entries(fields))
    size += Buffer.byteLength(name) + Buffer.byteLength(value) + FIELD_BYTES;
  if (size > maxPayload)
    throw new ControlError('MESSAGE_TOO_LARGE', `${size} bytes with its headers; NATS takes ${maxPayload}`);
}

function headersOf({ fields }: Payload): MsgHdrs {
  const made = natsHeaders();
  for (const [name, value] of Object.entries(fields)) made.set(name, value);
  return made;
}

function refusalOf(error: unknown): ControlError {
  const causes = [error, error instanceof Error ? error.cause : undefined];
  if (causes.some((cause) => cause instanceof errors.PermissionViolationError)) return notPermitted();
  if (error instanceof JetStreamApiError) {
    if (error.code === TOO_LARGE_CODE)
      return new ControlError('MESSAGE_TOO_LARGE', 'it is larger than the stream takes');
    return new ControlError('NO_STREAM', `the stream did not take it: ${error.message}`);
  }
  // Its class is not exported. Nobody listens on the subject: neither a stream nor anybody else.
  if (error instanceof Error && error.name === 'JetStreamNotEnabled')
    return new ControlError('NO_STREAM', 'no stream stores this subject, or there is no JetStream');
  // Somebody who is no stream may have answered, or nobody.
  const text =
    'no stream said that it has it; it may have been stored. With `id` it can safely be sent again';
  return new ControlError('CONTROL_UNAVAILABLE', `${text} (${messageOf(error)})`);
}

function notPermitted(): ControlError {
  return new ControlError('NOT_PERMITTED', 'NATS does not permit Sidestream to publish on this subject');
}
