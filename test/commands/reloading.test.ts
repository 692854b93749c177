import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { readAtStart } from '../../src/commands/config-files.ts';
import { type Reloadable, Reloading, type ReloadingOptions } from '../../src/commands/reloading.ts';
import { ConfigError, readConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log.ts';
import { ReloadMetrics } from '../../src/metrics.ts';
import { poll } from '../support/poll.ts';

vi.mock('../../src/config/load.ts', { spy: true });

const CONFIG = 'channels:\n  news: { channel: news, subject: news, access: public }\n';

/** On a file that is taken on at the start; whatever comes of it later. */
function start(more = '', { prepare, crash }: Partial<Reloadable & Pick<ReloadingOptions, 'crash'>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'sidestream-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config.yaml');
  writeFileSync(join(folder, 'a.creds'), 'some');
  writeFileSync(file, `${CONFIG}${more}`);
  const lines: string[] = [];
  const metrics = new ReloadMetrics(0);
  const reloading = new Reloading({
    file,
    start: readAtStart(file),
    service: {
      prepare: prepare ?? (async () => ({ apply: () => undefined, discard: () => undefined })),
    },
    log: createLog({ level: 'debug', format: 'json' }, { write: (line) => void lines.push(line) }),
    metrics,
    crash:
      crash ??
      ((error) => {
        throw error;
      }),
    settleMs: 1,
  });
  onTestFinished(() => reloading.end());
  reloading.begin();
  return { folder, file, reloading, metrics, logged: () => lines.join('') };
}

test('a config that fails halfway while it is taken on ends the process: nobody goes on with half of it', async () => {
  const crashes: unknown[] = [];
  const failure = new Error('halfway');
  const apply = () => {
    throw failure;
  };
  const { reloading, metrics, logged } = start('reload: { watch: 0s }\n', {
    prepare: async () => ({ apply, discard: () => undefined }),
    crash: (error) => void crashes.push(error),
  });
  reloading.request('reload');
  await poll('it to end', () => crashes.length > 0);
  expect(crashes).toEqual([failure]);
  expect(metrics.applied).toBe(0);
  expect(logged()).not.toContain('reloaded');
  expect(logged()).not.toContain('stays in force');
});

test('a config of many problems is refused in a hundred lines and their number', async () => {
  const { file, reloading, metrics, logged } = start('reload: { watch: 0s }\n');
  writeFileSync(file, CONFIG + Array.from({ length: 300 }, (_, n) => `unknown${n}: true\n`).join(''));
  reloading.request('reload');
  await poll('it to be refused', () => metrics.refused === 1);
  const lines = logged().trim().split('\n');
  expect(lines.length).toBe(101);
  expect(lines.at(-1)).toContain('"problems":300');
});

test('a refused config that takes long to read is read again and again, but not most of the time', async () => {
  const { file, reloading, metrics } = start('reload: { watch: 100ms }\n');
  const reads: { readonly beganMs: number; readonly endedMs: number }[] = [];
  vi.mocked(readConfig).mockImplementation(() => {
    const beganMs = performance.now();
    while (performance.now() < beganMs + 50);
    reads.push({ beganMs, endedMs: performance.now() });
    throw new ConfigError('CONFIG_INVALID', [{ file, line: 1, column: 1, path: '', message: 'is wrong' }]);
  });
  onTestFinished(() => void vi.mocked(readConfig).mockRestore());
  reloading.request('reload');
  await poll('it to be read three times', () => reads.length === 3);
  expect(metrics.refused).toBe(1);
  for (const [index, { beganMs, endedMs }] of reads.slice(0, -1).entries())
    expect((reads[index + 1]?.beganMs ?? 0) - endedMs).toBeGreaterThan(10 * (endedMs - beganMs));
});

test('a config that is a pipe by now is refused, and holds nobody', async () => {
  const { file, reloading, metrics, logged } = start('reload: { watch: 0s }\n');
  rmSync(file);
  execFileSync('mkfifo', [file]);
  reloading.request('reload');
  await poll('it to be refused', () => metrics.refused === 1);
  expect(logged()).toContain('is not a regular file');
});

test('credentials that have changed in their file take a restart, and it is said; none where they are again what they were', async () => {
  const more = 'nats: { auth: { credsFile: a.creds } }\nreload: { watch: 0s }\n';
  const { folder, reloading, metrics, logged } = start(more);
  const reload = async () => {
    const before = metrics.applied;
    reloading.request('reload');
    await poll('it to be taken on', () => metrics.applied > before);
  };
  await reload();
  expect(metrics.needsRestart).toBe(false);
  writeFileSync(join(folder, 'a.creds'), 'others');
  await reload();
  expect(metrics.needsRestart).toBe(true);
  expect(logged()).toContain('"keys":["nats.auth.credsFile"]');
  writeFileSync(join(folder, 'a.creds'), 'some');
  await reload();
  expect(metrics.needsRestart).toBe(false);
});

test('a config that is ready when the process has begun to end is let go of, not gone by', async () => {
  const done: string[] = [];
  let goOn = () => {};
  const waiting = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const { reloading, metrics } = start('reload: { watch: 0s }\n', {
    async prepare() {
      done.push('prepared');
      await waiting;
      return { apply: () => void done.push('applied'), discard: () => void done.push('discarded') };
    },
  });
  reloading.request('reload');
  await poll('it to be prepared', () => done.length === 1);
  reloading.end();
  reloading.request('reload');
  goOn();
  await poll('it to be let go of', () => done.length === 2);
  expect(done).toEqual(['prepared', 'discarded']);
  expect(metrics).toMatchObject({ applied: 0, refused: 0 });
});
