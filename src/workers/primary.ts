import { isDeepStrictEqual } from 'node:util';
import { ticketMemoryMs } from '../auth/ticket.ts';
import { UsedTickets } from '../auth/used-tickets.ts';
import type { Prepared } from '../bridge/reload.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Config, HostPort } from '../config/schema.ts';
import { CONTROL_HTTP } from '../control/http.ts';
import { messageOf } from '../errors.ts';
import { Api } from '../http/api.ts';
import { OpsServer } from '../http/ops.ts';
import type { Logger } from '../log.ts';
import type { ReloadMetrics } from '../metrics.ts';
import { Forwarding } from './forwarding.ts';
import { Gathering } from './gathering.ts';
import type { FromWorker } from './messages.ts';
import { type HeldPort, holdPort } from './port.ts';
import { prepareWorkers } from './reload.ts';
import { Rounds } from './rounds.ts';
import { shareOf } from './share.ts';
import { type Placed, Slot } from './slot.ts';
import { killHung } from './watch.ts';
import { WorkerProcess } from './worker-process.ts';

export interface PrimaryOptions {
  readonly config: Config;
  /** Workers that are kept running. */
  readonly count: number;
  /** The program's entry, which workers are started with. */
  readonly entry: string;
  readonly log: Logger;
  readonly version: string;
  readonly clock?: Clock;
  /** What became of configs that were read since, for the metrics. */
  readonly reloads?: ReloadMetrics;
  /** How long a worker may take to answer before it is taken for hung and killed, in milliseconds. Default: 30 s. */
  readonly hungMs?: number;
  /** How long a worker may take until it listens before it is killed, in milliseconds. Default: 30 s. */
  readonly startMs?: number;
  /** How long a worker that takes another's place waits for NATS before it listens, in milliseconds. Default: 5 s. */
  readonly patienceMs?: number;
}

const HUNG_MS = 30_000;
const START_MS = 30_000;
const NATS_PATIENCE_MS = 5_000;
/** After the time that instances are waited for, in milliseconds: what JetStream may take besides. */
const CALL_GRACE_MS = 10_000;

/**
 * Runs several workers on one port and keeps them running. It has no stream and no connection to NATS itself: what it does
 * must never wait for what they do. It is where they hear of each other, and what operators ask.
 */
export class Primary {
  /** Resolves when no worker can be kept running, with the reason. */
  readonly failed: Promise<Error>;
  readonly #options: PrimaryOptions;
  readonly #log: Logger;
  readonly #slots: readonly Slot[];
  readonly #workers = new Set<WorkerProcess>();
  readonly #rounds: Rounds<WorkerProcess>;
  readonly #gathering: Gathering;
  readonly #tickets: UsedTickets;
  readonly #clock: Clock;
  readonly #ops: OpsServer;
  readonly #api: Api;
  #config: Config;
  #port: HeldPort | undefined;
  #phase: 'starting' | 'running' | 'draining' = 'starting';
  /** One replacement at a time. */
  #replacing: Promise<void> = Promise.resolve();
  #isRolling = false;
  /** What each worker was started with, before it was split. */
  readonly #configs = new WeakMap<Placed, Config>();
  /** Who was told to end by somebody else, and is about to be replaced. */
  readonly #signalled = new Set<WorkerProcess>();
  #watching: NodeJS.Timeout | undefined;

  constructor(options: PrimaryOptions) {
    const { config, count, log, clock = systemClock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#config = config;
    let fail: (problem: Error) => void = () => undefined;
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    const slot = {
      clock,
      log,
      spawn: (number: number, { needsNats }: { readonly needsNats: boolean }) =>
        this.#spawn(number, needsNats),
      isServed: () => this.#admitting('listening') > 0,
      stuck: fail,
    };
    this.#slots = Array.from({ length: count }, (_, index) => new Slot({ ...slot, number: index + 1 }));
    this.#rounds = new Rounds(() => this.#admitting('starting', 'listening'));
    const api = this.#createApi();
    this.#api = api;
    this.#gathering = new Gathering(this.#workers, () => api.refused, options.reloads);
    this.#tickets = new UsedTickets({ clock, log, claim: async () => 'alone' });
    this.#ops = new OpsServer({
      listen: config.ops.listen,
      metrics: () => this.#gathering.metrics(),
      unready: async () => (this.#phase === 'running' ? this.#gathering.unready() : this.#phase),
      api,
    });
  }

  /**
   * Starts all workers; resolves when all listen.
   * @throws SidestreamError LISTEN_FAILED, WORKER_DIED, and whatever keeps a worker from starting
   */
  async start(): Promise<{ readonly http: HostPort; readonly ops: HostPort }> {
    this.#port = await holdPort(this.#config.http.listen);
    const http = this.#port.address;
    this.#config = { ...this.#config, http: { ...this.#config.http, listen: http } };
    const ops = await this.#ops.listen();
    await Promise.all(this.#slots.map((slot) => slot.start()));
    this.#phase = 'running';
    const { hungMs = HUNG_MS } = this.#options;
    this.#watching = setInterval(() => void killHung(this.#workers, hungMs, this.#log), hungMs);
    const { count, version } = this.#options;
    const pids = this.#slots.map(({ current }) => current?.pid);
    this.#log.info({ http, ops, workers: count, pids, node: process.version, version }, 'listening');
    return { http, ops };
  }

  /**
   * Has all workers make ready for another config, which differs only in what can change while they run. Not while they are restarted.
   * @throws Error what a worker says is wrong
   */
  prepare(given: Config): Promise<Prepared> {
    const config = this.#adopt(given);
    const { count } = this.#options;
    return prepareWorkers({
      workers: this.#workers,
      share: ({ number }) => shareOf(config, number, count),
      adopt: () => this.#goBy(config),
    });
  }

  /**
   * Replaces one worker after the other, each by one with this config, until one does not start; what the primary process
   * itself goes by stays, but for the token and the log's level. Whether all were replaced.
   */
  async restart(config: Config): Promise<boolean> {
    if (this.#phase !== 'running' || this.#isRolling) {
      this.#log.warn('workers are being started, replaced or drained; not restarted');
      return false;
    }
    this.#isRolling = true;
    const before = this.#config;
    this.#goBy(this.#adopt(config));
    this.#log.info({ workers: this.#slots.length }, 'restarting the workers, one at a time');
    const wanted = this.#config;
    let restarted = 0;
    try {
      for (const slot of this.#slots) {
        await this.#replace(slot, (worker) => this.#configs.get(worker) !== wanted);
        restarted += 1;
      }
      if (this.#isRunning) this.#log.info('all workers were restarted');
      return this.#isRunning;
    } catch (error) {
      this.#goBy(before);
      this.#notRestarted(error, restarted);
      await Promise.all(this.#slots.map((slot) => this.#undo(slot, wanted)));
      return false;
    } finally {
      this.#isRolling = false;
    }
  }

  #createApi(): Api {
    const { config, log } = this.#options;
    const { operations } = CONTROL_HTTP;
    const current = () => this.#config;
    const forwarding = new Forwarding({
      workers: this.#workers,
      get timeoutMs() {
        return current().control.deadlineMs + CALL_GRACE_MS;
      },
      isRead: (name) => operations.some((operation) => operation.name === name && operation.kind === 'read'),
    });
    return new Api({
      ...CONTROL_HTTP,
      token: config.ops.token,
      log,
      clock: this.#clock,
      call: (operation, payload, caller) => forwarding.call({ operation, payload, caller }),
    });
  }

  #notRestarted(error: unknown, restarted: number): void {
    if (!this.#isRunning) return;
    const fields = { error: messageOf(error), restarted, workers: this.#slots.length };
    this.#log.error(fields, 'a new worker does not start; the others go on as they are');
  }

  /** One that died meanwhile may have been started with a config with which it lets no stream in. */
  async #undo(slot: Slot, refused: Config): Promise<void> {
    const { current } = slot;
    if (current === undefined || this.#configs.get(current) !== refused || (await current.letsIn())) return;
    await this.#replace(slot, (worker) => worker === current).catch((error: unknown) => {
      if (this.#isRunning)
        this.#log.error({ error: messageOf(error) }, 'a worker does not start with the config from before');
    });
  }

  /** Fails readiness and lets all workers end their streams, all at the same time; resolves when they are gone. */
  async drain(): Promise<void> {
    this.#phase = 'draining';
    const { timeoutMs } = this.#config.drain;
    this.#log.info({ workers: this.#workers.size, timeoutMs }, 'draining');
    for (const slot of this.#slots) slot.stop();
    for (const worker of this.#workers) worker.drain({});
    while (this.#workers.size > 0) await Promise.all([...this.#workers].map(({ gone }) => gone));
    this.#log.info('drained');
  }

  /** Lets go of everything; workers that still run are killed. */
  async stop(): Promise<void> {
    this.kill();
    clearInterval(this.#watching);
    this.#rounds.stop();
    await this.#ops.stop();
    await this.#port?.release();
    this.#log.info('stopped');
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const slot of this.#slots) slot.stop();
    for (const worker of this.#workers) worker.kill();
  }

  /** What the primary process itself was made with cannot change while it runs. */
  #adopt(config: Config): Config {
    const { ops, log, workers } = this.#options.config;
    const kept = { http: this.#options.config.http.listen, ops: ops.listen, format: log.format, workers };
    const given = {
      http: config.http.listen,
      ops: config.ops.listen,
      format: config.log.format,
      workers: config.workers,
    };
    if (!isDeepStrictEqual(kept, given))
      this.#log.warn(
        'workers, http.listen, ops.listen and log.format do not change while it runs: restart all of it for those',
      );
    return {
      ...config,
      workers,
      ops: { ...config.ops, listen: ops.listen },
      log: { ...config.log, format: log.format },
      http: { ...config.http, listen: this.#config.http.listen },
    };
  }

  /** Whoever is started from now on is started with it. */
  #goBy(config: Config): void {
    const { level } = config.log;
    if (level !== this.#config.log.level) this.#log.level = level;
    this.#config = config;
    this.#api.setToken(config.ops.token);
    this.#gathering.keepRoutes(Object.keys(config.channels));
  }

  get #isRunning(): boolean {
    return this.#phase === 'running';
  }

  #admitting(...states: readonly WorkerProcess['state'][]): number {
    return [...this.#workers].filter(({ state }) => states.includes(state)).length;
  }

  #spawn(number: number, needsNats: boolean): WorkerProcess {
    const { entry, count, version } = this.#options;
    const { startMs = START_MS, patienceMs = NATS_PATIENCE_MS } = this.#options;
    const worker = new WorkerProcess({
      entry,
      config: shareOf(this.#config, number, count),
      number,
      version,
      // At first nobody else could take who comes, and a process alone would not wait either.
      patienceMs: this.#isRunning ? patienceMs : 0,
      needsNats,
      startMs,
      onMessage: (...message) => this.#hear(...message),
      onGone: (...end) => this.#gone(...end),
    });
    this.#configs.set(worker, this.#config);
    this.#workers.add(worker);
    this.#rounds.join(worker);
    return worker;
  }

  #hear(worker: WorkerProcess, message: FromWorker): void {
    if (message.kind === 'changed') this.#rounds.changed();
    else if (message.kind === 'counts') this.#rounds.hear(worker, message.counts, message.failures);
    else if (message.kind === 'claim') void this.#claim(worker, message);
    else if (message.kind === 'signalled') this.#replaceSignalled(worker);
  }

  async #claim(worker: WorkerProcess, { id, key }: { readonly id: number; readonly key: string }) {
    const memoryMs = ticketMemoryMs(this.#config.auth.jwt) ?? 0;
    const claim = await this.#tickets.redeem({ key, untilMs: this.#clock.wall() + memoryMs });
    worker.send({ kind: 'claimed', id, claim: claim === 'expired' ? 'unavailable' : claim });
  }

  #gone(worker: WorkerProcess, how: string): void {
    const hasDied = this.#phase !== 'draining' && this.#slots.some(({ current }) => current === worker);
    this.#workers.delete(worker);
    this.#rounds.leave(worker);
    this.#gathering.gone(worker, { hasDied });
    if (hasDied) for (const slot of this.#slots) void slot.lost(worker, how);
  }

  // One that is to go by itself is one that somebody wants anew; where all are to go, the primary process is told too.
  #replaceSignalled(worker: WorkerProcess): void {
    const slot = this.#slots.find(({ current }) => current === worker);
    if (slot === undefined || !this.#isRunning || this.#signalled.has(worker)) return;
    this.#signalled.add(worker);
    this.#log.info({ worker: worker.number, pid: worker.pid }, 'a worker was told to end; it is replaced');
    this.#replace(slot, (candidate) => candidate === worker)
      .catch((error: unknown) => {
        if (this.#isRunning)
          this.#log.error({ error: messageOf(error) }, 'a new worker does not start; the one before goes on');
      })
      .finally(() => this.#signalled.delete(worker));
  }

  /** At the rate that all may come back with: nobody else ends streams meanwhile. */
  #replace(slot: Slot, isStale: (worker: Placed) => boolean): Promise<void> {
    const { reconnectRatePerSecond } = this.#config.drain;
    const replaced = this.#replacing.then(() =>
      slot.replace(isStale, { closesPort: true, reconnectRatePerSecond }),
    );
    this.#replacing = replaced.catch(() => undefined);
    return replaced;
  }
}
