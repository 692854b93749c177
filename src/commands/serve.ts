import { createBridge } from '../bridge/bridge.ts';
import type { Bridge } from '../bridge/contract.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, SidestreamError } from '../errors.ts';
import { createLog, type Logger } from '../log.ts';
import { ReloadMetrics } from '../metrics.ts';
import { workerCount } from '../workers/cpus.ts';
import { Primary } from '../workers/primary.ts';
import { readAtStart } from './config-files.ts';
import { type Reloadable, Reloading } from './reloading.ts';
import { EXIT_FAILURE, EXIT_OK, report } from './report.ts';

/** The program that serves. */
export interface Program {
  /** Its file, which workers are started with. */
  readonly entry: string;
  readonly version: string;
  /** Ends the process, whatever still holds its event loop. */
  readonly exit: (status: number) => never;
}

/** Runs until a signal, drains, and gives the exit status. */
export async function serve(file: string, program: Program): Promise<number> {
  const { exit } = program;
  const start = readAtStart(file);
  const { config, notices } = start.loaded;
  // EPIPE: whoever read the log has gone. The streams have not.
  process.stdout.on('error', () => undefined);
  const log = createLog(config.log, process.stdout);
  for (const { line, column, path, message } of notices) log.warn({ line, column, key: path }, message);
  let kill = () => {};
  const signalled = firstSignal(log, () => {
    kill();
    exit(EXIT_FAILURE);
  });
  const metrics = new ReloadMetrics(systemClock.wall());
  const service = createService(config, log, metrics, program);
  kill = () => service.kill?.();
  const crash = (error: unknown) => {
    log.fatal(
      { error: error instanceof Error ? (error.stack ?? String(error)) : error },
      'uncaught exception',
    );
    exit(EXIT_FAILURE);
  };
  const reloading = new Reloading({ file, start, service, log, metrics, crash });
  process.on('SIGHUP', () => reloading.request('reload'));
  process.on('SIGUSR2', () => reloading.request('restart'));
  process.on('uncaughtException', crash);
  try {
    await service.start();
    reloading.begin();
    const signal = await Promise.race([signalled, failureOf(service)]);
    log.info({ signal }, 'signal received');
  } catch (error) {
    await service.stop();
    // At once: a NATS server that takes connections and says nothing would hold the process for its time-out.
    return exit(report(logged(log, error)));
  }
  reloading.end();
  await service.drain();
  await service.stop();
  // Whatever might still hold the event loop must not hold the process.
  return exit(EXIT_OK);
}

/** What `serve` runs: a bridge, or whoever keeps several of them running. */
interface Service extends Pick<Bridge, 'start' | 'drain' | 'stop'>, Reloadable {
  /** Ends the processes that were started, at once. */
  kill?(): void;
  /** Resolves where it cannot go on. */
  readonly failed?: Promise<Error>;
}

function createService(
  config: Config,
  log: Logger,
  reloads: ReloadMetrics,
  { entry, version }: Program,
): Service {
  const count = workerCount(config.workers);
  if (count === 1) return createBridge({ config, log, version, reloads });
  return new Primary({ config, count, entry, log, version, reloads });
}

async function failureOf({ failed }: Service): Promise<never> {
  // Without one nothing of the kind can happen.
  throw await (failed ?? new Promise<Error>(() => undefined));
}

/** The failure of a start belongs in the log too: collectors do not read standard error. */
function logged(log: Logger, error: unknown): unknown {
  const code = error instanceof SidestreamError ? error.code : undefined;
  log.fatal({ code, error: messageOf(error) }, 'cannot start');
  return error;
}

/** The first SIGTERM or SIGINT; the second one calls `end`. */
function firstSignal(log: Logger, end: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let received = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (received) {
        log.warn({ signal }, 'second signal; exiting at once');
        return end();
      }
      received = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
