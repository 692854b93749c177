import { expect, it, onTestFinished } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { WorkerProcess } from '../../src/workers/worker-process.ts';
import { fileConfig } from '../support/bridge.ts';
import { temporaryFile } from '../support/folder.ts';

it('a worker that hangs while it starts is killed, and the reason is told', async () => {
  const { config } = parseConfig(JSON.stringify(fileConfig({})), 'test.yaml', {});
  const ends: string[] = [];
  const worker = new WorkerProcess({
    entry: temporaryFile('setInterval(() => {}, 1000);', 'hangs.mjs'),
    config,
    number: 1,
    version: '0.0.0-test',
    patienceMs: 0,
    needsNats: false,
    startMs: 200,
    onMessage: () => undefined,
    onGone: (_, how) => ends.push(how),
  });
  onTestFinished(() => worker.kill());
  const how = 'it did not listen within 200 ms';
  expect(await worker.started).toEqual({ kind: 'died', how });
  await worker.gone;
  expect([worker.state, ends]).toEqual(['gone', [how]]);
});
