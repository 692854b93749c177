import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { runCli, writeConfig } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';

/** Asks by a config that says where the ops port is. */
const health = (listen: string, ...options: string[]) =>
  runCli(['health', '--config', writeConfig({ ops: { listen } }), ...options]);

/** Listens and never says a word; gives its port. */
async function startSilence(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test('a process that answers is healthy, and one that takes streams is ready', async () => {
  const { opsUrl } = await startBridge();
  const { host } = new URL(opsUrl);
  expect(await health(host)).toEqual({
    status: 0,
    stdout: `healthy: ${opsUrl}/livez answered 200: ok\n`,
    stderr: '',
  });
  expect(await health(host, '--ready')).toMatchObject({
    status: 0,
    stdout: `healthy: ${opsUrl}/readyz answered 200: ok\n`,
  });
});

test('one that drains is alive and not ready, and says so', async () => {
  const bridge = await startBridge();
  const { host } = new URL(bridge.opsUrl);
  await bridge.drain();
  expect(await health(host)).toMatchObject({ status: 0 });
  expect(await health(host, '--ready')).toEqual({
    status: 1,
    stdout: '',
    stderr: `unhealthy: ${bridge.opsUrl}/readyz answered 503: draining\n`,
  });
});

test.each([
  ['0.0.0.0', '127.0.0.1'],
  ['[::]', '[::1]'],
  ['[::1]', '[::1]'],
  ['localhost', 'localhost'],
])('what listens at %s is asked at %s', async (listen, asked) => {
  const { opsUrl } = await startBridge({ config: { ops: { listen: `${listen}:0` } } });
  const { port } = new URL(opsUrl);
  expect(await health(`${listen}:${port}`)).toMatchObject({
    status: 0,
    stdout: `healthy: http://${asked}:${port}/livez answered 200: ok\n`,
  });
});

test('nobody there, and somebody who says nothing, are unhealthy', async () => {
  const port = await startSilence();
  expect(await health(`127.0.0.1:${port}`)).toEqual({
    status: 1,
    stdout: '',
    stderr: `unhealthy: http://127.0.0.1:${port}/livez: no answer within 2 s\n`,
  });
  // Nothing listens on the discard port.
  const nobody = await health('127.0.0.1:9');
  expect(nobody).toMatchObject({ status: 1, stdout: '' });
  expect(nobody.stderr).toMatch(/^unhealthy: http:\/\/127\.0\.0\.1:9\/livez: connect ECONNREFUSED .*\n$/);
});

test('a file that was spoilt or removed after the start does not make the process unhealthy', async () => {
  const { opsUrl } = await startBridge();
  const { host, port } = new URL(opsUrl);
  const spoilt = `ops: { listen: "${host}" }\nchannels: [nonsense]\nunknown: 1\n`;
  expect(await runCli(['health', '-c', writeConfig(spoilt)])).toMatchObject({ status: 0 });
  const named = writeConfig({ ops: { listen: '$' + '{TEST_OPS}' } });
  expect(await runCli(['health', '-c', named], { env: { TEST_OPS: `:${port}` } })).toMatchObject({
    status: 0,
  });
});

test('where nothing says where it is, it is asked where it is by default', async () => {
  const folders = ['ops: [\n', 'ops: { listen: x }\n'].map((text) => dirname(writeConfig(text)));
  for (const cwd of [...folders, temporaryFolder()]) {
    const { stdout, stderr } = await runCli(['health'], { cwd });
    // Something may well listen there on this machine.
    expect(stdout + stderr).toContain('http://127.0.0.1:9090/livez');
  }
});
