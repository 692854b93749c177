import { parseArgs } from 'node:util';
import { closest } from '../config/spelling.ts';
import { messageOf } from '../errors.ts';
import { DOCTOR_OPTIONS } from './doctor-options.ts';

/** What was asked for makes no sense; the text says why. */
export class UsageError extends Error {}

const OPTIONS = {
  config: { type: 'string', short: 'c', default: './config.yaml' },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
  example: { type: 'boolean', default: false },
  markdown: { type: 'boolean', default: false },
  openapi: { type: 'boolean', default: false },
  ready: { type: 'boolean', default: false },
  sub: { type: 'string' },
  claim: { type: 'string', multiple: true, default: [] as string[] },
  ttl: { type: 'string' },
  ticket: { type: 'boolean', default: false },
  issuer: { type: 'string' },
  key: { type: 'string' },
  ...DOCTOR_OPTIONS,
} as const;

/** Commands that are about something besides the config. */
const WITH_OPERAND: ReadonlySet<string> = new Set(['doctor']);

/** Node's own complaint advises to write `--` before it, which is never what was meant. */
function refuseUnknownOptions(args: string[]): void {
  const { tokens } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== 'option' || Object.hasOwn(OPTIONS, token.name)) continue;
    const meant = closest(token.name, Object.keys(OPTIONS));
    const hint = meant === undefined ? '' : `; did you mean --${meant}?`;
    throw new UsageError(`unknown option ${token.rawName}${hint}`);
  }
}

/**
 * The command, what it is about, the config's file and all options.
 * @throws UsageError with what is wrong, and what may have been meant
 */
export function readArguments(args: string[]) {
  try {
    refuseUnknownOptions(args);
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: OPTIONS });
    const [command = 'serve', ...given] = positionals;
    const [operand, rest] = WITH_OPERAND.has(command) ? [given[0], given.slice(1)] : [undefined, given];
    if (rest[0] !== undefined) {
      const hint = /\.ya?ml$/.test(rest[0]) ? `; did you mean --config ${rest[0]}?` : '';
      throw new UsageError(`unexpected argument ${JSON.stringify(rest[0])}${hint}`);
    }
    return { command, operand, config: values.config, flags: values };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(messageOf(error));
  }
}
