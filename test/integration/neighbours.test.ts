import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { fileConfig, startBridge } from '../support/bridge.ts';
import { ensureBuild } from '../support/build.ts';
import { writeConfig } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { request } from '../support/stream-client.ts';

test('a second bridge on the port is told so, and takes none of the first one’s connections', async () => {
  const nats = await startNats();
  const first = await startBridge({ nats });
  const http = { listen: `127.0.0.1:${first.httpPort}` };
  await expect(startBridge({ nats, config: { http } })).rejects.toMatchObject({
    code: 'LISTEN_FAILED',
    message: expect.stringContaining('EADDRINUSE'),
  });
  await first.stream('/events/topic.a');
});

test('a stream says Connection: close, so that who is sent away comes back by a new connection', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats });
  expect((await bridge.stream('/events/topic.a')).header('connection')).toBe('close');
});

test('a reader of the log that goes away does not end the process', async () => {
  await ensureBuild();
  const nats = await startNats();
  const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
  const config = writeConfig(fileConfig({}, nats));
  const child = spawn(process.execPath, [main, '--config', config], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let log = '';
  child.stdout.on('data', (text: Buffer) => {
    log += text;
  });
  await poll('it to be connected', () => log.includes('connected to NATS'));
  const port = JSON.parse(log.split('\n').find((line) => line.includes('"listening"')) ?? '{}').http.port;
  child.stdout.destroy();
  for (let i = 0; i < 5; i += 1) {
    const client = await request({ port, target: '/events/topic.a' });
    await client.next('sidestream.open');
    client.destroy();
  }
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
