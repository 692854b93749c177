import { readFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';

/** Kept for what is not a stream: the ops port (or a probe would take a full process for a dead one), NATS, files. */
const RESERVED = 64;

/**
 * How many streams fit into this process's limit on open files, or `undefined` where the system does not say. Without
 * a descriptor a client cannot even be refused: it waits, and so does whoever asks `/livez`.
 */
export function streamsThatFit(limitsFile = '/proc/self/limits'): number | undefined {
  let text: string;
  try {
    text = readFileSync(limitsFile, 'utf8');
  } catch {
    // ENOENT: not Linux.
    return undefined;
  }
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Math.max(1, Number(soft) - RESERVED);
}

/** Streams that this process may have open, by its files; says so in the log where the config wants more. */
export function seatsFor(
  { limits: { connections }, workers }: Pick<Config, 'limits' | 'workers'>,
  { isAlone, log }: { readonly isAlone: boolean; readonly log: Logger },
): number {
  const fitting = streamsThatFit() ?? connections;
  const processes = isAlone || workers === 'auto' ? 1 : workers;
  if (fitting * processes < connections)
    log.warn(
      { limit: connections, fitting },
      'limits.connections is above what the limit on open files allows; streams beyond that are refused (raise it: ulimit -n, LimitNOFILE)',
    );
  return fitting;
}
