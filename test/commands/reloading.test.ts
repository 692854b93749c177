import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Reloading } from '../../src/commands/reloading.ts';
import { readConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log.ts';
import { ReloadMetrics } from '../../src/metrics.ts';
import { poll } from '../support/poll.ts';

const CONFIG = 'channels:\n  news: { channel: news, subject: news, access: public }\n';

test('a config that fails halfway while it is taken on ends the process: nobody goes on with half of it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidestream-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config.yaml');
  writeFileSync(file, CONFIG);
  const lines: string[] = [];
  const crashes: unknown[] = [];
  const metrics = new ReloadMetrics(0);
  const failure = new Error('halfway');
  const reloading = new Reloading({
    file,
    loaded: readConfig(file),
    service: {
      prepare: async () => ({
        apply: () => {
          throw failure;
        },
        discard: () => undefined,
      }),
    },
    log: createLog({ level: 'debug', format: 'json' }, { write: (line) => void lines.push(line) }),
    metrics,
    crash: (error) => void crashes.push(error),
    settleMs: 1,
  });
  onTestFinished(() => reloading.end());
  reloading.begin();
  reloading.request('reload');
  await poll('it to end', () => crashes.length > 0);
  expect(crashes).toEqual([failure]);
  expect(metrics.applied).toBe(0);
  expect(lines.join('')).not.toContain('reloaded');
  expect(lines.join('')).not.toContain('stays in force');
});
