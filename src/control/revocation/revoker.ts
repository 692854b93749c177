import type { NatsConnection } from '@nats-io/transport-node';
import type { Identity } from '../../auth/identity.ts';
import { MAX_REVOCATIONS, type Revocation, type Revocations } from '../../auth/revocations.ts';
import type { Clock } from '../../clock.ts';
import { Complaints, type Logger } from '../../log.ts';
import { ControlError } from '../operation.ts';
import { RevocationBucket } from './bucket.ts';
import { RevocationCounts } from './counts.ts';
import { Ledger } from './ledger.ts';
import { keyOf } from './record.ts';

/** What is seen of an open stream. */
export interface RevocableStream {
  readonly identity: Identity | undefined;
}

export interface RevocableStreams {
  /** Ends what matches, telling the reason; says how many. */
  end(reason: 'revoked', matches: (stream: RevocableStream) => boolean): number;
}

export interface RevokerOptions {
  /** Names this process: different for each instance. */
  readonly instance: string;
  /** How long a revocation is remembered that does not say so, in milliseconds; longer than any token is good for. */
  readonly revocationTtlMs: number;
  /** Whether `loaded` waits for JetStream where there is none that we may use. */
  readonly requireJetStream: boolean;
  /** How often the bucket is looked at for what it lost without a word, in milliseconds. Default: 10 s. */
  readonly bucketLookMs?: number;
  /** Name of the key-value bucket that keeps revocations: `[A-Za-z0-9_-]+`. */
  readonly bucket: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is refused; fed from here. */
  readonly revocations: Revocations;
  readonly streams: RevocableStreams;
}

/** What came of a revocation here. */
export interface Revoked {
  /** Streams that were ended. */
  readonly closed: number;
  /** When it ends, which an earlier one may have set later; RFC 3339. */
  readonly until: string;
  /** Whether the bucket has it, and keeps it until then. */
  readonly persisted: boolean;
}

/** That tokens outlast revocations is logged at most this often: it is the config that is to be mended, once. */
const OUTLASTING_INTERVAL_MS = 3_600_000;
const BUCKET_LOOK_MS = 10_000;

/**
 * Revokes tokens on this instance, and keeps what was revoked in a bucket.
 *
 * A revocation is first refused in memory, then ends streams, then is stored: whoever reconnects at once finds the
 * token refused, and a bucket that does not answer delays nothing.
 */
export class Revoker {
  readonly counts = new RevocationCounts();
  readonly #options: RevokerOptions;
  readonly #ledger: Ledger;
  readonly #bucket: RevocationBucket;
  readonly #outlasting: Complaints;

  constructor(options: RevokerOptions) {
    const { clock, log, revocations } = options;
    revocations.onPassed = (expiresAtMs) => this.#passed(expiresAtMs);
    this.#options = options;
    this.#outlasting = new Complaints(log, clock, OUTLASTING_INTERVAL_MS);
    this.#ledger = new Ledger(revocations, clock);
    this.#bucket = new RevocationBucket({
      name: options.bucket,
      ttlMs: options.revocationTtlMs,
      requireJetStream: options.requireJetStream,
      lookMs: options.bucketLookMs ?? BUCKET_LOOK_MS,
      clock,
      log,
      counts: this.counts,
      ledger: this.#ledger,
      learned: (count) => this.#learned(count),
    });
  }

  /** Whether revocations are kept where a restart does not lose them. */
  get persistent(): boolean {
    return this.#bucket.isOpen;
  }

  /** Resolves when the revocations of before are known, or cannot be because there is no JetStream. Never rejects. */
  get loaded(): Promise<void> {
    return this.#bucket.loaded;
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

  /** Lets go of NATS; the connection stays as it is. */
  stop(): void {
    this.#bucket.stop();
  }

  /**
   * Acts before it waits for anything: for the bucket, a few seconds at most.
   * @throws ControlError CONTROL_FULL
   */
  async revoke(revocation: Revocation): Promise<Revoked> {
    const { target } = revocation;
    if (this.#ledger.add(revocation) === 'full')
      throw new ControlError('CONTROL_FULL', `${MAX_REVOCATIONS} are remembered at most`);
    const closed = this.#endRevoked(({ subject, tokenId }) => {
      if ('tokenId' in target) return tokenId === target.tokenId;
      return !('user' in target) || subject === target.user;
    });
    const key = keyOf(target);
    // An earlier one may last longer.
    const untilMs = this.#ledger.get(key)?.untilMs ?? revocation.untilMs;
    const persisted = await this.#bucket.save(key);
    if (persisted) this.counts.persisted += 1;
    else this.counts.unpersisted += 1;
    return { closed, until: new Date(untilMs).toISOString(), persisted };
  }

  /** Ends the streams of those who are refused now. `picked` rules most of them out by one comparison. */
  #endRevoked(picked: (identity: Identity) => boolean = () => true): number {
    const { streams, revocations } = this.#options;
    return streams.end(
      'revoked',
      ({ identity }) => identity !== undefined && picked(identity) && revocations.isRevoked(identity),
    );
  }

  #learned(count: number): void {
    try {
      this.#options.log.info(
        { revocations: count, closed: this.#endRevoked() },
        'revocations learned from NATS',
      );
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'streams of revoked tokens could not be ended');
    }
  }

  /** A token was let pass that a revocation of now, which says no `expires`, would not refuse for as long as it is good. */
  #passed(expiresAtMs: number): void {
    const { clock, revocationTtlMs } = this.#options;
    const goodForMs = expiresAtMs - clock.wall();
    if (goodForMs <= revocationTtlMs) return;
    const text =
      'a token is good for longer than a revocation lasts: raise control.revocationTtl, or revoke with expires';
    this.#outlasting.warn('token', { goodForMs, revocationTtlMs }, text);
  }
}
