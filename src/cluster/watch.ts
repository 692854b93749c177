import { type ConsumerMessages, DeliverPolicy } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { asAbsent, type BucketConfig, type OpenBucket, openBucket } from './open-bucket.ts';

/** A bucket that is being read. */
export interface Watch {
  readonly bucket: OpenBucket;
  /** The last value of each key, then every change. Ends when something may have been missed. */
  readonly messages: ConsumerMessages;
  /** Values that there are to read at first. */
  readonly waiting: number;
  /** The subject of a key, without the key. */
  readonly keyPrefix: string;
}

/**
 * How often the server says that it is there, in milliseconds; after two that do not come the bucket is read anew. By default it
 * would take half a minute, and nats-server 2.9.10 tells up to one in ten readers of a deleted stream nothing else.
 */
const HEARTBEAT_MS = 3_000;
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
export async function watchBucket(connection: NatsConnection, config: BucketConfig): Promise<Watch> {
  const bucket = await openBucket(connection, config);
  try {
    return await read(bucket, config.name);
  } catch (error) {
    throw asAbsent(error);
  }
}

async function read(bucket: OpenBucket, name: string): Promise<Watch> {
  const { js, stream } = bucket;
  const keyPrefix = `$KV.${name}.`;
  const consumer = await js.consumers.get(stream, {
    deliver_policy: DeliverPolicy.LastPerSubject,
    filter_subjects: `${keyPrefix}>`,
    inactive_threshold: INACTIVE_MS,
  });
  const { num_pending: waiting } = await consumer.info(true);
  const messages = await consumer.consume({ idle_heartbeat: HEARTBEAT_MS });
  void stopOnTrouble(messages);
  return { bucket, messages, waiting, keyPrefix };
}

/** Never rejects: what ends the messages ends their notes. */
async function stopOnTrouble(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) if (TROUBLE.has(type)) messages.stop();
}
