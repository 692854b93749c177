// `npm run soak`: see --help. The run itself is TypeScript and uses what the tests use, so vitest runs it.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { HELP, parseOptions } from './options.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const VITEST = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const CONFIG = fileURLToPath(new URL('vitest.config.ts', import.meta.url));

function readOptions() {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options !== 'help') return options;
    process.stdout.write(HELP);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

function run(options) {
  const env = { ...process.env, SIDESTREAM_SOAK: JSON.stringify(options) };
  const args = [VITEST, 'run', '--config', CONFIG];
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

process.exitCode = await run(readOptions());
