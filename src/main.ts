#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readArguments, UsageError } from './commands/arguments.ts';
import { check } from './commands/check.ts';
import { health } from './commands/health.ts';
import { HELP } from './commands/help.ts';
import { print } from './commands/print.ts';
import { report } from './commands/report.ts';
import { schema } from './commands/schema.ts';
import type { Program } from './commands/serve.ts';
import { token } from './commands/token.ts';

async function main(argv: string[]): Promise<number> {
  const { command, operand, config, flags } = readArguments(argv);
  if (flags.help || command === 'help') return print(HELP);
  if (flags.version) return print(`${version}\n`);
  switch (command) {
    case 'serve':
      // Loaded when it is wanted: it is nearly all there is, and `health` is run again and again.
      return (await import('./commands/serve.ts')).serve(config, program);
    case 'check':
      return check(config);
    case 'health':
      return health(config, flags);
    case 'doctor':
      return (await import('./commands/doctor.ts')).doctor(operand, flags);
    case 'token':
      return token(config, flags);
    case 'schema':
      return schema(flags, version);
    case 'worker':
      // Not for people: whoever starts one talks to it.
      if (process.send !== undefined) return (await import('./commands/work.ts')).work(program);
      throw new UsageError('unknown command "worker"');
    default:
      throw new UsageError(`unknown command ${JSON.stringify(command)}`);
  }
}

function readVersion(): string {
  const manifest: { version?: string } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  return manifest.version ?? '0.0.0';
}

const version = readVersion();
const program: Program = {
  entry: fileURLToPath(import.meta.url),
  version,
  exit: (status) => process.exit(status),
};

process.exitCode = await main(process.argv.slice(2)).catch(report);
