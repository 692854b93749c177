// What `npm run stress` and `npm run soak` share. The runs themselves are TypeScript and use what the tests use, so vitest runs them.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const VITEST = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));

/**
 * Reads the command line, runs vitest with the config at `config`, the options as JSON in the environment's `variable`, and
 * sets the exit status: vitest's, or 2 where an option makes no sense.
 */
export async function longRun({ help, parseOptions, config, variable }) {
  const options = readOptions(help, parseOptions);
  if (options === undefined) return;
  const env = { ...process.env, [variable]: JSON.stringify(options) };
  const args = [VITEST, 'run', '--config', fileURLToPath(config)];
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] });
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

function readOptions(help, parseOptions) {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options !== 'help') return options;
    process.stdout.write(help);
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${help}`);
    process.exitCode = 2;
  }
  return undefined;
}
