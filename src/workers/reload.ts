import type { Prepared } from '../bridge/reload.ts';
import type { Config } from '../config/schema.ts';
import type { WorkerProcess } from './worker-process.ts';

/** A worker, as far as another config goes. */
export type Reloadable = Pick<WorkerProcess, 'state' | 'prepare' | 'apply' | 'send' | 'kill'>;

export interface ReloadOptions<W extends Reloadable> {
  /** All that live. */
  readonly workers: ReadonlySet<W>;
  /** A worker's part of the config. */
  share(worker: W): Config;
  /** Has whoever is started from now on go by the config. */
  adopt(): void;
}

/** How long a worker may take to make ready, in milliseconds: it may only be starting, and wait for an issuer's keys. */
const PREPARE_MS = 60_000;
/** How long it may take to say that it has done what cannot fail. */
const APPLY_MS = 10_000;

/**
 * Has all workers make ready for another config; where one of them cannot, none goes by it.
 * @throws Error what a worker says is wrong, or that it does not answer
 */
export async function prepareWorkers<W extends Reloadable>(options: ReloadOptions<W>): Promise<Prepared> {
  const { workers, share, adopt } = options;
  const ready = new Set<W>();
  const discard = () => {
    for (const worker of ready) worker.send({ kind: 'discard' });
  };
  const missing = () => [...workers].filter((worker) => isThere(worker) && !ready.has(worker));
  // Who was started meanwhile was started with the config from before.
  for (let waiting = missing(); waiting.length > 0; waiting = missing()) {
    const results = await Promise.allSettled(
      waiting.map(async (worker) => {
        if (await worker.prepare(share(worker), PREPARE_MS)) ready.add(worker);
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) continue;
    discard();
    throw failed.reason;
  }
  return {
    async apply() {
      const late = missing();
      adopt();
      await Promise.all([
        ...[...ready].filter(isThere).map((worker) => worker.apply(APPLY_MS)),
        ...late.map((worker) => follow(worker, share(worker))),
      ]);
    },
    discard,
  };
}

function isThere({ state }: Reloadable): boolean {
  return state === 'starting' || state === 'listening';
}

/** One that was started between the last look and the change. Where it cannot follow another is started in its place. */
async function follow(worker: Reloadable, config: Config): Promise<void> {
  try {
    if (await worker.prepare(config, PREPARE_MS)) await worker.apply(APPLY_MS);
  } catch {
    // What the worker said is wrong was not wrong for any other.
    worker.kill();
  }
}
