import { type ChildProcess, fork } from 'node:child_process';
import type { Config, HostPort } from '../config/schema.ts';
import type { Outcome } from '../control/outcome.ts';
import { ERROR_CODES, type ErrorCode, messageOf, SidestreamError } from '../errors.ts';
import type { DrainChoices } from '../http/drain.ts';
import type { Family } from '../metrics.ts';
import { AnswersTo } from './answers.ts';
import type { Answer, Call, FromWorker, Problem, Question, ToWorker } from './messages.ts';

/** How a start went: it listens, it says why it cannot, or it ended without a word. */
export type Start =
  | { readonly kind: 'listening'; readonly http: HostPort }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'died'; readonly how: string };

export interface WorkerOptions {
  /** The program's entry, which is to be run with the argument `worker`. */
  readonly entry: string;
  readonly config: Config;
  /** From 1. A worker that takes the place of another has its number. */
  readonly number: number;
  readonly version: string;
  /** How long it waits for NATS before it listens. */
  readonly patienceMs: number;
  /** Whether it is to give up where it would refuse all streams then. */
  readonly needsNats: boolean;
  /** How long it may take until it listens, in milliseconds, before it is killed. */
  readonly startMs: number;
  /** What concerns the worker alone is not handed on. */
  readonly onMessage: (worker: WorkerProcess, message: FromWorker) => void;
  /** It is gone, with all it said before. */
  readonly onGone: (worker: WorkerProcess, how: string) => void;
}

/** After the time-out of a drain, in milliseconds: for letting go of NATS, and the last words. */
const DRAIN_GRACE_MS = 5_000;

/** How long a worker may take to say whether it lets streams in, in milliseconds; after that it is taken for one that does not. */
const ACCEPTING_TIMEOUT_MS = 2_000;

/** One worker, as the primary process sees it. */
export class WorkerProcess {
  readonly number: number;
  /** Settles once, whatever happens. */
  readonly started: Promise<Start>;
  readonly gone: Promise<void>;
  /** What it last said of itself. */
  families: readonly Family[] = [];
  readonly #options: WorkerOptions;
  readonly #child: ChildProcess;
  readonly #questions = new AnswersTo<Answer>();
  readonly #calls = new AnswersTo<Outcome>();
  readonly #preparations = new AnswersTo<{ readonly problem?: Problem }>();
  #drainTimeoutMs: number;
  /** Of the config that it was made ready for. */
  #preparedTimeoutMs = 0;
  #state: 'starting' | 'listening' | 'draining' | 'gone' = 'starting';
  #hasListened = false;
  /** Why it was killed, where a signal does not say it. */
  #killedFor: string | undefined;
  #decide: (start: Start) => void = () => undefined;

  constructor(options: WorkerOptions) {
    const { entry, config, number, version, patienceMs, needsNats } = options;
    this.#options = options;
    this.#drainTimeoutMs = config.drain.timeoutMs;
    this.number = number;
    this.started = new Promise((resolve) => {
      this.#decide = resolve;
    });
    this.#child = fork(entry, ['worker'], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => this.#receive(message as FromWorker));
    this.gone = this.#end();
    this.send({ kind: 'start', config, number, version, patienceMs, needsNats });
    this.#limitStart(options.startMs);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get state() {
    return this.#state;
  }

  /** Whether it ever listened: who waits for its start is told otherwise. */
  get hasListened(): boolean {
    return this.#hasListened;
  }

  send(message: ToWorker): void {
    if (!this.#child.connected) return;
    this.#child.send(message, () => {
      // ERR_IPC_CHANNEL_CLOSED, EPIPE: it is going, and its end is told.
    });
  }

  /** Asks it; `undefined` where it does not answer in time. */
  ask(about: Question, timeoutMs: number): Promise<Answer | undefined> {
    return this.#questions.ask((id) => this.send({ kind: 'ask', id, about }), timeoutMs);
  }

  /** Hands it a call of the control plane; `undefined` where it does not answer in time, or ends before. */
  call(call: Call, timeoutMs: number): Promise<Outcome | undefined> {
    return this.#calls.ask((id) => this.send({ kind: 'call', id, ...call }), timeoutMs);
  }

  /**
   * Has it make ready for another config; resolves with whether it is still there.
   * @throws Error what the worker says is wrong, or that it does not answer
   */
  async prepare(config: Config, timeoutMs: number): Promise<boolean> {
    const answer = await this.#preparations.ask(
      (id) => this.send({ kind: 'prepare', id, config }),
      timeoutMs,
    );
    if (this.#state === 'gone' || this.#state === 'draining') return false;
    if (answer === undefined) throw new Error(`worker ${this.number} did not get ready in ${timeoutMs} ms`);
    if (answer.problem !== undefined) throw toError(answer.problem);
    this.#preparedTimeoutMs = config.drain.timeoutMs;
    return true;
  }

  /** Has it go by what it made ready for; resolves when it does, or is gone. */
  async apply(timeoutMs: number): Promise<void> {
    this.#drainTimeoutMs = this.#preparedTimeoutMs;
    await this.#preparations.ask((id) => this.send({ kind: 'apply', id }), timeoutMs);
  }

  /** Whether it lets streams in, as far as NATS goes. */
  async letsIn(): Promise<boolean> {
    const answer = await this.ask('readiness', ACCEPTING_TIMEOUT_MS);
    return answer?.isAccepting === true;
  }

  /** Lets it end its streams, each at its time; it is killed where it takes longer than it may. */
  drain(choices: DrainChoices): void {
    if (this.#state === 'starting') this.kill();
    if (this.#state !== 'listening') return;
    this.#state = 'draining';
    this.send({ kind: 'drain', choices });
    const timer = setTimeout(() => this.kill(), this.#drainTimeoutMs + DRAIN_GRACE_MS);
    void this.gone.then(() => clearTimeout(timer));
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #limitStart(startMs: number): void {
    const timer = setTimeout(() => {
      if (this.#state !== 'starting') return;
      this.#killedFor = `it did not listen within ${startMs} ms`;
      this.kill();
    }, startMs);
    void this.started.then(() => clearTimeout(timer));
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'listening':
        if (this.#state === 'starting') this.#state = 'listening';
        this.#hasListened = true;
        this.#decide(message);
        return;
      case 'failed':
        this.#decide({ kind: 'failed', error: toError(message) });
        return;
      case 'answer':
        this.#questions.settle(message.id, message);
        if (message.families !== undefined) this.families = message.families;
        return;
      case 'outcome':
        this.#calls.settle(message.id, message.outcome);
        return;
      case 'prepared':
        this.#preparations.settle(message.id, message);
        return;
      case 'drained':
        this.families = message.families;
        return;
      default:
        this.#options.onMessage(this, message);
    }
  }

  // What it said last may be read only after the system has told of its end.
  async #end(): Promise<void> {
    const child = this.#child;
    const ended = await new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(messageOf(error)));
      child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
    });
    const how = this.#killedFor ?? ended;
    if (child.connected) await new Promise<void>((resolve) => child.once('disconnect', resolve));
    this.#state = 'gone';
    this.#decide({ kind: 'died', how });
    this.#questions.abandon();
    this.#calls.abandon();
    this.#preparations.abandon();
    this.#options.onGone(this, how);
  }
}

function toError({ code, message }: Problem): Error {
  return code !== undefined && isCode(code) ? new SidestreamError(code, message) : new Error(message);
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
