import type { NatsConnection } from '@nats-io/transport-node';
import type { Revocation } from '../../auth/revocations.ts';
import type { Clock } from '../../clock.ts';
import { type Change, FollowedBucket } from '../../cluster/followed-bucket.ts';
import { isOvertaken, keepFor, type OpenBucket } from '../../cluster/open-bucket.ts';
import { messageOf } from '../../errors.ts';
import { Complaints, type Logger } from '../../log.ts';
import type { RevocationCounts } from './counts.ts';
import type { Ledger } from './ledger.ts';
import { covers, decodeRecord, encodeRecord, keyOf, merge } from './record.ts';

export interface BucketOptions {
  /** Its name: `[A-Za-z0-9_-]+`. JetStream knows it as the stream `KV_<name>`. */
  readonly name: string;
  /** How long the server keeps a record at least, in milliseconds. Where one lasts longer, all are kept longer. */
  readonly ttlMs: number;
  /** Whether what was revoked before is unknown, rather than nothing, where there is no JetStream that we may use. */
  readonly requireJetStream: boolean;
  /** How often it is looked whether the bucket lost something without a word, in milliseconds. */
  readonly lookMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly counts: RevocationCounts;
  readonly ledger: Ledger;
  /** Called when the bucket told of `count` revocations that were not known here. They are refused already. */
  readonly learned: (count: number) => void;
}

/**
 * Longest wait where there is no JetStream: its servers may only have been out of reach, and until they are asked again
 * who was revoked before is let in. Where a permission is missing, NATS logs each attempt.
 */
const ABSENT_WAIT_MS = 10_000;
/** A bucket may have let go of what ends so soon; and the instances' clocks may differ by as much. */
const SLACK_MS = 60_000;
/** Times that a record is read and written again because another instance was quicker. */
const MAX_TRIES = 10;
/** Records written at the same time as a bucket is completed. */
const BATCH_SIZE = 50;

const SHORT_LIVED = 'the bucket may forget revocations too soon';
const LINES = {
  kept: 'revocations are kept in NATS, in a key-value bucket',
  absent: 'no JetStream that we may use: revocations are kept in memory only and end with this process',
  awaited:
    'no JetStream that we may use, and control.requireJetStream is true: until what was revoked is known, nobody is let in',
  lost: 'the bucket of revocations cannot be used; they are kept in memory meanwhile, and written when it is back',
} as const;

/**
 * Keeps revocations in a NATS key-value bucket, so that they outlive this process and reach instances that were away.
 *
 * After any trouble, and after each reconnect, the whole bucket is read anew, and what the ledger has and the bucket
 * lacks is written then: a bucket that was deleted comes back as it was. Nothing here ever throws or rejects.
 */
export class RevocationBucket {
  /** Resolves when the bucket has been read for the first time, or will not be because there is no JetStream. */
  readonly loaded: Promise<void>;
  readonly #options: BucketOptions;
  readonly #complaints: Complaints;
  #setLoaded: () => void = () => {};
  #isLoaded = false;
  readonly #followed: FollowedBucket;
  /** What was read of the bucket while it was not open. */
  readonly #stored = new Map<string, Revocation>();
  #looking: NodeJS.Timeout | undefined;
  /** Whether it is read anew since it had lost something. */
  #isPurged = false;
  /** Records that are being written now, each because of a command. */
  #saving = 0;
  /** Revocations that were read and not yet told of. */
  #news = 0;
  /** What the log said last; it says only what is new. */
  #said: keyof typeof LINES | undefined;

  constructor(options: BucketOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
    this.loaded = new Promise((resolve) => {
      this.#setLoaded = () => {
        this.#isLoaded = true;
        resolve();
      };
    });
    this.#followed = new FollowedBucket({
      ...options,
      absentWaitMs: ABSENT_WAIT_MS,
      follower: {
        begin: () => this.#stored.clear(),
        take: (change) => this.#take(change),
        complete: (bucket, _since, signal) => this.#complete(bucket, signal),
        failed: (error, isAbsent) => this.#failed(error, isAbsent),
      },
    });
  }

  /** Whether what is written is also read, and everything known was written. */
  get isOpen(): boolean {
    return this.#followed.bucket !== undefined;
  }

  connected(connection: NatsConnection): void {
    this.#looking ??= setInterval(() => void this.#look(), this.#options.lookMs);
    this.#followed.connected(connection);
  }

  disconnected(): void {
    this.#followed.disconnected();
  }

  reconnected(): void {
    this.#followed.reconnected();
  }

  stop(): void {
    clearInterval(this.#looking);
    this.#followed.stop();
    this.#setLoaded();
  }

  /**
   * Writes what the ledger has under `key`; whether the bucket has it now, and keeps it until it ends. What it has not is
   * written when it is back.
   */
  async save(key: string): Promise<boolean> {
    const { bucket } = this.#followed;
    if (bucket === undefined) return false;
    this.#saving += 1;
    try {
      const isKept = await this.#keep(bucket, [key]);
      await this.#put(bucket, key);
      return isKept;
    } catch (error) {
      this.#complain('save', error, 'a revocation could not be written to the bucket; trying again');
      // It will be read anew, and compared with the ledger.
      this.#followed.suspect();
      return false;
    } finally {
      this.#saving -= 1;
    }
  }

  #failed(error: unknown, isAbsent: boolean): void {
    this.#options.counts.bucketFailures += 1;
    if (isAbsent && !this.#options.requireJetStream) this.#setLoaded();
    const reason = this.#isPurged ? 'revocations are missing in it' : error;
    this.#isPurged = false;
    this.#say(isAbsent ? (this.#isLoaded ? 'absent' : 'awaited') : 'lost', reason);
  }

  async #look(): Promise<void> {
    const { bucket } = this.#followed;
    if (bucket === undefined || !(await this.#lacksSome(bucket))) return;
    this.#isPurged = true;
    this.#followed.suspect();
  }

  /**
   * Whether the bucket has fewer keys than it should: its stream was purged, which readers are not told of. Never rejects.
   * Sees to it as well that what the bucket has is kept long enough, should somebody have shortened its time.
   */
  async #lacksSome(bucket: OpenBucket): Promise<boolean> {
    const lasting = this.#options.ledger.lasting(SLACK_MS);
    const written = lasting.length - this.#saving;
    try {
      const { keys } = await keepFor(bucket, this.#remainingMs(lasting));
      // One that loses values by itself is told of as it is opened: to fill it again and again mends nothing.
      return bucket.shortLived === undefined && keys < written;
    } catch (error) {
      // A bucket that is gone, or does not answer, is noticed by who reads it.
      this.#options.log.debug({ bucket: this.#options.name, error: messageOf(error) }, SHORT_LIVED);
      return false;
    }
  }

  #remainingMs(revocations: readonly Revocation[]): number {
    const endMs = revocations.reduce((latestMs, { untilMs }) => Math.max(latestMs, untilMs), 0);
    return Math.max(this.#options.ttlMs, endMs - this.#options.clock.wall());
  }

  /** Whether the bucket keeps what is written under `keys` until it ends; it is made to where it can be. Never rejects. */
  async #keep(bucket: OpenBucket, keys: readonly string[]): Promise<boolean> {
    const { ledger, ttlMs } = this.#options;
    const remainingMs = this.#remainingMs(keys.flatMap((key) => ledger.get(key) ?? []));
    if (remainingMs <= ttlMs && bucket.shortLived === undefined) return true;
    try {
      await keepFor(bucket, remainingMs);
      return true;
    } catch (error) {
      this.#complain('ttl', error, SHORT_LIVED);
      return false;
    }
  }

  /** Everything has been read: writes what the bucket lacks. */
  async #complete(bucket: OpenBucket, signal: AbortSignal): Promise<void> {
    if (bucket.shortLived !== undefined) this.#complain('ttl', bucket.shortLived, SHORT_LIVED);
    this.#tell();
    this.#setLoaded();
    const { ledger } = this.#options;
    const stored = this.#stored;
    // Again until nothing is missing: commands come in meanwhile.
    for (let keys = ledger.missing(stored); keys.length > 0; keys = ledger.missing(stored)) {
      const batch = keys.slice(0, BATCH_SIZE);
      await this.#keep(bucket, batch);
      const written = await Promise.all(batch.map((key) => this.#put(bucket, key)));
      if (signal.aborted) return;
      for (const record of written) if (record !== undefined) stored.set(keyOf(record.target), record);
    }
    stored.clear();
    this.#say('kept');
  }

  #take({ key, value }: Change): void {
    const { ledger, counts } = this.#options;
    if (value === undefined) {
      // Deleted, purged, or a marker that it has ended.
      ledger.forget(key);
      return;
    }
    const record = decodeRecord(key, value);
    if (record === undefined) {
      counts.unreadable += 1;
      this.#complain('unreadable', undefined, 'the bucket holds a record that is none of ours');
      return;
    }
    const taken = ledger.add(record);
    if (taken === 'news') this.#news += 1;
    if (taken === 'full') {
      counts.notTaken += 1;
      this.#complain(
        'full',
        undefined,
        'the bucket holds more revocations than are remembered: some are not refused',
      );
    }
    if (this.isOpen) this.#tell();
    else this.#stored.set(key, record);
  }

  #tell(): void {
    const count = this.#news;
    if (count === 0) return;
    this.#news = 0;
    this.#options.counts.learned += count;
    this.#options.learned(count);
  }

  /**
   * Sees to it that the bucket has what the ledger has under `key`; gives what it has then. What is there is read first,
   * and replaced only as it was read: a narrower record never takes a wider one's place, whichever instance is quicker,
   * and of many instances with the same command one writes.
   */
  async #put({ kv }: OpenBucket, key: string): Promise<Revocation | undefined> {
    for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
      const known = this.#options.ledger.get(key);
      if (known === undefined) return undefined;
      const entry = await kv.get(key);
      const stored = entry?.operation === 'PUT' ? decodeRecord(key, entry.value) : undefined;
      if (stored !== undefined && covers(stored, known)) return stored;
      const record = stored === undefined ? known : merge(stored, known);
      try {
        await kv.put(key, encodeRecord(record), { previousSeq: entry?.revision ?? 0 });
        return record;
      } catch (error) {
        if (!isOvertaken(error)) throw error;
      }
    }
    throw new Error(`other instances were quicker ${MAX_TRIES} times`);
  }

  #say(what: keyof typeof LINES, error?: unknown): void {
    const { log, name } = this.#options;
    const text = error === undefined ? undefined : messageOf(error);
    if (this.#said === what) log.debug({ bucket: name, error: text }, LINES[what]);
    else if (what === 'kept') log.info({ bucket: name }, LINES.kept);
    else log.warn({ bucket: name, error: text }, LINES[what]);
    this.#said = what;
  }

  #complain(kind: string, error: unknown, text: string): void {
    const { name } = this.#options;
    this.#complaints.warn(
      kind,
      { bucket: name, error: error === undefined ? undefined : messageOf(error) },
      text,
    );
  }
}
