import { createLog, type Logger } from '../../src/log.ts';

export interface RecordedLog {
  readonly log: Logger;
  /** Every line of every level, as it would be written. */
  readonly lines: string[];
}

/** A log that keeps all that is said. */
export function recordLog(): RecordedLog {
  const lines: string[] = [];
  const log = createLog({ level: 'trace', format: 'json' }, { write: (line) => void lines.push(line) });
  return { log, lines };
}
