import { type Clock, type Due, jitter, Timer, type TimerWheel } from '../clock.ts';
import { Complaints, type Logger } from '../log.ts';
import type { Bus } from './bus.ts';
import {
  decodeHeartbeat,
  decodeObject,
  encodeHeartbeat,
  isInstance,
  MAX_HEARTBEAT_BYTES,
  type Peer,
} from './peer.ts';
import { responsible } from './responsible.ts';

export type { Peer } from './peer.ts';

/** Told as instances come and go; never of this one. */
export interface Follower {
  appeared?(peer: Peer): void;
  /** `left`: it said so; `lost`: it is not heard any more. */
  vanished?(peer: Peer, how: 'left' | 'lost'): void;
}

/** A small value that goes along with each heartbeat. */
export interface Attachment {
  /** Anything that becomes JSON, a few kilobytes at most; `undefined` adds nothing. */
  tell(): unknown;
  /** What another instance told, unchecked; after `appeared` of that instance. */
  hear(instance: string, value: unknown): void;
}

export interface PeersOptions {
  readonly own: Peer;
  /** Begins the subjects: `<prefix>.peer.…`. */
  readonly prefix: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: Logger;
  /** Most that are known besides this one. Default: 1,000. */
  readonly maxPeers?: number;
}

export const BEAT_MS = 1000;
/** An instance that was not heard of for that long is gone. */
export const GONE_MS = 3500;
/** A newcomer is answered within this time, by each at a time of its own. */
const ANSWER_WITHIN_MS = 200;
/** How long an instance listens until it takes it that it knows those who are there. */
const SETTLE_MS = 500;
const MAX_PEERS = 1000;
/** A heartbeat this late, in milliseconds, was held up here: so was hearing. */
const HELD_UP_MS = 1000;

/**
 * The instances of a cluster. Each tells once a second that it is there, and before it goes. Only the time counts at which
 * something arrives: their clocks may differ.
 */
export class Peers implements Due {
  readonly own: Peer;
  readonly #options: PeersOptions;
  readonly #complaints: Complaints;
  readonly #timer = new Timer(this);
  readonly #others = new Map<string, { readonly peer: Peer; heardMs: number }>();
  readonly #followers = new Set<Follower>();
  readonly #attachments = new Map<string, Attachment>();
  #all: readonly Peer[];
  #instances: readonly string[];
  #endings: readonly (() => void)[] = [];
  /** Since when everybody could be heard; nobody is gone for what was missed before. */
  #hearingSinceMs: number | undefined;
  #nextBeatMs = 0;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.own = options.own;
    this.#complaints = new Complaints(options.log, options.clock);
    this.#all = [options.own];
    this.#instances = [options.own.instance];
  }

  /** Everybody that is there, this one included, by the order of their ids. */
  get all(): readonly Peer[] {
    return this.#all;
  }

  has(instance: string): boolean {
    return instance === this.own.instance || this.#others.has(instance);
  }

  /** How long until those who are there are known, in milliseconds; 0 where they are, or cannot be heard at all. */
  get settlesInMs(): number {
    if (this.#hearingSinceMs === undefined) return 0;
    return Math.max(0, this.#hearingSinceMs + SETTLE_MS - this.#options.clock.now());
  }

  /** Tells of everybody who comes and goes from now on. They must not throw. */
  follow(follower: Follower): void {
    this.#followers.add(follower);
  }

  /** Adds to each heartbeat. `name` is a word that no other attachment has. */
  attach(name: string, attachment: Attachment): void {
    this.#attachments.set(name, attachment);
  }

  /** Whether this instance is the one of all to do what is named by `key`. While they disagree on who is there, two may be, or none. */
  isResponsible(key: string): boolean {
    return responsible(this.#instances, key) === this.own.instance;
  }

  /** Begins to listen; the first heartbeat goes out as soon as there is a connection. */
  start(): void {
    const { bus, prefix } = this.#options;
    this.#endings = [
      bus.listen(`${prefix}.peer.here`, (payload) => this.#heard(payload)),
      bus.listen(`${prefix}.peer.gone`, (payload) => this.#left(payload)),
    ];
    if (bus.isConnected) this.connected();
  }

  /** There is a connection to NATS, for the first time or again. */
  connected(): void {
    this.#hearingSinceMs = this.#options.clock.now();
    this.#beat();
  }

  disconnected(): void {
    this.#hearingSinceMs = undefined;
  }

  reconnected(): void {
    this.connected();
  }

  /** Tells the others that this instance goes. */
  stop(): void {
    const { bus, prefix, wheel } = this.#options;
    wheel.cancel(this.#timer);
    for (const end of this.#endings) end();
    this.#endings = [];
    bus.publish(`${prefix}.peer.gone`, JSON.stringify({ instance: this.own.instance }));
  }

  onDue(nowMs: number): void {
    // Timers fire before the sockets are read: after a pause of this process everybody would seem gone.
    if (nowMs - this.#nextBeatMs > HELD_UP_MS && this.#hearingSinceMs !== undefined)
      this.#hearingSinceMs = nowMs;
    this.#sweep(nowMs);
    this.#beat();
  }

  #beat(): void {
    const { bus, prefix, clock } = this.#options;
    this.#schedule(jitter(clock, BEAT_MS * 0.9, BEAT_MS));
    if (bus.isConnected) bus.publish(`${prefix}.peer.here`, this.#heartbeat());
  }

  #schedule(delayMs: number): void {
    this.#nextBeatMs = this.#options.clock.now() + delayMs;
    this.#options.wheel.schedule(this.#timer, delayMs);
  }

  #heartbeat(): string {
    const attached: Record<string, unknown> = {};
    for (const [name, attachment] of this.#attachments) {
      const value = this.#guarded(name, () => attachment.tell());
      if (value !== undefined) attached[name] = value;
    }
    const text = encodeHeartbeat({ peer: this.own, attached });
    if (Buffer.byteLength(text) <= MAX_HEARTBEAT_BYTES) return text;
    this.#complaints.error(
      'size',
      { bytes: text.length },
      'a heartbeat is too large; what is attached is left out',
    );
    return encodeHeartbeat({ peer: this.own, attached: {} });
  }

  #heard(payload: Uint8Array): void {
    const { log, clock, maxPeers = MAX_PEERS } = this.#options;
    const heartbeat = decodeHeartbeat(payload);
    if (heartbeat === undefined) {
      this.#complaints.warn('heartbeat', { bytes: payload.length }, 'a heartbeat that is none was ignored');
      return;
    }
    const { peer, attached } = heartbeat;
    const { instance } = peer;
    if (instance === this.own.instance) return;
    const known = this.#others.get(instance);
    if (known !== undefined) known.heardMs = clock.now();
    else if (this.#others.size >= maxPeers) {
      this.#complaints.error(
        'full',
        { maxPeers },
        'there are more instances than can be known; some are ignored',
      );
      return;
    } else {
      this.#others.set(instance, { peer, heardMs: clock.now() });
      log.info(fieldsOf(peer), 'an instance appeared');
      this.#changed();
      this.#answerNewcomer();
      this.#tell((follower) => follower.appeared?.(peer));
    }
    for (const [name, attachment] of this.#attachments) {
      if (Object.hasOwn(attached, name)) this.#guarded(name, () => attachment.hear(instance, attached[name]));
    }
  }

  // The newcomer should not have to wait for a second, nor be answered by a hundred at once.
  #answerNewcomer(): void {
    const delayMs = jitter(this.#options.clock, 0, ANSWER_WITHIN_MS);
    if (this.#nextBeatMs - this.#options.clock.now() > delayMs) this.#schedule(delayMs);
  }

  #left(payload: Uint8Array): void {
    const { instance } = decodeObject(payload) ?? {};
    if (isInstance(instance)) this.#remove(instance, 'left');
  }

  #sweep(nowMs: number): void {
    if (this.#hearingSinceMs === undefined) return;
    for (const [instance, { heardMs }] of this.#others)
      if (nowMs - Math.max(heardMs, this.#hearingSinceMs) > GONE_MS) this.#remove(instance, 'lost');
  }

  #remove(instance: string, how: 'left' | 'lost'): void {
    const known = this.#others.get(instance);
    if (known === undefined) return;
    this.#others.delete(instance);
    this.#options.log.info(
      fieldsOf(known.peer),
      how === 'left' ? 'an instance left' : 'an instance is not heard any more',
    );
    this.#changed();
    this.#tell((follower) => follower.vanished?.(known.peer, how));
  }

  #changed(): void {
    const peers = [this.own, ...[...this.#others.values()].map(({ peer }) => peer)];
    this.#all = peers.sort((a, b) => (a.instance < b.instance ? -1 : 1));
    this.#instances = this.#all.map(({ instance }) => instance);
  }

  #tell(say: (follower: Follower) => void): void {
    for (const follower of this.#followers) this.#guarded('follower', () => say(follower));
  }

  // A throw would end the NATS client's read loop.
  #guarded<T>(name: string, act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.#complaints.error(name, { part: name, error: String(error) }, 'what comes with heartbeats failed');
      return undefined;
    }
  }
}

/** Of another instance, for the log. Every line of a worker says `worker` of itself already. */
function fieldsOf({ worker, ...about }: Peer): object {
  return { ...about, ...(worker !== undefined && { peerWorker: worker }) };
}
