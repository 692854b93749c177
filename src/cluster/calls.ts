import { randomUUID } from 'node:crypto';
import { type Due, Timer, type TimerWheel } from '../clock.ts';
import type { Bus } from './bus.ts';
import { decodeObject, isInstance } from './peer.ts';
import type { Peers } from './peers.ts';

export interface CallsOptions {
  /** Begins the subjects: `<prefix>.control.<operation>`. */
  readonly prefix: string;
  readonly bus: Bus;
  readonly peers: Peers;
  readonly wheel: TimerWheel;
  /** How long answers are waited for, in milliseconds. */
  readonly deadlineMs: number;
}

/** Says in a question's header which instance asks, and so will see to its own part by itself. */
export const COORDINATOR = 'Sidestream-Coordinator';

/** What an instance answered, unchecked but for being an object. */
export interface Answered {
  readonly instance: string;
  readonly answer: Readonly<Record<string, unknown>>;
}

/** Most that the answers of one question may come from, beyond those that were known as it was asked. */
const MAX_UNKNOWN = 1000;
/** Longest answer that is read, in bytes: as much as NATS ever takes. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Questions to all other instances. An instance that goes while it is asked is not waited for; one that comes meanwhile may
 * answer too. There is one subscription for all answers.
 */
export class Calls {
  readonly #options: CallsOptions;
  readonly #inbox: string;
  readonly #waiting = new Map<string, Gathering>();
  #last = 0;
  #isStopped = false;
  #end: () => void = () => undefined;

  constructor(options: CallsOptions) {
    this.#options = options;
    // Nobody can answer who was not asked: the name of an instance is no secret.
    this.#inbox = `_INBOX.sidestream.${randomUUID()}`;
    options.peers.follow({ vanished: ({ instance }) => this.#vanished(instance) });
  }

  /** Questions whose answers are waited for. */
  get underWay(): number {
    return this.#waiting.size;
  }

  start(): void {
    this.#end = this.#options.bus.listen(`${this.#inbox}.*`, (payload, { subject }) => {
      this.#waiting.get(subject.slice(this.#inbox.length + 1))?.hear(payload);
    });
  }

  /** Nobody waits any longer, nor from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#end();
    for (const gathering of [...this.#waiting.values()]) gathering.finish();
  }

  /** What the others answer, when all who are known have or the deadline is over; nothing where they cannot be asked. Never rejects. */
  async gather(
    operation: string,
    payload: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<readonly Answered[]> {
    const { prefix, bus, peers, wheel, deadlineMs } = this.#options;
    const known = peers.all.flatMap(({ instance }) => (instance === peers.own.instance ? [] : [instance]));
    // Alone as far as we know: who comes just now is asked too, and not waited for.
    this.#last += 1;
    const id = this.#last.toString(36);
    return new Promise((resolve) => {
      const gathering = new Gathering(peers.own.instance, known, wheel, (answers) => {
        this.#waiting.delete(id);
        resolve(answers);
      });
      this.#waiting.set(id, gathering);
      const asking = {
        reply: `${this.#inbox}.${id}`,
        headers: { ...headers, [COORDINATOR]: peers.own.instance },
      };
      // No deadline comes any more where all is stopped.
      const sent = !this.#isStopped && bus.publish(`${prefix}.control.${operation}`, payload, asking);
      if (sent) gathering.wait(deadlineMs);
      else gathering.finish();
    });
  }

  #vanished(instance: string): void {
    for (const gathering of [...this.#waiting.values()]) gathering.drop(instance);
  }
}

/** The answers to one question. */
class Gathering implements Due {
  readonly #own: string;
  readonly #expected: Set<string>;
  readonly #answers = new Map<string, Answered>();
  readonly #most: number;
  readonly #wheel: TimerWheel;
  readonly #timer = new Timer(this);
  readonly #done: (answers: readonly Answered[]) => void;

  constructor(
    own: string,
    known: readonly string[],
    wheel: TimerWheel,
    done: (answers: readonly Answered[]) => void,
  ) {
    this.#own = own;
    this.#expected = new Set(known);
    this.#most = known.length + MAX_UNKNOWN;
    this.#wheel = wheel;
    this.#done = done;
  }

  wait(deadlineMs: number): void {
    this.#wheel.schedule(this.#timer, deadlineMs);
    this.#finishWhereAll();
  }

  hear(payload: Uint8Array): void {
    const answer = decodeObject(payload, MAX_ANSWER_BYTES);
    const instance = answer?.instance;
    if (answer === undefined || !isInstance(instance) || instance === this.#own) return;
    if (this.#answers.has(instance) || this.#answers.size >= this.#most) return;
    this.#answers.set(instance, { instance, answer });
    this.drop(instance);
  }

  /** Waits for it no longer. */
  drop(instance: string): void {
    if (this.#expected.delete(instance)) this.#finishWhereAll();
  }

  onDue(): void {
    this.finish();
  }

  finish(): void {
    this.#wheel.cancel(this.#timer);
    this.#done([...this.#answers.values()]);
  }

  #finishWhereAll(): void {
    if (this.#expected.size === 0) this.finish();
  }
}
