import {
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamManager,
  jetstreamManager,
} from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { errors, type NatsConnection, nanos } from '@nats-io/transport-node';

export interface WatchOptions {
  /** The bucket's name: `[A-Za-z0-9_-]+`. */
  readonly name: string;
  /** How long the server keeps a value, in milliseconds. */
  readonly ttlMs: number;
}

/** A bucket that is being read. */
export interface Watch {
  readonly kv: KV;
  /** The last value of each key, then every change. Ends when something may have been missed. */
  readonly messages: ConsumerMessages;
  /** Values that there are to read at first. */
  readonly waiting: number;
  /** The subject of a key, without the key. */
  readonly keyPrefix: string;
  /** Why the server may forget values sooner than it should. */
  readonly shortLived: Error | undefined;
}

/** JetStream is not there for us, and asking again soon is of no use. */
export class Absent extends Error {}

/** Longest wait for one answer of JetStream. */
const REQUEST_TIMEOUT_MS = 2_000;
/** How long the server keeps a reader that has gone without a word. */
const INACTIVE_MS = 60_000;

/**
 * What the client notes of a reader that may have missed something. By itself it would go on behind the last sequence
 * that it saw; in a bucket that was deleted and made anew, that leaves out what lies before.
 */
const TROUBLE: ReadonlySet<string> = new Set([
  'heartbeats_missed',
  'consumer_deleted',
  'consumer_not_found',
  'stream_not_found',
  'no_responders',
  'reset',
]);

/**
 * Opens a bucket, or makes it, and begins to read it. Not by `KV.watch`, which does not tell that its stream is gone, nor
 * how much there is to read at first.
 * @throws Absent there is no JetStream for us, or NATS does not permit what is needed
 * @throws Error of the NATS client, when JetStream refuses otherwise or does not answer
 */
export async function watchBucket(connection: NatsConnection, options: WatchOptions): Promise<Watch> {
  try {
    return await open(await manager(connection), options);
  } catch (error) {
    if (error instanceof Error && error.cause instanceof errors.PermissionViolationError)
      throw new Absent(error.message, { cause: error });
    throw error;
  }
}

async function manager(connection: NatsConnection): Promise<JetStreamManager> {
  try {
    return await jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS });
  } catch (error) {
    if (isDisabled(error)) throw new Absent(error.message, { cause: error });
    throw error;
  }
}

// Its class is not exported. It stands for a server without JetStream and for an account without.
function isDisabled(error: unknown): error is Error {
  return error instanceof Error && error.name === 'JetStreamNotEnabled';
}

async function open(jsm: JetStreamManager, { name, ttlMs }: WatchOptions): Promise<Watch> {
  const js = jsm.jetstream();
  // Values are read to be written again, so from the leader: a replica may be behind.
  const kv = await new Kvm(js).create(name, { ttl: ttlMs, history: 1, allow_direct: false });
  const status = await kv.status();
  const stream = status.streamInfo.config.name;
  const shortLived = status.ttl > 0 && status.ttl < ttlMs ? await lengthen(jsm, stream, ttlMs) : undefined;
  const keyPrefix = `$KV.${name}.`;
  const consumer = await js.consumers.get(stream, {
    deliver_policy: DeliverPolicy.LastPerSubject,
    filter_subjects: `${keyPrefix}>`,
    inactive_threshold: INACTIVE_MS,
  });
  const { num_pending: waiting } = await consumer.info(true);
  const messages = await consumer.consume();
  void stopOnTrouble(messages);
  return { kv, messages, waiting, keyPrefix, shortLived };
}

/** Others may have made the bucket with a shorter time: older configs, or people. A longer one does no harm. */
async function lengthen(jsm: JetStreamManager, stream: string, ttlMs: number): Promise<Error | undefined> {
  try {
    await jsm.streams.update(stream, { max_age: nanos(ttlMs) });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Never rejects: what ends the messages ends their notes. */
async function stopOnTrouble(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) if (TROUBLE.has(type)) messages.stop();
}
