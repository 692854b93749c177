import type { Logger } from '../log.ts';
import type { WorkerProcess } from './worker-process.ts';

/** A worker, as far as it is watched. */
export type Watched = Pick<WorkerProcess, 'number' | 'pid' | 'state' | 'ask' | 'kill'>;

/**
 * Kills the workers that listen and do not answer within `hungMs`: one that hangs still has its part of the connections, and
 * leaves them waiting. One that starts or drains has a time-out of its own.
 */
export async function killHung(workers: Iterable<Watched>, hungMs: number, log: Logger): Promise<void> {
  const listening = [...workers].filter(({ state }) => state === 'listening');
  await Promise.all(
    listening.map(async (worker) => {
      const answer = await worker.ask('readiness', hungMs);
      if (answer !== undefined || worker.state !== 'listening') return;
      log.error({ worker: worker.number, pid: worker.pid, hungMs }, 'a worker does not answer; it is killed');
      worker.kill();
    }),
  );
}
