import { setTimeout as sleep } from 'node:timers/promises';
import type { Bridge } from '../bridge/contract.ts';
import { systemClock } from '../clock.ts';
import { ConfigError, type LoadedConfig } from '../config/load.ts';
import { planOf } from '../config/plan.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, SidestreamError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ReloadMetrics } from '../metrics.ts';
import {
  type Contents,
  changedContents,
  contentsOf,
  fingerprintOf,
  readAgain,
  type SeenConfig,
} from './config-files.ts';

/** What goes by a config. */
export interface Reloadable extends Pick<Bridge, 'prepare'> {
  /** Replaces its processes by such as were started with the config; whether all were. Absent where there is only this one. */
  restart?(config: Config): Promise<boolean>;
}

export interface ReloadingOptions {
  readonly file: string;
  /** As the start read it, and what it saw. */
  readonly start: SeenConfig;
  readonly service: Reloadable;
  readonly log: Logger;
  readonly metrics: ReloadMetrics;
  /** Ends the process for what should not have happened. */
  readonly crash: (error: unknown) => void;
  /** How long files must stay as they are before they are read, in milliseconds. Default: 200. */
  readonly settleMs?: number;
}

/** Somebody may write a file bit by bit; who never stops is not waited for. */
const SETTLE_MS = 200;
const MAX_SETTLES = 25;
/** Of the problems of a file that is refused; `sidestream check` prints them all. */
const MAX_LOGGED = 100;
/** What was refused for something else than what stands in the files is tried again after so long, in milliseconds. */
const RETRY_MS = 60_000;
/** What stands in the files is read again after so many times as long as that took: everything waits while it is read. */
const READING_REST = 20;

/** `reload`: what can change changes. `restart`: processes are replaced, which takes on what a start does. */
type Request = 'reload' | 'restart';

/**
 * Takes on the config's file anew: when a signal asks for it, and when it or a file that it names has changed. One after the other; what is asked
 * for meanwhile is done once, by what the files are then. Whatever is wrong, the config from before stays.
 */
export class Reloading {
  readonly #options: ReloadingOptions;
  /** What the processes were built for. */
  #started: Config;
  #running: Config;
  #startedContents: Promise<Contents>;
  #files: readonly string[];
  /** The files as they were when they were last read. */
  #seen: string;
  /** How long they took to be read then, in milliseconds. */
  #readMs = 0;
  /** What was said of the config that was refused last; absent where it was taken. */
  #refusal: { readonly text: string; readonly isLasting: boolean; readonly atMs: number } | undefined;
  /** What was last said to need a restart. */
  #saidRestart = '';
  readonly #wanted = new Set<Request>();
  #isBusy = false;
  #isOpen = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReloadingOptions) {
    const { loaded, seen } = options.start;
    const { config, files } = loaded;
    this.#options = options;
    this.#started = config;
    this.#running = config;
    this.#files = [options.file, ...files];
    this.#seen = seen;
    this.#startedContents = contentsOf(config);
  }

  /** To be called when the service runs: does what was asked for meanwhile, and begins to look at the files. */
  begin(): void {
    this.#isOpen = true;
    this.#watch();
    void this.#run();
  }

  /** Nothing is taken on any more. */
  end(): void {
    this.#isOpen = false;
    this.#wanted.clear();
    clearTimeout(this.#timer);
  }

  /** Asks for it. Never throws; what comes of it is told to the log and the metrics. */
  request(request: Request): void {
    const { service, log } = this.#options;
    if (request === 'restart' && service.restart === undefined) {
      log.warn('SIGUSR2 restarts workers, one at a time; there is only one process');
      return;
    }
    this.#wanted.add(request);
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#isBusy || !this.#isOpen) return;
    this.#isBusy = true;
    while (this.#isOpen && this.#wanted.size > 0) {
      const isRestart = this.#wanted.has('restart');
      this.#wanted.clear();
      await this.#take(isRestart, { isQuiet: false });
    }
    this.#isBusy = false;
  }

  #watch(): void {
    const { watchMs } = this.#running.reload;
    clearTimeout(this.#timer);
    // Off; looked at again, since a signal may switch it on.
    this.#timer = setTimeout(() => void this.#look(watchMs > 0), watchMs > 0 ? watchMs : 1_000);
    this.#timer.unref();
  }

  async #look(isOn: boolean): Promise<void> {
    if (isOn && !this.#isBusy && this.#wanted.size === 0) {
      const seen = await fingerprintOf(this.#files);
      if (seen !== this.#seen) this.request('reload');
      else if (this.#isWorthRetrying()) await this.#retry();
    }
    if (this.#isOpen) this.#watch();
  }

  // A file that it names may have come meanwhile, which nobody knew to look at; an issuer may be there again.
  #isWorthRetrying(): boolean {
    if (this.#refusal === undefined) return false;
    const { isLasting, atMs } = this.#refusal;
    return systemClock.now() - atMs >= (isLasting ? READING_REST * this.#readMs : RETRY_MS);
  }

  async #retry(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    await this.#take(false, { isQuiet: true });
    this.#isBusy = false;
    void this.#run();
  }

  /** Never rejects. */
  async #take(isRestart: boolean, { isQuiet }: { readonly isQuiet: boolean }): Promise<void> {
    try {
      await this.#settle();
      const loaded = this.#read();
      // Changed while it was read: what was read is taken on, and then what there is by now.
      if ((await fingerprintOf(this.#files)) !== this.#seen) this.#wanted.add('reload');
      this.#files = [this.#options.file, ...loaded.files];
      this.#seen = await fingerprintOf(this.#files);
      if (isRestart) await this.#restart(loaded);
      else await this.#apply(loaded);
    } catch (error) {
      this.#refused(error, isQuiet);
    }
  }

  /** @throws ConfigError */
  #read(): LoadedConfig {
    const beganMs = systemClock.now();
    try {
      return readAgain(this.#options.file);
    } finally {
      this.#readMs = systemClock.now() - beganMs;
    }
  }

  /** Waits until the files stay as they are. */
  async #settle(): Promise<void> {
    const { settleMs = SETTLE_MS } = this.#options;
    for (let looks = 0; looks < MAX_SETTLES; looks += 1) {
      const before = this.#seen;
      this.#seen = await fingerprintOf(this.#files);
      if (this.#seen === before) return;
      await sleep(settleMs);
    }
  }

  async #apply({ config, notices }: LoadedConfig): Promise<void> {
    const { service, log, crash } = this.#options;
    const plan = planOf({ started: this.#started, running: this.#running }, config);
    const contents = changedContents(await this.#startedContents, await contentsOf(config));
    const prepared = await service.prepare(plan.config);
    if (!this.#isOpen) {
      prepared.discard();
      return;
    }
    try {
      await prepared.apply();
    } catch (error) {
      // Half of it may be in force: better to start anew than to go on with that.
      crash(error);
      return;
    }
    this.#running = plan.config;
    for (const { line, column, path, message } of notices) log.warn({ line, column, key: path }, message);
    log.info({ changed: plan.changed }, 'config reloaded');
    this.#applied([...plan.restart, ...contents]);
  }

  async #restart({ config }: LoadedConfig): Promise<void> {
    const contents = contentsOf(config);
    await contents;
    const isDone = await this.#options.service.restart?.(config);
    if (isDone !== true) throw new Error('not all workers were restarted; the log says why');
    // What the process that holds the port goes by stays as it was.
    const { http, ops, workers, log: logging } = this.#started;
    this.#started = {
      ...config,
      workers,
      http: { ...config.http, listen: http.listen },
      ops: { ...config.ops, listen: ops.listen },
      log: { ...config.log, format: logging.format },
    };
    this.#running = this.#started;
    this.#startedContents = contents;
    this.#applied(planOf({ started: this.#started, running: this.#running }, config).restart);
  }

  #applied(restart: readonly string[]): void {
    const { metrics, log } = this.#options;
    metrics.applied += 1;
    metrics.isLastSuccessful = true;
    metrics.lastSuccessMs = systemClock.wall();
    metrics.needsRestart = restart.length > 0;
    this.#refusal = undefined;
    const said = restart.join();
    if (said !== '' && said !== this.#saidRestart)
      log.warn(
        { keys: restart },
        'the config holds what only a restart takes on; the rest of it is in force',
      );
    this.#saidRestart = said;
  }

  #refused(error: unknown, isQuiet: boolean): void {
    const { metrics, log, file } = this.#options;
    const text = messageOf(error);
    const isLasting = error instanceof ConfigError;
    const isNews = text !== this.#refusal?.text;
    this.#refusal = { text, isLasting, atMs: systemClock.now() };
    metrics.isLastSuccessful = false;
    if (isQuiet && !isNews) return;
    metrics.refused += 1;
    if (error instanceof ConfigError)
      for (const { line, column, path, message } of error.problems.slice(0, MAX_LOGGED))
        log.error({ line, column, key: path }, message);
    const code = error instanceof SidestreamError ? error.code : undefined;
    const why = error instanceof ConfigError ? { problems: error.problems.length } : { error: text };
    log.error({ file, code, ...why }, 'the config is refused; the one from before stays in force');
  }
}
