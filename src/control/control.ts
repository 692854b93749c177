import type { NatsConnection } from '@nats-io/transport-node';
import type { Identity } from '../auth/identity.ts';
import type { Revocation, Revocations, RevocationTarget } from '../auth/revocations.ts';
import type { Clock } from '../clock.ts';
import { type Logger, Throttle } from '../log.ts';
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
import { type Answer, Listener } from './listener.ts';
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
  /** Longest that a revocation is remembered, in milliseconds; longer than any token is good for. */
  readonly revocationTtlMs: number;
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
  | { readonly ok: true; readonly closed: number; readonly persisted?: boolean }
  | { readonly ok: false; readonly error: { readonly code: ControlCode; readonly message: string } };

/** A kind of refused command is logged at most this often. */
const COMPLAINT_INTERVAL_MS = 10_000;

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
  readonly #throttle = new Throttle(COMPLAINT_INTERVAL_MS);

  constructor(options: ControlOptions) {
    const { prefix, clock, log, revocations, revocationTtlMs } = options;
    this.#options = options;
    this.#ledger = new Ledger(revocations, clock);
    this.#bucket = new RevocationBucket({
      name: options.bucket,
      ttlMs: revocationTtlMs,
      clock,
      log,
      counts: this.counts,
      ledger: this.#ledger,
      learned: (count) => this.#learned(count),
    });
    this.#listeners = OPERATIONS.map((operation) => {
      const message = (payload: Uint8Array, answer: Answer) => this.#receive(operation, payload, answer);
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
    this.#ledger.add(revocation);
    const closed = this.#endRevoked(({ subject, tokenId }) => {
      if ('tokenId' in target) return tokenId === target.tokenId;
      return !('user' in target) || subject === target.user;
    });
    this.counts.accepted.revoke += 1;
    this.#audit('revoke', { ...describeTarget(target), until: toDateTime(revocation.untilMs) }, closed);
    const persisted = await this.#bucket.save(keyOf(target));
    if (persisted) this.counts.persisted += 1;
    else this.counts.unpersisted += 1;
    return { ok: true, closed, persisted };
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

  #audit(operation: Operation, target: Readonly<Record<string, string>>, closed: number): void {
    this.#options.log.info({ operation, ...target, closed }, 'control');
  }

  #refuse(operation: Operation, { code, message }: Refused): Result {
    const { log, clock } = this.#options;
    this.counts.refused[code] += 1;
    const heldBack = this.#throttle.pass(`${operation} ${code}`, clock.now());
    if (heldBack !== undefined)
      log.warn({ operation, code, detail: message, heldBack }, 'a command was refused');
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
