import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const RUN = fileURLToPath(new URL('../bench/run.mjs', import.meta.url));

/** What one allocation per delivery would take of the heap at least: a number in V8's own box. */
const SMALLEST_OBJECT_BYTES = 16;
/** Of every event: what a copy would take at least. */
const DATA_BYTES = 128;

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
      const [cpuMicros, timesBase, perSecond] = cells.slice(cells.indexOf(server) + 1).map(number);
      expect(cpuMicros, stdout).toBeGreaterThan(0);
      expect(timesBase, stdout).toBeGreaterThan(0);
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

  it('shows what tokens cost: to connect, per delivery, and in a storm of new ones', async () => {
    const rows = 'connect-token,fanout-token,storm';
    const size = ['--connections', '400', '--rate', '100', '--seconds', '2', '--rounds', '2'];
    const { code, stdout, stderr } = await run(['--only', rows, '--json', ...size]);

    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout);
    expect(results).toEqual([
      line('connect-token', 'sidestream', { cpuMicros: some, timesBase: some }),
      line('connect-token', 'no token', { cpuMicros: some, timesBase: 1 }),
      line('fanout-token', 'sidestream', { cpuMicros: some, timesBase: some, heapBytes: some }),
      line('fanout-token', 'no token', { cpuMicros: some, timesBase: 1, heapBytes: some }),
      line('storm', 'new tokens', { cpuMicros: some, verifyMicros: some, p50Ms: some, p99Ms: some }),
      line('storm', 'known tokens', { cpuMicros: some, p50Ms: some, p99Ms: some }),
      line('storm', 'no storm', { p50Ms: some, p99Ms: some }),
    ]);
    const [withToken, without]: { heapBytes: number }[] = results.slice(2, 4);
    expect(withToken?.heapBytes).toBeLessThan((without?.heapBytes ?? 0) + SMALLEST_OBJECT_BYTES);
  }, 90_000);

  it('shows what history costs: per delivery, and in memory, which subscribers share', async () => {
    const rows = 'spread-history,history';
    const size = ['--connections', '500', '--seconds', '0.3', '--rounds', '1'];
    const { code, stdout, stderr } = await run(['--only', rows, '--json', ...size]);

    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout);
    expect(results).toEqual([
      line('spread-history', 'sidestream', { cpuMicros: some, timesBase: some }),
      line('spread-history', 'no history', { cpuMicros: some, timesBase: 1 }),
      line('history', '1 subscriber', { heapBytes: some, bytesPerEvent: some }),
      line('history', '50 subscribers', { heapBytes: some, bytesPerEvent: some }),
    ]);
    const forMany: { heapBytes: number } = results[3];
    expect(forMany.heapBytes).toBeLessThan(50 * DATA_BYTES);
  }, 90_000);

  it('has all clients come back at once, from memory or by one read a channel, and each with what it missed', async () => {
    const size = ['--connections', '200', '--seconds', '0.4', '--rounds', '2'];
    const { code, stdout, stderr } = await run(['--only', 'resume-one,resume-many', '--json', ...size]);

    expect(code, stdout + stderr).toBe(0);
    const { results } = JSON.parse(stdout);
    const storm = { cpuMicros: some, stormSeconds: some, p99Ms: some };
    expect(results).toEqual([
      line('resume-one', 'from memory', { ...storm, channels: 1, reads: 0 }),
      line('resume-one', 'from stream', { ...storm, channels: 1, reads: 1 }),
      line('resume-one', 'no storm', { p99Ms: some }),
      line('resume-many', 'from memory', { ...storm, channels: 20, reads: 0 }),
      line('resume-many', 'from stream', { ...storm, channels: 20, reads: 20 }),
      line('resume-many', 'no storm', { p99Ms: some }),
    ]);
  }, 90_000);

  it('follows a stream beside a bare loop and loses nothing of it', async () => {
    const size = ['--connections', '50', '--seconds', '0.4', '--rounds', '1'];
    const { code, stdout, stderr } = await run(['--only', 'tail,tail-most', '--json', ...size]);

    expect(code, stdout + stderr).toBe(0);
    const figures = { cpuMicros: some, timesBase: some, deliveriesPerSecond: some };
    expect(JSON.parse(stdout).results).toEqual(
      ['tail', 'tail-most'].flatMap((row) => [
        line(row, 'sidestream', figures),
        line(row, 'bare loop', { ...figures, timesBase: 1 }),
      ]),
    );
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

const some = expect.any(Number);

/** A line of the table on which nothing went wrong. */
function line(row: string, server: string, figures: Readonly<Record<string, unknown>>) {
  return expect.objectContaining({ row, server, note: '', ...figures });
}

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
