import type { NatsConnection } from '@nats-io/transport-node';
import type { Identity } from '../auth/identity.ts';
import {
  MAX_REVOCATIONS,
  type Revocation,
  type Revocations,
  type RevocationTarget,
} from '../auth/revocations.ts';
import type { Clock } from '../clock.ts';
import { type Answer, type Incoming, Listener } from '../cluster/listener.ts';
import { Complaints, type Logger } from '../log.ts';
import { RevocationBucket } from './bucket.ts';
import {
  type ControlCode,
  type DisconnectTarget,
  OPERATIONS,
  type Operation,
  Refused,
  readCommand,
} from './command.ts';
import { ControlCounts } from './counts.ts';
import { Ledger } from './ledger.ts';
import { keyOf } from './record.ts';

/** What control sees of an open stream. */
export interface ControlledStream {
  /** The connection's id, as `sidestream.open` says it. */
  readonly id: string;
  readonly identity: Identity | undefined;
}

export interface ControlledStreams {
  /** Ends what matches, telling the reason; says how many. */
  end(reason: 'revoked' | 'disconnected', matches: (stream: ControlledStream) => boolean): number;
}

export interface ControlOptions {
  /** Names this process in answers: different for each instance. */
  readonly instance: string;
  /** Begins every subject of control: one or more subject tokens, such as `sidestream`. */
  readonly prefix: string;
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
  readonly streams: ControlledStreams;
}

/** What an instance answers, besides its name. */
type Result =
  | { readonly ok: true; readonly closed: number; readonly until?: string; readonly persisted?: boolean }
  | { readonly ok: false; readonly error: { readonly code: ControlCode; readonly message: string } };

/** That tokens outlast revocations is logged at most this often: it is the config that is to be mended, once. */
const OUTLASTING_INTERVAL_MS = 3_600_000;
const BUCKET_LOOK_MS = 10_000;

/**
 * Commands over NATS, `<prefix>.control.<operation>`, each heard by every instance. docs/control.md is their reference.
 *
 * A revocation is first refused in memory, then ends streams, then is stored: whoever reconnects at once finds the
 * token refused, and a bucket that does not answer delays nothing.
 */
export class Control {
  readonly counts = new ControlCounts();
  readonly #options: ControlOptions;
  readonly #ledger: Ledger;
  readonly #bucket: RevocationBucket;
  readonly #listeners: readonly Listener[];
  readonly #underWay = new Set<Promise<void>>();
  readonly #complaints: Complaints;
  readonly #outlasting: Complaints;

  constructor(options: ControlOptions) {
    const { prefix, clock, log, revocations } = options;
    revocations.onPassed = (expiresAtMs) => this.#passed(expiresAtMs);
    this.#options = options;
    this.#complaints = new Complaints(log, clock);
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
    this.#listeners = OPERATIONS.map((operation) => {
      const message = (payload: Uint8Array, { answer }: Incoming) =>
        this.#receive(operation, payload, answer);
      return new Listener({ subject: `${prefix}.control.${operation}`, log, message });
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
    for (const listener of this.#listeners) listener.connected(connection);
    this.#bucket.connected(connection);
  }

  reconnected(): void {
    for (const listener of this.#listeners) listener.reconnected();
    this.#bucket.reconnected();
  }

  /** Takes no more commands, finishes those under way and lets go of NATS; the connection stays as it is. */
  async stop(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    await Promise.all(this.#underWay);
    this.#bucket.stop();
  }

  #receive(operation: Operation, payload: Uint8Array, answer: Answer): void {
    const handled = this.#handle(operation, payload).then((result) => {
      answer(JSON.stringify({ instance: this.#options.instance, ...result }));
      this.#underWay.delete(handled);
    });
    this.#underWay.add(handled);
  }

  /** Never rejects. Acts before it waits for anything. */
  async #handle(operation: Operation, payload: Uint8Array): Promise<Result> {
    const { clock, revocationTtlMs, log } = this.#options;
    try {
      const command = readCommand(operation, payload, { nowMs: clock.wall(), revocationTtlMs });
      if (command instanceof Refused) return this.#refuse(operation, command);
      return await (command.operation === 'revoke'
        ? this.#revoke(command.revocation)
        : this.#disconnect(command.target));
    } catch (error) {
      log.error({ operation, error: String(error) }, 'a command failed');
      return this.#refuse(operation, new Refused('CONTROL_FAILED', 'see the log of this instance'));
    }
  }

  async #revoke(revocation: Revocation): Promise<Result> {
    const { target } = revocation;
    if (this.#ledger.add(revocation) === 'full')
      return this.#refuse('revoke', new Refused('CONTROL_FULL', `${MAX_REVOCATIONS} are remembered at most`));
    const closed = this.#endRevoked(({ subject, tokenId }) => {
      if ('tokenId' in target) return tokenId === target.tokenId;
      return !('user' in target) || subject === target.user;
    });
    this.counts.accepted.revoke += 1;
    const key = keyOf(target);
    // An earlier one may last longer.
    const until = toDateTime(this.#ledger.get(key)?.untilMs ?? revocation.untilMs);
    this.#audit('revoke', { ...describeTarget(target), until }, closed);
    const persisted = await this.#bucket.save(key);
    if (persisted) this.counts.persisted += 1;
    else this.counts.unpersisted += 1;
    return { ok: true, closed, until, persisted };
  }

  async #disconnect(target: DisconnectTarget): Promise<Result> {
    const closed = this.#options.streams.end('disconnected', ({ id, identity }) =>
      'user' in target ? identity?.subject === target.user : id === target.connection,
    );
    this.counts.accepted.disconnect += 1;
    this.#audit('disconnect', target, closed);
    return { ok: true, closed };
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

  #audit(operation: Operation, target: Readonly<Record<string, string>>, closed: number): void {
    this.#options.log.info({ operation, ...target, closed }, 'control');
  }

  #refuse(operation: Operation, { code, message }: Refused): Result {
    this.counts.refused[code] += 1;
    this.#complaints.warn(
      `${operation} ${code}`,
      { operation, code, detail: message },
      'a command was refused',
    );
    return { ok: false, error: { code, message } };
  }
}

function describeTarget(target: RevocationTarget): Readonly<Record<string, string>> {
  if ('tokenId' in target) return { tokenId: target.tokenId };
  const issuedBefore = toDateTime(target.issuedBeforeMs);
  return 'user' in target ? { user: target.user, issuedBefore } : { issuedBefore };
}

/** RFC 3339. */
function toDateTime(ms: number): string {
  return new Date(ms).toISOString();
}
