import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../clock.ts';
import {
  type BucketFollower,
  type Change,
  FollowedBucket,
  type Since,
} from '../../cluster/followed-bucket.ts';
import { isOvertaken, type OpenBucket, REQUEST_TIMEOUT_MS } from '../../cluster/open-bucket.ts';
import { messageOf } from '../../errors.ts';
import { Complaints, type Logger } from '../../log.ts';
import { ControlError } from '../operation.ts';
import { type ChannelBook, type Entry, LISTED_MS } from './channel-book.ts';
import { type ChannelRecord, decodeChannel, encodeChannel, keyOfChannel } from './channel-record.ts';

export interface ChannelKeeperOptions {
  /** The bucket's name: `[A-Za-z0-9_-]+`. */
  readonly name: string;
  /** Whether what was made is unknown, rather than nothing, where there is no JetStream that we may use. */
  readonly requireJetStream: boolean;
  /** How long until it is looked again for a JetStream that is not there, in milliseconds. */
  readonly absentWaitMs: number;
  readonly book: ChannelBook;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a channel's record becomes, given the one that the bucket has; that very one where it stays. @throws ControlError */
export type Decide = (known: ChannelRecord | undefined) => ChannelRecord;

/** Times that a record is read and written again because another instance was quicker. */
const MAX_TRIES = 10;
/** Records written at the same time as a bucket is completed. */
const BATCH_SIZE = 50;
/** A bucket that takes nothing, since it is full perhaps, is read anew no more often than this, in milliseconds. */
const SUSPECT_MS = 10_000;

const LINES = {
  kept: 'channels that are made or closed at run time are kept in NATS, in a key-value bucket',
  absent:
    'no JetStream that we may use: no channel can be made, and what is closed is forgotten with this process',
  lost: 'the bucket of channels cannot be used; those that are known stay as they are until it is back',
} as const;

/** Keeps the book of channels in a NATS key-value bucket, which every instance writes and reads. Of two that write, the second has to look again. */
export class ChannelKeeper implements BucketFollower {
  readonly #options: ChannelKeeperOptions;
  readonly #complaints: Complaints;
  readonly #bucket: FollowedBucket;
  /** What the bucket has, by key: a key that was removed does not tell its channel. */
  readonly #channels = new Map<string, string>();
  #seen: Set<string> | undefined;
  #suspectedMs = Number.NEGATIVE_INFINITY;
  /** What the log said last; it says only what is new. */
  #said: keyof typeof LINES | undefined;

  constructor(options: ChannelKeeperOptions) {
    const { name, absentWaitMs, clock, log } = options;
    this.#options = options;
    this.#complaints = new Complaints(log, clock);
    this.#bucket = new FollowedBucket({ name, ttlMs: 0, absentWaitMs, clock, follower: this });
  }

  /** Whether what is made and closed now outlives this process. */
  get isOpen(): boolean {
    return this.#bucket.bucket !== undefined;
  }

  connected(connection: NatsConnection): void {
    this.#bucket.connected(connection);
  }

  disconnected(): void {
    this.#bucket.disconnected();
  }

  reconnected(): void {
    this.#bucket.reconnected();
  }

  stop(): void {
    this.#bucket.stop();
  }

  /**
   * Changes a channel's record in the bucket; what it is then is in the book. `isWritten`: whether this call wrote it.
   * @throws ControlError CONTROL_UNAVAILABLE, CHANNELS_FULL, and what `decide` throws
   */
  async change(
    channel: string,
    decide: Decide,
  ): Promise<{ readonly record: ChannelRecord; readonly isWritten: boolean }> {
    const bucket = this.#bucket.bucket;
    if (bucket === undefined)
      throw new ControlError('CONTROL_UNAVAILABLE', 'there is no JetStream to keep channels in');
    try {
      return await this.#write(bucket, channel, decide);
    } catch (error) {
      if (error instanceof ControlError) throw error;
      this.#complain('write', error, 'a channel could not be written to the bucket');
      this.#suspect();
      throw new ControlError('CONTROL_UNAVAILABLE', 'JetStream, where channels are kept, does not answer');
    }
  }

  /** Channels whose keys are remembered. */
  get size(): number {
    return this.#channels.size;
  }

  /** It is over, and in the book no more. */
  forget(channel: string): void {
    this.#channels.delete(keyOfChannel(channel));
  }

  /** Removes a record that is over, unless it has been written anew; no mark of it stays. Never rejects. */
  async remove({ record: { channel }, revision }: Entry): Promise<void> {
    const bucket = this.#bucket.bucket;
    if (bucket === undefined || revision === undefined) return;
    const filter = `$KV.${this.#options.name}.${keyOfChannel(channel)}`;
    try {
      await bucket.jsm.streams.purge(bucket.stream, { filter, seq: revision + 1 });
    } catch (error) {
      // It stays, and is let go of once more whenever the bucket is read.
      this.#complain('remove', error, 'a channel that is over could not be removed from the bucket');
    }
  }

  begin(): void {
    this.#seen = new Set();
  }

  take({ key, value, revision }: Change): void {
    const { book } = this.#options;
    const isOld = this.#seen !== undefined;
    this.#seen?.add(key);
    const gone = this.#channels.get(key);
    // What this instance wrote it knows already; the reader comes after it, with what was there before.
    if (!isOld && revision < (book.get(gone ?? '')?.revision ?? 0)) return;
    if (value === undefined) {
      if (gone !== undefined) book.forget(gone);
      this.#channels.delete(key);
      return;
    }
    const record = decodeChannel(key, value);
    if (record === undefined) {
      this.#complain('unreadable', undefined, 'the bucket of channels holds a record that is none of ours');
      return;
    }
    // What was closed here is still to be told to the bucket: it is being written, or could not be.
    if (outlasts(book.get(record.channel), record)) return;
    if (book.take(record, revision, { isOld })) this.#channels.set(key, record.channel);
    else
      this.#complain(
        'full',
        undefined,
        'the bucket holds more channels than are remembered: some are not known here',
      );
  }

  async complete(bucket: OpenBucket, { isAnother, awayMs }: Since): Promise<void> {
    const { book, log, name } = this.#options;
    const seen = this.#seen ?? new Set();
    this.#seen = undefined;
    // What is over is removed without a mark, but not so soon. What somebody removes by hand has one. So what is missing was lost: with
    // a bucket that was deleted, or is about to be.
    const isLost = isAnother || awayMs < LISTED_MS;
    const missing: ChannelRecord[] = [];
    for (const { record, revision } of [...book.entries()]) {
      const isThere = seen.has(keyOfChannel(record.channel));
      if (revision === undefined || (isLost && !isThere)) missing.push(record);
      else if (!isThere) book.forget(record.channel);
    }
    book.loaded();
    if (bucket.shortLived !== undefined)
      this.#complain('ttl', bucket.shortLived, 'the bucket may forget channels by itself');
    for (let from = 0; from < missing.length; from += BATCH_SIZE) {
      const batch = missing.slice(from, from + BATCH_SIZE);
      await Promise.all(batch.map((record) => this.#restore(bucket, record)));
    }
    if (this.#said !== 'kept') log.info({ bucket: name, channels: book.size }, LINES.kept);
    this.#said = 'kept';
  }

  failed(error: unknown, isAbsent: boolean): void {
    const { book, requireJetStream, log, name } = this.#options;
    this.#seen = undefined;
    if (isAbsent && !requireJetStream) book.loaded();
    const what = isAbsent ? 'absent' : 'lost';
    const fields = { bucket: name, error: messageOf(error) };
    if (this.#said === what) log.debug(fields, LINES[what]);
    else log.warn(fields, LINES[what]);
    this.#said = what;
  }

  #suspect(): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#suspectedMs < SUSPECT_MS) return;
    this.#suspectedMs = nowMs;
    this.#bucket.suspect();
  }

  /** What the bucket lacks is put there, unless there is something newer by now. */
  async #restore(bucket: OpenBucket, record: ChannelRecord): Promise<void> {
    const { end } = record;
    await this.#write(bucket, record.channel, (known) => {
      if (known === undefined) return record;
      return end !== undefined && isBefore(known, end.atMs) ? { ...known, end } : known;
    });
  }

  async #write(bucket: OpenBucket, channel: string, decide: Decide) {
    const { book } = this.#options;
    const key = keyOfChannel(channel);
    for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
      const entry = await bucket.kv.get(key);
      const known = entry?.operation === 'PUT' ? decodeChannel(key, entry.value) : undefined;
      const record = decide(known);
      if (record === known && entry !== null) {
        book.take(record, entry.revision);
        return { record, isWritten: false };
      }
      if (book.get(channel) === undefined && book.isFull)
        throw new ControlError('CHANNELS_FULL', `${book.size} channels are made or closed`);
      try {
        const options = { previousSeq: entry?.revision ?? 0, timeout: REQUEST_TIMEOUT_MS };
        const revision = await bucket.kv.put(key, encodeChannel(record), options);
        this.#channels.set(key, channel);
        book.take(record, revision);
        return { record, isWritten: true };
      } catch (error) {
        if (!isOvertaken(error)) throw error;
      }
    }
    throw new ControlError('CONFLICT', 'others changed the channel again and again at the same time');
  }

  #complain(kind: string, error: unknown, text: string): void {
    const { name } = this.#options;
    const fields = { bucket: name, error: error === undefined ? undefined : messageOf(error) };
    this.#complaints.warn(kind, fields, text);
  }
}

/** Whether a closing that the bucket does not have came after what it has. */
function outlasts(known: Entry | undefined, record: ChannelRecord): boolean {
  const { end } = known?.record ?? {};
  return (
    known !== undefined && known.revision === undefined && end !== undefined && isBefore(record, end.atMs)
  );
}

function isBefore({ createdMs = 0, end }: ChannelRecord, atMs: number): boolean {
  return createdMs < atMs && end === undefined;
}
