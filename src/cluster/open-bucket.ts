import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { errors, millis, type NatsConnection, nanos } from '@nats-io/transport-node';

export interface BucketConfig {
  /** Its name: `[A-Za-z0-9_-]+`. JetStream knows it as the stream `KV_<name>`. */
  readonly name: string;
  /** How long the server keeps a value, in milliseconds. 0: until it is deleted. */
  readonly ttlMs: number;
}

export interface OpenBucket {
  readonly kv: KV;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** The stream that holds it. */
  readonly stream: string;
  /** Why the server may forget values sooner than it should. */
  readonly shortLived: Error | undefined;
}

/** JetStream is not there for us, and asking again soon is of no use. */
export class Absent extends Error {}

/** Longest wait for one answer of JetStream. */
export const REQUEST_TIMEOUT_MS = 2_000;
const DAY_MS = 86_400_000;

/**
 * Opens a bucket, or makes it where it is missing.
 * @throws Absent there is no JetStream for us, or NATS does not permit what is needed
 * @throws Error of the NATS client, when JetStream refuses otherwise or does not answer
 */
export async function openBucket(
  connection: NatsConnection,
  { name, ttlMs }: BucketConfig,
): Promise<OpenBucket> {
  try {
    const jsm = await manager(connection);
    const js = jsm.jetstream();
    // Values are read to be written again, so from the leader: a replica may be behind.
    const kv = await new Kvm(js).create(name, { ttl: ttlMs, history: 1, allow_direct: false });
    const status = await kv.status();
    const { config } = status.streamInfo;
    const stream = config.name;
    const isShort = status.ttl > 0 && (ttlMs === 0 || status.ttl < ttlMs);
    const shortLived = (isShort ? await triedTo(lengthen(jsm, stream, ttlMs)) : undefined) ?? flawOf(config);
    return { kv, js, jsm, stream, shortLived };
  } catch (error) {
    throw asAbsent(error);
  }
}

/** What NATS does not permit is not there for us. */
export function asAbsent(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof errors.PermissionViolationError
    ? new Absent(error.message, { cause: error })
    : error;
}

/** Whether a value was not written because the key's last revision is another than the writer thought. */
export function isOvertaken(error: unknown): boolean {
  const { StreamWrongLastSequence, StreamWrongLastSequenceUnknown } = JetStreamApiCodes;
  const codes: readonly number[] = [StreamWrongLastSequence, StreamWrongLastSequenceUnknown];
  return error instanceof JetStreamApiError && codes.includes(error.code);
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

/** A bucket that others made may lose values whatever its time. None of this is ours to change: that is a bucket made anew. */
function flawOf({ retention, storage, discard, max_msgs, max_bytes }: StreamConfig): Error | undefined {
  if (retention !== RetentionPolicy.Limits)
    return new Error(`its stream has retention ${retention} and keeps no value: make it with limits`);
  if (storage === StorageType.Memory)
    return new Error('its stream is in memory, and empty when NATS restarts: make it with storage file');
  if (discard === DiscardPolicy.Old && Math.max(max_msgs, max_bytes) > 0)
    return new Error('its stream drops the oldest values where it is full: make it with discard new');
  return undefined;
}

// Others may have made the bucket with a shorter time: older configs, or people. A longer one does no harm.
async function lengthen(jsm: JetStreamManager, stream: string, ttlMs: number): Promise<void> {
  await jsm.streams.update(stream, { max_age: nanos(ttlMs) });
}

/** Why it failed, if it did. */
async function triedTo(attempt: Promise<void>): Promise<Error | undefined> {
  try {
    await attempt;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * Sees to it that what is written from now on is kept for `ms` milliseconds; gives how many keys have a value, or a mark that
 * it was deleted. Whole days, so that instances that do this for the same value, each with its own now, agree.
 * @throws Error of the NATS client, also where NATS does not permit it
 */
export async function keepFor({ jsm, stream }: OpenBucket, ms: number): Promise<{ readonly keys: number }> {
  const { config, state } = await jsm.streams.info(stream);
  const isShort = config.max_age > 0 && millis(config.max_age) < ms;
  if (isShort) await lengthen(jsm, stream, Math.ceil(ms / DAY_MS) * DAY_MS);
  return { keys: state.num_subjects ?? state.messages };
}
