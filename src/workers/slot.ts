import type { Clock } from '../clock.ts';
import type { HostPort } from '../config/schema.ts';
import { SidestreamError } from '../errors.ts';
import type { DrainChoices } from '../http/drain.ts';
import type { Logger } from '../log.ts';
import type { Start, WorkerProcess } from './worker-process.ts';

/** Who lives less long, in milliseconds, has died at once. */
const QUICK_MS = 10_000;
/** After so many deaths at once, one after the other, there is no hope where no other worker listens. */
const MAX_QUICK_DEATHS = 5;
/** Waits before a worker that died at once is replaced, in milliseconds; the last one repeats. */
const WAITS_MS = [100, 200, 400, 800, 1600, 5_000, 10_000];

/** A worker, as far as its place goes. */
export type Placed = Pick<
  WorkerProcess,
  'pid' | 'state' | 'hasListened' | 'started' | 'gone' | 'letsIn' | 'drain' | 'kill'
>;

export interface SlotOptions {
  readonly number: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** `needsNats`: whether it is to give up where it would refuse all streams. */
  readonly spawn: (number: number, choices: { readonly needsNats: boolean }) => Placed;
  /** Whether any worker of all serves. */
  readonly isServed: () => boolean;
  /** There is no hope left. */
  readonly stuck: (problem: Error) => void;
}

/** The place of one worker among all: holds one that serves, and replaces it when it dies. */
export class Slot {
  readonly #options: SlotOptions;
  #current: Placed | undefined;
  #startedMs = 0;
  #quickDeaths = 0;
  #isStopped = false;
  /** How the latest start went in the place of one that died. */
  #restart: Promise<Start | undefined> = Promise.resolve(undefined);
  /** Whether another is about to take the place of one that serves. */
  #isExchanging = false;
  #wake: (() => void) | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** Who serves, or is about to. */
  get current(): Placed | undefined {
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
      if (this.#quickDeaths >= MAX_QUICK_DEATHS) throw problemOf(start);
      await this.#wait();
      if (this.#isStopped) throw problemOf(start);
    }
  }

  /** A worker is gone. If it served here, and was not to go, it is replaced. */
  async lost(worker: Placed, how: string): Promise<void> {
    if (worker !== this.#current || !worker.hasListened || this.#isStopped) return;
    this.#died(how);
    if (!this.#isExchanging) await this.#restore();
  }

  /**
   * Sees to it that a worker listens here that is not stale, which none is that is started from now on: resolves when it
   * does, and the one before has ended its streams and is gone. One that is starting, or died, settles first.
   * @throws Error another does not start; what served here goes on, or is started again
   */
  async replace(isStale: (worker: Placed) => boolean, choices: DrainChoices): Promise<void> {
    this.#wake?.();
    while (!this.#isStopped && this.#current !== undefined) {
      const current = this.#current;
      if (current.state === 'listening') {
        if (isStale(current)) await this.#exchange(current, choices);
        return;
      }
      const start = await this.#restart;
      if (start !== undefined && start.kind !== 'listening' && !isStale(this.#current))
        throw problemOf(start);
    }
  }

  /** Replaces nobody from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#wake?.();
  }

  /** Starts another worker, and when it listens lets the one before end its streams. */
  async #exchange(before: Placed, choices: DrainChoices): Promise<void> {
    this.#isExchanging = true;
    try {
      const needsNats = await before.letsIn();
      if (this.#isStopped) return;
      const next = this.#options.spawn(this.#options.number, { needsNats });
      const start = await next.started;
      if (start.kind !== 'listening') {
        next.kill();
        throw problemOf(start);
      }
      if (this.#isStopped) return next.drain(choices);
      this.#current = next;
      this.#startedMs = this.#options.clock.now();
    } finally {
      this.#isExchanging = false;
      // It died while another was to take its place, which does not start.
      if (this.#current === before && before.state === 'gone') void this.#restore();
    }
    before.drain(choices);
    await before.gone;
  }

  async #restore(): Promise<void> {
    while (!this.#isStopped) {
      this.#restart = this.#startAgain();
      const start = await this.#restart;
      if (start === undefined || start.kind === 'listening') return;
      this.#died(start.kind === 'failed' ? start.error.message : start.how);
      if (this.#quickDeaths < MAX_QUICK_DEATHS || this.#options.isServed()) continue;
      this.stop();
      this.#options.stuck(problemOf(start));
    }
  }

  /** How it went; `undefined` where all are to end. */
  async #startAgain(): Promise<Start | undefined> {
    await this.#wait();
    return this.#isStopped ? undefined : this.#spawn().started;
  }

  /** Where nobody serves, one without NATS is better than none: it says so to whoever comes. */
  #spawn(): Placed {
    this.#startedMs = this.#options.clock.now();
    this.#current = this.#options.spawn(this.#options.number, { needsNats: false });
    return this.#current;
  }

  /** One that never listened died at once, however long it took. */
  #died(how: string): void {
    const { log, clock, number } = this.#options;
    const livedMs = Math.round(clock.now() - this.#startedMs);
    const isQuick = livedMs < QUICK_MS || this.#current?.hasListened !== true;
    this.#quickDeaths = isQuick ? this.#quickDeaths + 1 : 0;
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

function problemOf(start: Exclude<Start, { kind: 'listening' }>): Error {
  if (start.kind === 'failed') return start.error;
  return new SidestreamError(
    'WORKER_DIED',
    `workers die as soon as they are started (${start.how}); the log has more`,
  );
}
