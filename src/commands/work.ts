import { Worker } from '../workers/worker.ts';
import { EXIT_FAILURE } from './report.ts';
import type { Program } from './serve.ts';

/** Runs one of several workers, for the process that started this one. */
export async function work({ exit }: Pick<Program, 'exit'>): Promise<number> {
  process.stdout.on('error', () => undefined);
  const worker = new Worker();
  process.on('uncaughtException', (error) => {
    worker.crashed(error);
    exit(EXIT_FAILURE);
  });
  return exit(await worker.run());
}
