import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { createLog } from '../../src/log.ts';
import { Primary, type PrimaryOptions } from '../../src/workers/primary.ts';
import { fileConfig, type LogLine } from '../support/bridge.ts';
import { ensureBuild } from '../support/build.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { isAlive } from './running.ts';

const ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The config of two workers that say nothing. */
function configOf(nats?: NatsServer) {
  const file = { ...fileConfig({ workers: 2, drain: { timeout: '1s' } }, nats), log: { level: 'silent' } };
  return parseConfig(JSON.stringify(file), 'test.yaml', {}).config;
}

/** A primary process in this one. */
async function startPrimary(config: Config, times: Pick<PrimaryOptions, 'hungMs' | 'patienceMs'>) {
  await ensureBuild();
  const logs: LogLine[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => logs.push(JSON.parse(line)) });
  const primary = new Primary({ config, count: 2, entry: ENTRY, log, version: '0.0.0-test', ...times });
  onTestFinished(() => primary.stop());
  const { ops } = await primary.start();
  const metric = async (name: string) => {
    const text = await (await fetch(`http://127.0.0.1:${ops.port}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return Number(line?.slice(name.length));
  };
  const logged = (message: string) =>
    poll(`the log line ${message}`, () => logs.find((line) => line.message === message));
  return { primary, logs, metric, logged };
}

test('a worker that hangs is killed and replaced; meanwhile the others are shown as they are', async () => {
  const { metric, logged } = await startPrimary(configOf(), { hungMs: 2000 });
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

test('workers with NATS are not restarted with a config that does not reach it, nor is one that dies later', async () => {
  const nats = await startNats();
  const { primary, logs, metric, logged } = await startPrimary(configOf(nats), { patienceMs: 200 });
  const { pids } = await logged('listening');
  const [pid] = Array.isArray(pids) ? pids.map(Number) : [];
  const connected = async () =>
    (await metric('sidestream_nats_connected{worker="1"}')) === 1 &&
    (await metric('sidestream_nats_connected{worker="2"}')) === 1;
  await poll('both to have NATS', connected);
  await primary.restart(configOf());
  expect(logs.at(-1)).toMatchObject({
    level: 'error',
    message: 'a new worker does not start; the others go on as they are',
    error: expect.stringMatching(/^NATS was not reached within 200 ms/),
    restarted: 0,
    workers: 2,
  });
  expect([await connected(), await metric('sidestream_worker_deaths_total')]).toEqual([true, 0]);
  process.kill(pid ?? 0, 'SIGKILL');
  await logged('a worker died; it is replaced');
  // It is started with the new config now, and must not stay so.
  await primary.restart(configOf());
  expect(logs.findLast(({ level }) => level === 'error')).toMatchObject({ restarted: 1 });
  await poll('one in its place, with NATS', connected);
});
