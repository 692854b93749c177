import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../clock.ts';
import { Absent, isOvertaken, openBucket, REQUEST_TIMEOUT_MS } from '../cluster/open-bucket.ts';
import { messageOf } from '../errors.ts';
import { Complaints, type Logger } from '../log.ts';
import type { InboxMetrics } from './metrics.ts';
import { InboxRefusal } from './refusal.ts';
import { covers, decodeState, encodeState, keyOf, type ReadState } from './state.ts';

export interface ReadStoreOptions {
  /** The bucket's name: `[A-Za-z0-9_-]+`. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: InboxMetrics;
}

/** What is to be stored instead of what is; `undefined`: nothing. */
type Change = (stored: ReadState | undefined) => ReadState | undefined;

/** What is stored now, and whether the change had anything new. */
interface Changed {
  readonly state: ReadState | undefined;
  readonly isNew: boolean;
}

interface Asked {
  readonly change: Change;
  resolve(changed: Changed): void;
  reject(error: unknown): void;
}

/** Times that a state is read and written again because another was quicker. */
const MAX_TRIES = 20;
/** How long until a bucket that could not be opened is tried again, in milliseconds; and where there is no JetStream for us, as NATS may log each attempt. */
const WAIT_MS = { lost: 1_000, absent: 10_000 };

/**
 * What users have read, in a key-value bucket: a key for each channel, which is replaced only as it was read. Nothing is done in the
 * background; who needs it finds out whether the bucket is there, and makes it anew where it was deleted.
 */
export class ReadStore {
  readonly #options: ReadStoreOptions;
  readonly #complaints: Complaints;
  #connection: NatsConnection | undefined;
  #isConnected = false;
  #kv: KV | undefined;
  #opening: Promise<KV> | undefined;
  /** By channel, where one is being written: who waits for the next writing. */
  readonly #waiting = new Map<string, Asked[]>();
  /** In the clock's `now()`. */
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReadStoreOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.reconnected();
  }

  reconnected(): void {
    this.#isConnected = true;
    this.#lose();
  }

  // Whoever asks meanwhile is told at once, and does not wait for an answer that cannot come.
  disconnected(): void {
    this.#isConnected = false;
    this.#lose();
  }

  stop(): void {
    this.#connection = undefined;
    this.#lose();
  }

  /** What was read of a channel. @throws InboxRefusal INBOX_UNAVAILABLE */
  async get(channel: string): Promise<Stored> {
    return this.#ask((kv) => load(kv, channel));
  }

  /**
   * Stores what `change` makes of what is stored, if anything; gives what is stored then. It may be called several times.
   * @throws InboxRefusal INBOX_UNAVAILABLE, and what `change` throws
   */
  change(channel: string, change: Change): Promise<Changed> {
    return new Promise((resolve, reject) => {
      const asked = { change, resolve, reject };
      const waiting = this.#waiting.get(channel);
      if (waiting === undefined) void this.#write(channel, [asked]);
      else waiting.push(asked);
    });
  }

  /**
   * What is asked for while a channel's state is being written goes into the next writing together: were each to write for itself, they would
   * overtake each other, and of a hundred at once some would never have their turn. Never rejects.
   */
  async #write(channel: string, first: readonly Asked[]): Promise<void> {
    for (let asked = first; asked.length > 0; asked = this.#waiting.get(channel) ?? []) {
      this.#waiting.set(channel, []);
      try {
        const settle = await this.#ask((kv) => this.#writeTogether(kv, channel, asked));
        settle();
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    }
    this.#waiting.delete(channel);
  }

  /** Gives what tells those who asked. */
  async #writeTogether(kv: KV, channel: string, asked: readonly Asked[]): Promise<() => void> {
    for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
      const { state: stored, revision } = await load(kv, channel);
      const { state, settle } = changed(stored, asked);
      if (state === undefined || state === stored) return settle;
      try {
        const value = encodeState(channel, state);
        await kv.put(keyOf(channel), value, { previousSeq: revision, timeout: REQUEST_TIMEOUT_MS });
        return settle;
      } catch (error) {
        if (!isOvertaken(error)) throw error;
        this.#options.metrics.conflicts += 1;
      }
    }
    throw new Error(`others were quicker ${MAX_TRIES} times`);
  }

  /** A bucket that was deleted is made anew, and asked once more. */
  async #ask<T>(question: (kv: KV) => Promise<T>): Promise<T> {
    try {
      if (!this.#isConnected) throw new Error('there is no connection to NATS');
      const kv = await this.#open();
      try {
        return await question(kv);
      } catch (error) {
        if (!isGone(error)) throw error;
        if (this.#kv === kv) this.#lose();
        return await question(await this.#open());
      }
    } catch (error) {
      if (error instanceof InboxRefusal) throw error;
      this.#options.metrics.failures += 1;
      this.#complain(error);
      throw new InboxRefusal('INBOX_UNAVAILABLE', 'what was read is not known now; try again in a moment', {
        cause: error,
      });
    }
  }

  async #open(): Promise<KV> {
    const { clock } = this.#options;
    if (this.#kv !== undefined) return this.#kv;
    if (this.#opening === undefined) {
      if (this.#connection === undefined) throw new Error('there is no connection to NATS');
      if (clock.now() < this.#retryAtMs) throw new Error('the bucket could not be opened a moment ago');
      const opening = this.#make(this.#connection).finally(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
      this.#opening = opening;
    }
    return this.#opening;
  }

  async #make(connection: NatsConnection): Promise<KV> {
    const { name, clock, log } = this.#options;
    try {
      // No end: who was away for years has still read what was read.
      const { kv, shortLived } = await openBucket(connection, { name, ttlMs: 0 });
      if (shortLived !== undefined)
        log.warn(
          { bucket: name, error: shortLived.message },
          'the bucket of inboxes may forget what was read',
        );
      if (connection === this.#connection) this.#kv = kv;
      return kv;
    } catch (error) {
      const waitMs = error instanceof Absent ? WAIT_MS.absent : WAIT_MS.lost;
      if (connection === this.#connection) this.#retryAtMs = clock.now() + waitMs;
      throw error;
    }
  }

  #lose(): void {
    this.#kv = undefined;
    this.#opening = undefined;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
  }

  #complain(error: unknown): void {
    const fields = { bucket: this.#options.name, error: messageOf(error) };
    this.#complaints.warn('store', fields, 'the bucket of inboxes cannot be used');
  }
}

/** What is stored of a channel. */
export interface Stored {
  readonly state: ReadState | undefined;
  /** When it was written, in milliseconds since the Unix epoch by the clock of NATS. Absent: never. */
  readonly writtenMs: number | undefined;
  /** 0 where the key was never written. */
  readonly revision: number;
}

/** What several changes make of what is stored, one after the other; who throws changes nothing, and is told alone. */
function changed(
  stored: ReadState | undefined,
  asked: readonly Asked[],
): { readonly state: ReadState | undefined; readonly settle: () => void } {
  let state = stored;
  const settlements = asked.map(({ change, resolve, reject }) => {
    try {
      const next = change(state);
      // Less than is stored is new as well: what is void.
      const isNew =
        next !== undefined && (state === undefined || !covers(state, next) || !covers(next, state));
      if (isNew) state = next;
      return () => resolve({ state, isNew });
    } catch (error) {
      return () => reject(error);
    }
  });
  return {
    state,
    settle() {
      for (const settlement of settlements) settlement();
    },
  };
}

/** What is none of ours is taken for nothing, and written over. */
async function load(kv: KV, channel: string): Promise<Stored> {
  const entry = await kv.get(keyOf(channel));
  const state = entry?.operation === 'PUT' ? decodeState(channel, entry.value) : undefined;
  return { state, writtenMs: entry?.created.getTime(), revision: entry?.revision ?? 0 };
}

function isGone(error: unknown): boolean {
  return error instanceof JetStreamApiError
    ? error.code === JetStreamApiCodes.StreamNotFound
    : // Nobody listens on the subject that writes go to.
      error instanceof Error && /no ?responders/i.test(`${error.name} ${error.message}`);
}
