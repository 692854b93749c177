import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Claim } from '../../auth/used-tickets.ts';
import type { Clock } from '../../clock.ts';
import { Absent, isOvertaken, openBucket, REQUEST_TIMEOUT_MS } from '../../cluster/open-bucket.ts';
import { type Logger, Throttle } from '../../log.ts';

export interface TicketBucketOptions {
  /** The bucket's name: `[A-Za-z0-9_-]+`. */
  readonly name: string;
  /** How long the use of a ticket is remembered, in milliseconds: as long as any instance might take it for good. */
  readonly ttlMs: number;
  /** Names this process to who reads the bucket. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long until the bucket is tried again, in milliseconds. */
const LOST_WAIT_MS = 1_000;
/**
 * The same where there is no JetStream. Others may have found one, if it was only that its servers could not be reached: so
 * it is short, though where a permission is missing NATS logs each attempt.
 */
const ABSENT_WAIT_MS = 10_000;
/** A failure is logged at most this often. */
const COMPLAINT_INTERVAL_MS = 10_000;

const LINES = {
  shared: 'used tickets are told to every instance, in a key-value bucket of NATS',
  alone: 'no JetStream that we may use: each instance takes a ticket once, whether or not another did',
  lost: 'the bucket of used tickets cannot be used; tickets are refused until it is back',
} as const;

/**
 * Where the instances tell each other which tickets were used: a key for each in a NATS key-value bucket, which the server
 * lets only one of them make.
 *
 * Only a process that never found JetStream takes tickets by itself. Once it had the bucket, it refuses them whenever the
 * bucket cannot be asked: what another has taken meanwhile it cannot know. Nothing is done in the background; who brings a
 * ticket finds out whether the bucket is back.
 */
export class TicketBucket {
  readonly #options: TicketBucketOptions;
  readonly #throttle = new Throttle(COMPLAINT_INTERVAL_MS);
  #connection: NatsConnection | undefined;
  #isConnected = false;
  #kv: KV | undefined;
  #state: keyof typeof LINES | undefined;
  #everShared = false;
  #opening: Promise<void> | undefined;
  /** In the clock's `now()`. */
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TicketBucketOptions) {
    this.#options = options;
  }

  /** Whether a ticket that was used here is refused by every instance. */
  get isShared(): boolean {
    return this.#kv !== undefined;
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#kv = undefined;
    this.reconnected();
  }

  // Who brings a ticket meanwhile is told at once, and does not wait for an answer that cannot come.
  disconnected(): void {
    this.#isConnected = false;
  }

  reconnected(): void {
    this.#isConnected = true;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
    void this.#bucket();
  }

  /** Lets go of NATS; the connection stays as it is. */
  stop(): void {
    this.#connection = undefined;
    this.#kv = undefined;
  }

  /** Takes a ticket for used, of all instances; says whether it was not before. Never rejects. */
  async claim(key: string): Promise<Claim> {
    const kv = await this.#bucket();
    if (this.#state === 'alone') return 'alone';
    if (kv === undefined || !this.#isConnected) return 'unavailable';
    try {
      const value = JSON.stringify({ instance: this.#options.instance });
      await kv.put(key, value, { previousSeq: 0, timeout: REQUEST_TIMEOUT_MS });
      return 'first';
    } catch (error) {
      if (isOvertaken(error)) return 'used';
      this.#lose(kv, error);
      return 'unavailable';
    }
  }

  async #bucket(): Promise<KV | undefined> {
    const connection = this.#connection;
    if (this.#kv !== undefined || connection === undefined || !this.#isConnected) return this.#kv;
    if (this.#opening === undefined && this.#options.clock.now() >= this.#retryAtMs) {
      this.#opening = this.#open(connection).finally(() => {
        this.#opening = undefined;
      });
    }
    await this.#opening;
    return this.#kv;
  }

  async #open(connection: NatsConnection): Promise<void> {
    const { clock } = this.#options;
    try {
      const { kv, shortLived } = await openBucket(connection, this.#options);
      // It would forget tickets that are still good.
      if (shortLived !== undefined) throw shortLived;
      if (connection !== this.#connection) return;
      this.#kv = kv;
      this.#everShared = true;
      this.#say('shared');
    } catch (error) {
      if (connection !== this.#connection) return;
      const isAlone = error instanceof Absent && !this.#everShared;
      this.#retryAtMs = clock.now() + (isAlone ? ABSENT_WAIT_MS : LOST_WAIT_MS);
      this.#say(isAlone ? 'alone' : 'lost', error);
    }
  }

  #lose(kv: KV, error: unknown): void {
    if (kv !== this.#kv) return;
    this.#kv = undefined;
    this.#retryAtMs = this.#options.clock.now() + LOST_WAIT_MS;
    this.#say('lost', error);
  }

  #say(state: keyof typeof LINES, error?: unknown): void {
    const { log, clock, name } = this.#options;
    const heldBack = this.#state === state ? undefined : this.#throttle.pass(state, clock.now());
    this.#state = state;
    const text = error === undefined ? undefined : String(error);
    const fields = { bucket: name, error: text, heldBack };
    if (heldBack === undefined) log.debug(fields, LINES[state]);
    else if (state === 'shared') log.info(fields, LINES.shared);
    else log.warn(fields, LINES[state]);
  }
}
