import type { Clock } from '../clock.ts';
import type { HostPort } from '../config/schema.ts';
import { SidestreamError } from '../errors.ts';
import type { DrainChoices } from '../http/drain.ts';
import type { Logger } from '../log.ts';
import type { WorkerProcess } from './worker-process.ts';

/** Who lives less long, in milliseconds, has died at once. */
const QUICK_MS = 10_000;
/** After so many deaths at once, one after the other, there is no hope where no other worker listens. */
const MAX_QUICK_DEATHS = 5;
/** Waits before a worker that died at once is replaced, in milliseconds; the last one repeats. */
const WAITS_MS = [100, 200, 400, 800, 1600, 5_000, 10_000];

export interface SlotOptions {
  readonly number: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly spawn: (number: number) => WorkerProcess;
  /** Whether any worker of all serves. */
  readonly isServed: () => boolean;
  /** There is no hope left. */
  readonly stuck: (problem: Error) => void;
}

/** The place of one worker among all: holds one that serves, and replaces it when it dies. */
export class Slot {
  readonly #options: SlotOptions;
  #current: WorkerProcess | undefined;
  #startedMs = 0;
  #quickDeaths = 0;
  #isStopped = false;
  #wake: (() => void) | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** Who serves, or is about to. */
  get current(): WorkerProcess | undefined {
    return this.#current;
  }

  /**
   * Starts the first worker; resolves when it listens.
   * @throws Error what the worker says is wrong, or SidestreamError WORKER_DIED where it dies again and again
   */
  async start(): Promise<HostPort> {
    for (;;) {
      const start = await this.#spawn().started;
      if (start.kind === 'listening') return start.http;
      if (start.kind === 'failed') throw start.error;
      this.#died(start.how);
      if (this.#quickDeaths >= MAX_QUICK_DEATHS) throw hopeless(start.how);
      await this.#wait();
      if (this.#isStopped) throw hopeless(start.how);
    }
  }

  /** A worker is gone. If it served here, and was not to go, it is replaced. */
  async lost(worker: WorkerProcess, how: string): Promise<void> {
    if (worker !== this.#current || !worker.hasListened || this.#isStopped) return;
    this.#died(how);
    while (!this.#isStopped) {
      await this.#wait();
      if (this.#isStopped) return;
      const start = await this.#spawn().started;
      if (start.kind === 'listening') return;
      this.#died(start.kind === 'failed' ? start.error.message : start.how);
      if (this.#quickDeaths >= MAX_QUICK_DEATHS && !this.#options.isServed())
        return this.#options.stuck(start.kind === 'failed' ? start.error : hopeless(start.how));
    }
  }

  /**
   * Starts another worker, and when it listens lets the one before end its streams; resolves when that is gone.
   * @throws Error the new one does not start; the old one goes on
   */
  async replace(choices: DrainChoices): Promise<void> {
    const before = this.#current;
    if (before === undefined || before.state !== 'listening' || this.#isStopped) return;
    const next = this.#options.spawn(this.#options.number);
    const start = await next.started;
    if (start.kind !== 'listening') {
      next.kill();
      throw start.kind === 'failed' ? start.error : hopeless(start.how);
    }
    // It died meanwhile, and was replaced; or all are to end.
    if (this.#current !== before || this.#isStopped) return next.drain(choices);
    this.#current = next;
    this.#startedMs = this.#options.clock.now();
    before.drain(choices);
    await before.gone;
  }

  /** Replaces nobody from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#wake?.();
  }

  #spawn(): WorkerProcess {
    this.#startedMs = this.#options.clock.now();
    this.#current = this.#options.spawn(this.#options.number);
    return this.#current;
  }

  #died(how: string): void {
    const { log, clock, number } = this.#options;
    const livedMs = Math.round(clock.now() - this.#startedMs);
    this.#quickDeaths = livedMs < QUICK_MS ? this.#quickDeaths + 1 : 0;
    log.error({ worker: number, pid: this.#current?.pid, how, livedMs }, 'a worker died; it is replaced');
  }

  async #wait(): Promise<void> {
    const waitMs = this.#quickDeaths === 0 ? 0 : WAITS_MS[Math.min(this.#quickDeaths, WAITS_MS.length) - 1];
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function hopeless(how: string): SidestreamError {
  return new SidestreamError(
    'WORKER_DIED',
    `workers die as soon as they are started (${how}); the log has more`,
  );
}
