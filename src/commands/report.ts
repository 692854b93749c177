import { ConfigError, formatProblems } from '../config/load.ts';
import { SidestreamError } from '../errors.ts';
import { UsageError } from './arguments.ts';

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** Says on standard error what went wrong; gives the exit status. */
export function report(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`sidestream: ${error.message}\nTry sidestream --help\n`);
    return EXIT_USAGE;
  }
  if (error instanceof ConfigError) {
    process.stderr.write(`${formatProblems(error.problems)}\n`);
    return EXIT_USAGE;
  }
  if (error instanceof SidestreamError && error.code === 'CONFIG_INVALID') {
    process.stderr.write(`sidestream: ${error.code}: ${error.message}\n`);
    return EXIT_USAGE;
  }
  const text = error instanceof SidestreamError ? `${error.code}: ${error.message}` : String(error);
  process.stderr.write(`sidestream: ${text}\n`);
  return EXIT_FAILURE;
}
