import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('run.mjs', import.meta.url));

describe('npm run soak', () => {
  test.each([
    [['--seed', 'x'], '--seed: a whole number'],
    [['--minutes', '0'], '--minutes: a number from 0.1'],
    [['--fast'], '--fast'],
  ])('refuses %j with the usage and exit 2', async (args, complaint) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stderr).toContain(complaint);
    expect(stderr).toContain('--clients N');
    expect(stdout).toBe('');
  });

  test('says what its options are', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--minutes N');
  });
});

async function run(args: readonly string[]) {
  const child = spawn(process.execPath, [RUN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code]: (number | null)[] = await once(child, 'close');
  return { code, stdout, stderr };
}
