import type { Clock } from '../../clock.ts';
import type { Logger } from '../../log.ts';
import type { Router } from '../../routing/router.ts';
import { ControlError } from '../operation.ts';
import type { ChannelBook, Entry } from './channel-book.ts';
import type { Decide } from './channel-keeper.ts';
import { type ChannelRecord, standingOf } from './channel-record.ts';

export interface ChannelExpiryOptions {
  readonly book: ChannelBook;
  readonly keeper: {
    change(channel: string, decide: Decide): Promise<{ readonly isWritten: boolean }>;
    remove(entry: Entry): Promise<void>;
    forget(channel: string): void;
  };
  readonly router: Router;
  readonly clock: Clock;
  readonly log: Logger;
  /** How many streams this instance has on a channel. */
  subscribers(channel: string): number;
  readonly peers: {
    /** Another array whenever an instance comes or goes. */
    readonly all: readonly unknown[];
    isResponsible(key: string): boolean;
  };
  /** Hears what is published on a subject until what it gives is called. */
  listen(subject: string, heard: () => void): () => void;
}

/** What this instance knows of a channel's being in use. Times in the clock's `now()`. */
interface Watched {
  activeMs: number;
  isHeard: boolean;
  isWriting: boolean;
  /** It could not be written down: not to be tried again before. */
  restMs: number;
  /** Whether this instance judges it, among `peers`. */
  isMine: boolean;
  peers: readonly unknown[] | undefined;
  /** Ends listening. */
  deafen: (() => void) | undefined;
}

/** Channels that are looked at in one go: a fraction of a millisecond's work each hundred. */
const STEP = 2000;
/** That a channel is in use is written down after this part of its time-out, or after this long where that is longer. */
const RENEWALS = 3;
const MAX_RENEWAL_MS = 60_000;
/** Longest until what could not be written is tried again, in milliseconds: thousands of channels are looked at four times a second. */
const MAX_REST_MS = 5_000;
/** An instance that has just read the bucket waits for who uses a channel to write it down, rather than trust two clocks. */
const GRACE_MS = 30_000;

/**
 * Lets channels expire that nobody is on and nothing was published to for as long as their time-out. Each instance writes down, now and
 * then, that a channel is in use there; one of them, by its name, judges. A channel that is in use by nobody has that one listen on its
 * subject as well. So it expires at its time-out, or later by up to a third of it (at most a minute).
 */
export class ChannelExpiry {
  /** Channels that expired by this instance's judgement. */
  expired = 0;
  readonly #options: ChannelExpiryOptions;
  readonly #watched = new Map<string, Watched>();
  #rest: Iterator<string> | undefined;

  constructor(options: ChannelExpiryOptions) {
    this.#options = options;
  }

  /** Subjects that are listened on. */
  get ears(): number {
    return [...this.#watched.values()].filter(({ deafen }) => deafen !== undefined).length;
  }

  /** Something was published to it by this instance. */
  touch(channel: string): void {
    const watched = this.#watched.get(channel);
    if (watched !== undefined) watched.isHeard = true;
  }

  /** When a channel expires if nothing more happens, in milliseconds from now; absent while somebody here is on it. */
  expiresInMs({ record, ...entry }: Entry): number | undefined {
    const { timeoutMs, channel } = record;
    if (timeoutMs === undefined || this.#options.subscribers(channel) > 0) return undefined;
    const inUseMs = Math.max(this.#lastMs({ record, ...entry }), this.#watched.get(channel)?.activeMs ?? 0);
    return Math.max(0, inUseMs + renewalMs(timeoutMs) + timeoutMs - this.#options.clock.now());
  }

  /** To be called some times a second; goes on where it left off. */
  step(): void {
    const { book } = this.#options;
    this.#rest ??= book.timed.values();
    for (let looked = 0; looked < STEP; looked += 1) {
      const { value: channel, done } = this.#rest.next();
      if (done === true) {
        this.#rest = undefined;
        this.#forget();
        return;
      }
      const entry = book.get(channel);
      if (entry !== undefined) this.#look(channel, entry);
    }
  }

  /** Lets go of what is long over; to be called about once a minute. */
  sweep(): void {
    const { book, keeper, peers } = this.#options;
    for (const entry of book.sweep()) {
      const { channel } = entry.record;
      keeper.forget(channel);
      if (peers.isResponsible(channel)) void keeper.remove(entry);
    }
  }

  stop(): void {
    for (const { deafen } of this.#watched.values()) deafen?.();
    this.#watched.clear();
  }

  #look(channel: string, entry: Entry): void {
    const { clock, subscribers } = this.#options;
    const { timeoutMs = Infinity } = entry.record;
    if (!isRunning(entry.record, clock.wall())) return;
    const nowMs = clock.now();
    const watched = this.#watch(channel);
    const hasReaders = subscribers(channel) > 0;
    if (hasReaders || watched.isHeard) watched.activeMs = nowMs;
    watched.isHeard = false;
    const lastMs = this.#lastMs(entry);
    const every = renewalMs(timeoutMs);
    const isInUse = watched.activeMs === nowMs;
    this.#listen(channel, watched, { isNeeded: watched.isMine && !hasReaders && !isInUse, every, nowMs });
    if (isInUse && nowMs - lastMs >= every) this.#renew(channel, watched);
    const idleMs = nowMs - Math.max(watched.activeMs, lastMs) - every;
    const isKnown = !entry.isOld || nowMs - entry.learnedMs >= Math.min(timeoutMs, GRACE_MS);
    if (watched.isMine && isKnown && idleMs >= timeoutMs) this.#expire(channel, watched, entry.record);
  }

  /** When it was last written down that it is in use, or made. Clocks of others count only for what was written before we listened. */
  #lastMs({ record, learnedMs, isOld }: Entry): number {
    if (!isOld) return learnedMs;
    const { clock } = this.#options;
    const agoMs = Math.max(0, clock.wall() - (record.activeMs ?? record.createdMs ?? 0));
    return Math.min(learnedMs, clock.now() - agoMs);
  }

  #watch(channel: string): Watched {
    const { peers } = this.#options;
    let watched = this.#watched.get(channel);
    if (watched === undefined) {
      watched = {
        activeMs: Number.NEGATIVE_INFINITY,
        isHeard: false,
        isWriting: false,
        restMs: Number.NEGATIVE_INFINITY,
        isMine: false,
        peers: undefined,
        deafen: undefined,
      };
      this.#watched.set(channel, watched);
    }
    // To find out costs a hash for each instance.
    if (watched.peers !== peers.all) {
      watched.peers = peers.all;
      watched.isMine = peers.isResponsible(channel);
    }
    return watched;
  }

  #listen(
    channel: string,
    watched: Watched,
    {
      isNeeded,
      every,
      nowMs,
    }: { readonly isNeeded: boolean; readonly every: number; readonly nowMs: number },
  ): void {
    if (!isNeeded) {
      watched.deafen?.();
      watched.deafen = undefined;
      return;
    }
    // One message is enough to know for a while: a busy channel without readers must not cost what it carries.
    if (watched.deafen !== undefined || nowMs - watched.activeMs < every / 2) return;
    const subject = this.#options.router.resolve(channel)?.subject;
    if (subject === undefined) return;
    watched.deafen = this.#options.listen(subject, () => {
      watched.isHeard = true;
    });
  }

  #renew(channel: string, watched: Watched): void {
    const { clock } = this.#options;
    this.#write(channel, watched, (known) =>
      known !== undefined && isRunning(known, clock.wall())
        ? { ...known, activeMs: clock.wall() }
        : skip(known),
    );
  }

  #expire(channel: string, watched: Watched, { activeMs, createdMs, timeoutMs }: ChannelRecord): void {
    const { clock, log } = this.#options;
    const expire = (known: ChannelRecord | undefined): ChannelRecord => {
      if (known === undefined || !isRunning(known, clock.wall())) return skip(known);
      // Somebody wrote down meanwhile that it is in use, or made it anew.
      if (known.activeMs !== activeMs || known.createdMs !== createdMs) return known;
      return { ...known, end: { as: 'expired', atMs: clock.wall() } };
    };
    this.#write(channel, watched, expire, () => {
      this.expired += 1;
      log.info({ channel, timeoutMs }, 'a channel expired');
    });
  }

  #write(channel: string, watched: Watched, decide: Decide, written: () => void = () => undefined): void {
    const { book, clock } = this.#options;
    if (watched.isWriting || clock.now() < watched.restMs) return;
    watched.isWriting = true;
    this.#options.keeper
      .change(channel, decide)
      .then(({ isWritten }) => {
        if (isWritten) written();
      })
      .catch((error: unknown) => {
        // ControlError: JetStream is away or full, or the record is gone. It is looked at again.
        const { timeoutMs = 0 } = book.get(channel)?.record ?? {};
        watched.restMs = clock.now() + Math.min(renewalMs(timeoutMs), MAX_REST_MS);
        this.#options.log.debug(
          { channel, error: String(error) },
          'a channel’s being in use could not be written',
        );
      })
      .finally(() => {
        watched.isWriting = false;
      });
  }

  #forget(): void {
    const { book } = this.#options;
    for (const [channel, { deafen }] of this.#watched) {
      if (book.timed.has(channel)) continue;
      deafen?.();
      this.#watched.delete(channel);
    }
  }
}

function renewalMs(timeoutMs: number): number {
  return Math.min(timeoutMs / RENEWALS, MAX_RENEWAL_MS);
}

function isRunning(record: ChannelRecord, nowMs: number): boolean {
  return standingOf(record, nowMs) === 'open';
}

function skip(known: ChannelRecord | undefined): ChannelRecord {
  if (known === undefined) throw new ControlError('CHANNEL_NOT_FOUND', 'it is not in the bucket any more');
  return known;
}
