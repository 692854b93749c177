import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Clock, jitter } from '../clock.ts';
import { Absent, type BucketConfig, type OpenBucket } from './open-bucket.ts';
import { type Watch, watchBucket } from './watch.ts';

/** A key's value, or that it has none any more. */
export interface Change {
  readonly key: string;
  /** The NATS client's: not to be kept. Absent where the key was deleted or purged. */
  readonly value: Uint8Array | undefined;
  readonly revision: number;
  /** When it was written, by the server's clock, in milliseconds since the Unix epoch. */
  readonly writtenMs: number;
}

/** What may have happened since the bucket was last open. */
export interface Since {
  /** It is not the bucket that was read before, which is gone with all it held. */
  readonly isAnother: boolean;
  /** For how long it was not, in milliseconds; what was written meanwhile was not heard. 0 the first time. */
  readonly awayMs: number;
}

/** What becomes of a bucket is told to its follower. But for `complete`, none may throw. */
export interface BucketFollower {
  /** It is being read from the beginning. */
  begin?(): void;
  /** The last value of each key, then every change. */
  take(change: Change): void;
  /**
   * All that there was has been taken. The bucket is open when this resolves; where it rejects, it is read anew. Once
   * `signal` is aborted nobody waits for it any more.
   */
  complete(bucket: OpenBucket, since: Since, signal: AbortSignal): Promise<void>;
  /** It cannot be opened or read; it will be tried again. `isAbsent`: there is no JetStream for us. */
  failed(error: unknown, isAbsent: boolean): void;
}

export interface FollowedBucketOptions extends BucketConfig {
  /** How long until it is looked again for a JetStream that is not there, in milliseconds. Where a permission is missing NATS logs each attempt. */
  readonly absentWaitMs: number;
  readonly clock: Clock;
  readonly follower: BucketFollower;
}

/** Between two values as the bucket is read for the first time; when none comes for that long, it is read anew. */
const READ_TIMEOUT_MS = 10_000;
/** Waits before the bucket is opened again, in milliseconds; the last one repeats. */
const WAITS_MS = [100, 250, 500, 1000, 2000, 5000, 10_000];

/** A key-value bucket that is read and watched across connections and troubles: after each it is read anew from the beginning. */
export class FollowedBucket {
  readonly #options: FollowedBucketOptions;
  #connection: NatsConnection | undefined;
  #session = new AbortController();
  #watch: Watch | undefined;
  #isOpen = false;
  /** When the stream was created that was read last. */
  #created: string | undefined;
  /** Since when it is not open, or nothing can be heard of it, in the clock's `now()`. */
  #awaySinceMs: number | undefined;
  /** Attempts since it was last open. */
  #failures = 0;

  constructor(options: FollowedBucketOptions) {
    this.#options = options;
  }

  /** The bucket, where all of it is known and what is written is heard. */
  get bucket(): OpenBucket | undefined {
    return this.#isOpen ? this.#watch?.bucket : undefined;
  }

  connected(connection: NatsConnection): void {
    this.#end();
    this.#connection = connection;
    this.#session = new AbortController();
    this.#failures = 0;
    void this.#run(connection, this.#session.signal);
  }

  disconnected(): void {
    this.#away();
  }

  reconnected(): void {
    if (this.#connection !== undefined) this.connected(this.#connection);
  }

  /** Somebody could not write: it is read anew. */
  suspect(): void {
    this.#watch?.messages.stop();
  }

  stop(): void {
    this.#end();
    this.#connection = undefined;
  }

  #away(): void {
    if (this.#isOpen) this.#awaySinceMs ??= this.#options.clock.now();
  }

  #end(): void {
    this.#session.abort();
    this.#away();
    this.#isOpen = false;
    this.#watch?.messages.stop();
    this.#watch = undefined;
  }

  async #run(connection: NatsConnection, signal: AbortSignal): Promise<void> {
    const { clock, follower, absentWaitMs } = this.#options;
    while (!signal.aborted && !connection.isClosed()) {
      const error = await this.#follow(connection, signal);
      if (signal.aborted || connection.isClosed()) return;
      this.#away();
      this.#isOpen = false;
      const isAbsent = error instanceof Absent;
      follower.failed(error, isAbsent);
      const waits = [...WAITS_MS, ...(isAbsent ? [absentWaitMs] : [])];
      const waitMs = waits[Math.min(this.#failures, waits.length - 1)] ?? 0;
      this.#failures += 1;
      await pause(jitter(clock, waitMs / 2, waitMs), signal);
    }
  }

  /** Opens the bucket and reads it until it is lost; gives why. */
  async #follow(connection: NatsConnection, signal: AbortSignal): Promise<unknown> {
    try {
      const watch = await watchBucket(connection, this.#options);
      try {
        const { created } = await watch.bucket.jsm.streams.info(watch.bucket.stream);
        if (!signal.aborted) await this.#read(watch, created, signal);
      } finally {
        watch.messages.stop();
      }
      return new Error('it was deleted, or does not answer');
    } catch (error) {
      return error;
    }
  }

  async #read(watch: Watch, created: string, signal: AbortSignal): Promise<void> {
    const { follower } = this.#options;
    const { messages, keyPrefix, waiting } = watch;
    this.#watch = watch;
    follower.begin?.();
    // Values that go while they are being read never come.
    const late = setTimeout(() => messages.stop(), READ_TIMEOUT_MS);
    let isRead = false;
    const complete = async () => {
      clearTimeout(late);
      isRead = true;
      await this.#complete(watch.bucket, created, signal);
    };
    try {
      if (waiting === 0) await complete();
      for await (const { subject, data, seq, info, time } of messages) {
        if (signal.aborted) return;
        const value = data.length === 0 ? undefined : data;
        const key = subject.slice(keyPrefix.length);
        follower.take({ key, value, revision: seq, writtenMs: time.getTime() });
        if (isRead) continue;
        if (info.pending === 0) await complete();
        else late.refresh();
      }
    } finally {
      clearTimeout(late);
    }
  }

  async #complete(bucket: OpenBucket, created: string, signal: AbortSignal): Promise<void> {
    const { clock, follower } = this.#options;
    const isAnother = this.#created !== undefined && this.#created !== created;
    const awayMs = this.#awaySinceMs === undefined ? 0 : clock.now() - this.#awaySinceMs;
    await follower.complete(bucket, { isAnother, awayMs }, signal);
    if (signal.aborted) return;
    this.#awaySinceMs = undefined;
    this.#created = created;
    this.#isOpen = true;
    this.#failures = 0;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    // AbortError: there is a newer session, or none any more.
  }
}
