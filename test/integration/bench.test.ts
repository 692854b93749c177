import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const RUN = fileURLToPath(new URL('../bench/run.mjs', import.meta.url));

const hasPerl = spawnSync('perl', ['-MSocket', '-MIO::Select', '-e', '1']).status === 0;

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

  it('shows what compression costs a delivery, of which it takes nothing of the heap', async () => {
    const size = ['--connections', '400', '--rate', '100', '--seconds', '2', '--rounds', '2'];
    const { code, stdout, stderr } = await run(['--only', 'fanout-gzip', '--json', ...size]);

    expect(code, stdout + stderr).toBe(0);
    const { results } = JSON.parse(stdout);
    const figures = { cpuMicros: some, heapBytes: some, p50Ms: some, p99Ms: some };
    expect(results).toEqual([
      line('fanout-gzip', 'sidestream', { ...figures, timesBase: some }),
      line('fanout-gzip', 'no gzip', { ...figures, timesBase: 1 }),
    ]);
    const [compressed, plain]: { heapBytes: number }[] = results;
    expect(compressed?.heapBytes).toBeLessThan((plain?.heapBytes ?? 0) + SMALLEST_OBJECT_BYTES);
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

  it('sets a channel with one subscriber beside a fan-out that never stops, and times who connects', async () => {
    const size = ['--connections', '500', '--seconds', '1', '--rounds', '1'];
    const { code, stdout, stderr } = await run(['--only', 'slices', '--json', ...size]);

    expect(code, stdout + stderr).toBe(0);
    const small = { p50Ms: some, p99Ms: some, visitP99Ms: some };
    expect(JSON.parse(stdout).results).toEqual([
      line('slices', 'fan-out never stops', {
        ...small,
        fanoutMs: some,
        p99OfFanout: some,
        visitOfFanout: some,
      }),
      line('slices', 'fan-out at times', small),
      line('slices', 'no fan-out', small),
    ]);
  }, 90_000);

  it.skipIf(!hasPerl)(
    'sets who keeps up beside readers that do not, and has each policy act on these',
    async () => {
      const size = ['--connections', '200', '--seconds', '1.5', '--rounds', '1'];
      const { code, stdout, stderr } = await run(['--only', 'slow', '--json', ...size]);

      expect(code, stdout + stderr).toBe(0);
      const { results } = JSON.parse(stdout);
      expect(results).toEqual(
        ['close', 'drop', 'latest'].flatMap((policy) => [
          line('slow', `${policy}, slow ones`, { p99Times: some, pendingBytes: some }),
          line('slow', `${policy}, none slow`, { p99Ms: some }),
        ]),
      );
      const [close, , drop, , latest]: { closed: number; spared: number }[] = results;
      expect(close?.closed).toBeGreaterThan(0);
      expect(drop).toMatchObject({ closed: 0, spared: expect.toSatisfy((events: number) => events > 0) });
      expect(latest).toMatchObject({ closed: 0, spared: expect.toSatisfy((events: number) => events > 0) });
    },
    90_000,
  );

  it('shows what other transports, polls, shaping and workers cost, each beside what they are compared with', async () => {
    const rows = 'fanout-ndjson,fanout-workers,poll,shaped';
    const size = ['--connections', '200', '--seconds', '0.6', '--rounds', '1'];
    const { code, stdout, stderr } = await run(['--only', rows, '--json', ...size]);

    expect(code, stdout + stderr).toBe(0);
    const cost = { cpuMicros: some, timesBase: some };
    expect(JSON.parse(stdout).results).toEqual([
      line('fanout-ndjson', 'sidestream', cost),
      line('fanout-ndjson', 'sse', cost),
      line('fanout-workers', 'sidestream', cost),
      line('fanout-workers', 'one process', cost),
      line('poll', 'sidestream', cost),
      line('poll', 'sse', cost),
      line('shaped', 'throttle: 100ms', cost),
      line('shaped', 'redact, map', cost),
      line('shaped', 'raw', cost),
    ]);
  }, 90_000);

  it('follows how cost grows with connections and channels, up to one for each', async () => {
    const rows = 'grow-connections,grow-channels';
    const size = ['--connections', '200', '--seconds', '0.4', '--rounds', '1', '--peers', 'sidestream,uws'];
    const { code, stdout, stderr } = await run(['--only', rows, '--json', ...size]);

    expect(code, stdout + stderr).toBe(0);
    const { results } = JSON.parse(stdout);
    const step = { cpuMicros: some, timesBase: some, growth: some };
    expect(results).toEqual([
      ...[2, 20, 200, 380].map((n) =>
        line('grow-connections', `${n} connections`, { ...step, idleMicros: some }),
      ),
      ...['1 channel', '2 channels', '20 channels', '200 channels'].map((n) =>
        line('grow-channels', n, step),
      ),
    ]);
  }, 120_000);

  it('tells where the CPU time of one row goes', async () => {
    const size = ['--connections', '300', '--rate', '50', '--seconds', '1', '--rounds', '1'];
    const { code, stdout, stderr } = await run([
      '--profile',
      'fanout',
      '--json',
      '--peers',
      'sidestream',
      ...size,
    ]);

    expect(code, stdout + stderr).toBe(0);
    const { results, profiles } = JSON.parse(stdout);
    expect(results).toEqual([line('fanout', 'sidestream', { cpuMicros: some })]);
    expect(profiles).toHaveLength(1);
    const { profile }: { profile: { groups: Record<string, number>; top: unknown[] } } = profiles[0];
    expect(profile.top.length).toBeGreaterThan(0);
    expect(sumOf(profile.groups)).toBeCloseTo(1);
    // Of the rest a window as short as this may have caught nothing.
    expect(profile.groups).toMatchObject({ 'uWebSockets.js: writing (native, the kernel)': some });
  }, 90_000);

  it.each([
    [['--profile', 'fanout-workers'], 'one process'],
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

const sumOf = (shares: Readonly<Record<string, number>>) =>
  Object.values(shares).reduce((sum, share) => sum + share, 0);

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
