import type { Clock } from '../clock.ts';
import type { Bus } from '../cluster/bus.ts';
import type { Peer, Peers } from '../cluster/peers.ts';
import { Complaints, type Logger } from '../log.ts';
import type { Attendance } from './attendance.ts';
import { decodeMessage, encodeMessage, MESSAGE_BYTES, type PresenceMessage, portions } from './delta.ts';
import type { ChannelChanges, Table } from './table.ts';

export interface ReplicationOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly bus: Pick<Bus, 'listen' | 'publish'> & Partial<Pick<Bus, 'maxPayloadBytes'>>;
  readonly peers: Pick<Peers, 'own' | 'all' | 'follow' | 'attach'>;
  /** Begins the subjects: `<prefix>.peer.presence`. */
  readonly prefix: string;
  readonly attendance: Attendance;
  readonly table: Table;
  /** Size of a message, about. Default: 64 KiB, or half of what NATS takes. */
  readonly messageBytes?: number | undefined;
  /** Runs something in a later turn of the event loop. */
  defer(run: () => void): void;
}

/** An answer that is under way. */
interface Answer {
  readonly to: string;
  readonly question: number;
  /** The parts to come. */
  readonly rest: Generator<readonly ChannelChanges[]>;
}

/** What is known of what another instance has told. */
interface Remote {
  /** Of the last delta that is taken in, or is in what was asked for. */
  number: number;
  /** Names what was asked last: only parts of the answer to it count. */
  question: number;
  /** Whether nothing is missing up to there. */
  isComplete: boolean;
  /** Whether something was missed since the parts began to come. */
  hasMissed: boolean;
  /** Whether what is found out about this instance is news: not where it was there before this one. */
  isNews: boolean;
  round: number;
  /** Of what was asked for: the part to come next, or -1 where none is expected. */
  nextPart: number;
  askedMs: number;
}

/** A question that is not answered within this time is asked again, in milliseconds. */
const ASK_AGAIN_MS = 2000;
/** Instances that appear so soon after the first connection were there before, in milliseconds. */
const SETTLING_MS = 3000;

/**
 * Has every instance know what each of them has. What changes goes out as deltas, with numbers; each heartbeat says the
 * latest. Who finds one missing asks that instance for everything it has, which comes in parts between its deltas.
 * All that is said is how things are by then, so the order in which it arrives is enough, and NATS keeps it; were it
 * lost, the numbers would say so.
 */
export class Replication {
  readonly counts = { deltasSent: 0, deltasReceived: 0, snapshotsSent: 0, snapshotsReceived: 0, missed: 0 };
  readonly #options: ReplicationOptions;
  readonly #complaints: Complaints;
  readonly #remotes = new Map<string, Remote>();
  /** Who wants to know, in turn, and by what they know the answer. */
  readonly #asking = new Map<string, number>();
  #isAnswering = false;
  #number = 0;
  #questions = 0;
  #rounds = 0;
  #settledMs = Infinity;
  #endings: readonly (() => void)[] = [];

  constructor(options: ReplicationOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
    const { peers } = options;
    peers.follow({
      appeared: (peer) => this.#appeared(peer),
      vanished: ({ instance }) => this.#vanished(instance),
    });
    peers.attach('presence', { tell: () => this.#number, hear: (...said) => this.#heard(...said) });
  }

  /** Instances of which something is missing at this moment. */
  get incomplete(): number {
    return [...this.#remotes.values()].filter(({ isComplete }) => !isComplete).length;
  }

  start(): void {
    const { bus, prefix, peers } = this.#options;
    const subject = `${prefix}.peer.presence`;
    const receive = (payload: Uint8Array) => this.#receive(payload);
    this.#endings = [bus.listen(subject, receive), bus.listen(`${subject}.${peers.own.instance}`, receive)];
  }

  connected(): void {
    if (this.#settledMs === Infinity) this.#settledMs = this.#options.clock.now() + SETTLING_MS;
  }

  /** Tells what has changed here. */
  flush(): void {
    const { bus, prefix, attendance } = this.#options;
    for (const channels of portions(attendance.takeChanges(), this.#messageBytes)) {
      // Counted also where it cannot be sent: so the others find that they have missed it.
      this.#number += 1;
      this.counts.deltasSent += 1;
      bus.publish(
        `${prefix}.peer.presence`,
        this.#encoded({ kind: 'delta', number: this.#number, channels }),
      );
    }
  }

  /** What was said of channels that were not followed here was passed over: everybody is asked again, with the next heartbeat. */
  doubt(): void {
    for (const remote of this.#remotes.values()) {
      remote.isComplete = false;
      remote.hasMissed = true;
    }
  }

  stop(): void {
    for (const end of this.#endings) end();
    this.#asking.clear();
  }

  get #messageBytes(): number {
    const { bus, messageBytes = MESSAGE_BYTES } = this.#options;
    return Math.min(messageBytes, (bus.maxPayloadBytes ?? Number.POSITIVE_INFINITY) / 2);
  }

  #encoded(message: Own<PresenceMessage>): string {
    return encodeMessage({ ...message, instance: this.#options.peers.own.instance });
  }

  #appeared({ instance }: Peer): void {
    const isNews = this.#options.clock.now() >= this.#settledMs;
    this.#remotes.set(instance, {
      number: 0,
      question: -1,
      isComplete: true,
      hasMissed: false,
      isNews,
      round: this.#rounds,
      nextPart: -1,
      askedMs: -Infinity,
    });
  }

  #vanished(instance: string): void {
    this.#remotes.delete(instance);
    this.#asking.delete(instance);
    this.#rounds += 1;
    this.#step(this.#options.table.sweep(instance, { round: this.#rounds, isGone: true }));
  }

  #heard(instance: string, number: unknown): void {
    const remote = this.#remotes.get(instance);
    if (remote === undefined || typeof number !== 'number') return;
    if (number > remote.number) this.#missed(remote);
    // All is known that there was before: what is found out from now on has happened since.
    if (remote.isComplete) remote.isNews = true;
    if (!remote.isComplete || this.#options.table.wants(instance)) this.#ask(instance, remote);
  }

  #receive(payload: Uint8Array): void {
    const message = decodeMessage(payload);
    if (message === undefined) {
      this.#complaints.warn(
        'presence',
        { bytes: payload.length },
        'a message about presence that is none was ignored',
      );
      return;
    }
    const { instance, kind } = message;
    // Who is not known by its heartbeats could not be missed either.
    const remote = this.#remotes.get(instance);
    if (remote === undefined) return;
    if (kind === 'ask') {
      this.#asking.set(instance, message.question);
      this.#answer();
    } else if (kind === 'delta') this.#takeDelta(remote, message);
    else this.#takePart(remote, message);
  }

  #takeDelta(remote: Remote, { instance, number, channels }: Told<'delta'>): void {
    if (number <= remote.number) return;
    this.counts.deltasReceived += 1;
    if (number !== remote.number + 1) this.#missed(remote);
    remote.number = number;
    this.#apply(instance, remote, channels, true);
    if (!remote.isComplete) this.#ask(instance, remote);
  }

  #takePart(remote: Remote, { instance, question, number, channels, part, isLast }: Told<'part'>): void {
    if (question !== remote.question) return;
    if (part === 0) this.#begin(remote, number);
    if (part !== remote.nextPart) {
      // One got lost, and all that follow are of no use.
      remote.nextPart = -1;
      return;
    }
    // It has what a delta said that is still to come, or that was overtaken: what it says is then not of this moment.
    if (number !== remote.number) this.#missed(remote);
    remote.nextPart += 1;
    remote.askedMs = this.#options.clock.now();
    this.#apply(instance, remote, channels, remote.isNews);
    if (!isLast) return;
    this.counts.snapshotsReceived += 1;
    remote.nextPart = -1;
    remote.question = -1;
    remote.isNews = true;
    remote.isComplete = !remote.hasMissed;
    this.#step(this.#options.table.sweep(instance, { round: remote.round, isGone: false }));
  }

  #begin(remote: Remote, number: number): void {
    this.#rounds += 1;
    remote.round = this.#rounds;
    // Also where that is less than was said before: the next heartbeat tells whether something is missing.
    remote.number = number;
    // Until the last part is there: the connection may be cut before.
    remote.isComplete = false;
    remote.hasMissed = false;
    remote.nextPart = 0;
  }

  #apply(instance: string, { round }: Remote, channels: readonly ChannelChanges[], isNews: boolean): void {
    for (const changes of channels) this.#options.table.apply({ ...changes, instance, round, isNews });
  }

  #step(sweeping: Generator<undefined>): void {
    if (sweeping.next().done !== true) this.#options.defer(() => this.#step(sweeping));
  }

  #missed(remote: Remote): void {
    if (remote.isComplete) this.counts.missed += 1;
    remote.isComplete = false;
    remote.hasMissed = true;
  }

  #ask(instance: string, remote: Remote): void {
    const { clock, bus, prefix } = this.#options;
    const nowMs = clock.now();
    if (nowMs - remote.askedMs < ASK_AGAIN_MS) return;
    remote.askedMs = nowMs;
    this.#questions += 1;
    remote.question = this.#questions;
    const ask = { kind: 'ask', question: remote.question } as const;
    bus.publish(`${prefix}.peer.presence.${instance}`, this.#encoded(ask));
  }

  /** One after the other, a part in each turn of the event loop. */
  #answer(): void {
    if (this.#isAnswering) return;
    const [next] = this.#asking;
    if (next === undefined) return;
    const [to, question] = next;
    this.#asking.delete(to);
    this.#isAnswering = true;
    this.counts.snapshotsSent += 1;
    const rest = portions(this.#options.attendance.all(), this.#messageBytes);
    this.#sendPart({ to, question, rest }, 0);
  }

  #sendPart(answer: Answer, part: number): void {
    const { bus, prefix } = this.#options;
    const { to, question, rest } = answer;
    // A change that is in a part and then undone before any delta told it would never be told as undone.
    this.flush();
    const { value: channels = [], done: isLast = false } = rest.next();
    const message = { kind: 'part', question, number: this.#number, channels, part, isLast } as const;
    const isSent = bus.publish(`${prefix}.peer.presence.${to}`, this.#encoded(message));
    // Who did not get it all asks again.
    if (!isLast && isSent) this.#options.defer(() => this.#sendPart(answer, part + 1));
    else {
      this.#isAnswering = false;
      this.#answer();
    }
  }
}

type Told<K> = Extract<PresenceMessage, { readonly kind: K }>;
type Own<M> = M extends unknown ? Omit<M, 'instance'> : never;
