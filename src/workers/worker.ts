import type { Claim } from '../auth/used-tickets.ts';
import { createBridge } from '../bridge/bridge.ts';
import type { Bridge } from '../bridge/contract.ts';
import type { Prepared } from '../bridge/reload.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, SidestreamError } from '../errors.ts';
import type { DrainChoices } from '../http/drain.ts';
import { createLog, type Logger } from '../log.ts';
import type { Answer, Call, FromWorker, Question, ToWorker } from './messages.ts';
import { SharedCounts } from './shared-counts.ts';

const DONE = 0;
const FAILED = 1;

/** How long the primary process may take to say whether a ticket was used. */
const CLAIM_TIMEOUT_MS = 1_000;

/** One of several processes on one port: a bridge that its primary process starts, asks, and ends. */
export class Worker {
  readonly #counts = new SharedCounts(() => void this.#send({ kind: 'changed' }));
  readonly #claims = new Map<number, (claim: Claim) => void>();
  #lastClaim = 0;
  #bridge: Bridge | undefined;
  #log: Logger | undefined;
  #started: Promise<void> = Promise.resolve();
  #prepared: Prepared | undefined;
  #end: (status: number) => void = () => undefined;

  /** Runs until the primary process ends it, or is gone; gives the exit status. */
  run(): Promise<number> {
    process.on('message', (message) => this.#receive(message as ToWorker));
    process.on('disconnect', () => void this.#orphaned());
    // Whoever ends a whole group of processes means the primary one, which will tell.
    process.on('SIGINT', () => undefined);
    process.on('SIGUSR2', () => undefined);
    process.on('SIGHUP', () => undefined);
    process.on('SIGTERM', () => {
      if (process.connected) void this.#send({ kind: 'signalled' });
      else this.#end(FAILED);
    });
    return new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** What nobody caught. */
  crashed(error: Error): void {
    this.#log?.fatal({ error: error.stack ?? String(error) }, 'uncaught exception');
  }

  #receive(message: ToWorker): void {
    if (message.kind === 'start') this.#started = this.#start(message);
    else if (message.kind === 'count') void this.#send({ kind: 'counts', ...this.#counts.take() });
    else if (message.kind === 'word') this.#counts.hear(message);
    else if (message.kind === 'ask') void this.#answer(message);
    else if (message.kind === 'call') void this.#call(message);
    else if (message.kind === 'prepare') void this.#prepare(message);
    else if (message.kind === 'apply') this.#apply(message);
    else if (message.kind === 'discard') this.#discard();
    else if (message.kind === 'claimed') this.#claims.get(message.id)?.(message.claim);
    else void this.#drain(message.choices);
  }

  async #start({
    config,
    number,
    version,
    patienceMs,
    needsNats,
  }: ToWorker & { readonly kind: 'start' }): Promise<void> {
    this.#log = createLog(config.log, process.stdout).child({ worker: number });
    try {
      const claimTicket = (key: string) => this.#claim(key);
      const shared = { worker: number, others: this.#counts, patienceMs, needsNats, claimTicket };
      this.#bridge = createBridge({ config, log: this.#log, version, shared });
      const { http } = await this.#bridge.start();
      await this.#send({ kind: 'listening', http });
    } catch (error) {
      const code = error instanceof SidestreamError ? error.code : undefined;
      await this.#send({ kind: 'failed', code, message: messageOf(error) });
      this.#end(FAILED);
    }
  }

  async #prepare({ id, config }: { readonly id: number; readonly config: Config }): Promise<void> {
    // Where it does not start it is about to end.
    await this.#started;
    try {
      this.#discard();
      this.#prepared = await this.#bridge?.prepare(config);
      await this.#send({ kind: 'prepared', id });
    } catch (error) {
      const code = error instanceof SidestreamError ? error.code : undefined;
      await this.#send({ kind: 'prepared', id, problem: { code, message: messageOf(error) } });
    }
  }

  #apply({ id }: { readonly id: number }): void {
    void this.#prepared?.apply();
    this.#prepared = undefined;
    void this.#send({ kind: 'prepared', id });
  }

  #discard(): void {
    this.#prepared?.discard();
    this.#prepared = undefined;
  }

  async #answer({ id, about }: { readonly id: number; readonly about: Question }): Promise<void> {
    await this.#send({ kind: 'answer', id, ...(await this.#about(about)) });
  }

  async #call({ id, operation, payload, caller }: Call & { readonly id: number }): Promise<void> {
    const outcome = await this.#bridge?.call(operation, payload, caller);
    if (outcome !== undefined) await this.#send({ kind: 'outcome', id, outcome });
  }

  async #about(question: Question): Promise<Answer> {
    if (this.#bridge === undefined) return { unready: 'starting' };
    if (question === 'metrics') return { families: await this.#bridge.families() };
    const { accepting: isAccepting } = this.#bridge;
    const unready = this.#bridge.unready();
    return { isAccepting, ...(unready !== undefined && { unready }) };
  }

  /** Fails closed: a ticket that nobody can tell of is not taken. */
  #claim(key: string): Promise<Claim> {
    this.#lastClaim += 1;
    const id = this.#lastClaim;
    return new Promise((resolve) => {
      const settle = (claim: Claim) => {
        clearTimeout(timer);
        this.#claims.delete(id);
        // The primary process knows all that its workers took: where it says so, it was not taken.
        resolve(claim === 'alone' ? 'first' : claim);
      };
      const timer = setTimeout(settle, CLAIM_TIMEOUT_MS, 'unavailable');
      this.#claims.set(id, settle);
      void this.#send({ kind: 'claim', id, key });
    });
  }

  async #drain(choices: DrainChoices): Promise<void> {
    const bridge = this.#bridge;
    if (bridge === undefined) return this.#end(DONE);
    await bridge.drain(choices);
    await this.#send({ kind: 'drained', families: await bridge.families() });
    await bridge.stop();
    this.#end(DONE);
  }

  // The port must be free for whoever is started in its place.
  async #orphaned(): Promise<void> {
    this.#log?.error('the primary process is gone; draining');
    await this.#bridge?.drain({ closesPort: true });
    await this.#bridge?.stop();
    this.#end(FAILED);
  }

  #send(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) return resolve();
      // An error: the primary process is gone, which is told otherwise.
      process.send(message, undefined, {}, () => resolve());
    });
  }
}
