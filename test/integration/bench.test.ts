import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const RUN = fileURLToPath(new URL('../bench/run.mjs', import.meta.url));

describe('npm run bench', () => {
  it('measures Sidestream beside its peers, loses nothing and leaves no process behind', async () => {
    const args = ['--quick', '--connections', '200', '--only', 'fanout', '--peers', 'uws,node,sidestream'];
    const { code, stdout, stderr, groupIsEmpty } = await run(args);

    expect(stderr).not.toContain('Error');
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).not.toMatch(/LOSS|DOUBLED|ended/);
    const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/));
    const head = rows.findIndex(([first]) => first === 'row');
    expect(rows[head]).toEqual(expect.arrayContaining(['server', 'p50', 'p99', 'client']));
    for (const server of ['uws', 'node', 'sidestream']) {
      const cells = rows.slice(head + 1).find((row) => row.includes(server)) ?? [];
      const [cpuMicros, timesUws, perSecond] = cells.slice(cells.indexOf(server) + 1).map(number);
      expect(cpuMicros, stdout).toBeGreaterThan(0);
      expect(timesUws, stdout).toBeGreaterThan(0);
      expect(perSecond, stdout).toBeGreaterThan(0);
    }
    expect(groupIsEmpty).toBe(true);
  }, 90_000);

  it('gives the figures as JSON, each delivery counted', async () => {
    const { code, stdout, stderr } = await run([
      '--quick',
      '--connections',
      '50',
      '--only',
      'spread',
      '--peers',
      'sidestream',
      '--json',
    ]);

    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout);
    expect(results).toEqual([
      expect.objectContaining({
        row: 'spread',
        server: 'sidestream',
        deliveriesPerSecond: expect.any(Number),
        note: '',
      }),
    ]);
  }, 90_000);

  it.each([
    [['--only', 'fan-out'], 'fan-out is none of'],
    [['--connections', 'many'], 'a number above 0'],
    [['--fast'], '--fast'],
  ])('refuses %j with the usage and exit 2', async (args, complaint) => {
    const { code, stdout, stderr } = await run(args);

    expect(code).toBe(2);
    expect(stderr).toContain(complaint);
    expect(stderr).toContain('--connections N');
    expect(stdout).toBe('');
  });
});

const number = (cell: string) => Number(cell.replaceAll(',', ''));

async function run(args: readonly string[]) {
  // A process group of its own, so that what it leaves behind can be told from everything else.
  const child = spawn(process.execPath, [RUN, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code]: (number | null)[] = await once(child, 'close');
  return { code, stdout, stderr, groupIsEmpty: isEmptyGroup(child.pid ?? 0) };
}

function isEmptyGroup(id: number): boolean {
  try {
    process.kill(-id, 0);
    return false;
  } catch {
    // ESRCH: no process has this group any more.
    return true;
  }
}
