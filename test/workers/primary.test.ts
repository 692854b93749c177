import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log.ts';
import { Primary } from '../../src/workers/primary.ts';
import { fileConfig, type LogLine } from '../support/bridge.ts';
import { ensureBuild } from '../support/build.ts';
import { poll } from '../support/poll.ts';
import { isAlive } from './running.ts';

const ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A primary process in this one, with two workers of its own that say nothing. */
async function startPrimary(hungMs: number) {
  await ensureBuild();
  const file = { ...fileConfig({ workers: 2 }), log: { level: 'silent' } };
  const { config } = parseConfig(JSON.stringify(file), 'test.yaml', {});
  const logs: LogLine[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => logs.push(JSON.parse(line)) });
  const primary = new Primary({ config, count: 2, entry: ENTRY, log, version: '0.0.0-test', hungMs });
  onTestFinished(() => primary.stop());
  const { ops } = await primary.start();
  const metric = async (name: string) => {
    const text = await (await fetch(`http://127.0.0.1:${ops.port}/metrics`)).text();
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  };
  const logged = (message: string) =>
    poll(`the log line ${message}`, () => logs.find((line) => line.message === message));
  return { metric, logged };
}

test('a worker that hangs is killed and replaced; meanwhile the others are shown as they are', async () => {
  const { metric, logged } = await startPrimary(2000);
  const { pids } = await logged('listening');
  const pid = Array.isArray(pids) ? Number(pids[0]) : 0;
  process.kill(pid, 'SIGSTOP');
  expect(await metric('sidestream_workers')).toBe(2);
  expect(await metric('sidestream_worker_answers_missed_total')).toBeGreaterThan(0);
  expect(await logged('a worker does not answer; it is killed')).toMatchObject({ level: 'error', pid });
  await logged('a worker died; it is replaced');
  await poll('another in its place', async () => (await metric('sidestream_workers')) === 2);
  expect(isAlive(pid)).toBe(false);
});
