import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { runCli, serve, startCli, writeConfig } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { request } from '../support/stream-client.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

test('serve runs until it is told to stop, and logs JSON lines', async () => {
  const nats = await startNats();
  const { cli, httpPort, opsUrl } = await serve(fileConfig({}, nats));
  await cli.logged('connected to NATS');
  const stream = await request({ port: httpPort, target: '/events/topic.a' });
  await stream.next('sidestream.open');
  expect(await (await fetch(`${opsUrl}/metrics`)).text()).toContain(
    `sidestream_build_info{version="${version}"`,
  );
  cli.signal('SIGTERM');
  expect(await cli.exited()).toBe(0);
  for (const line of cli.logs)
    expect(line).toMatchObject({ level: expect.any(String), message: expect.any(String) });
});

test('serve is what it does when it is told nothing, with ./config.yaml', async () => {
  const cli = await startCli([], { cwd: dirname(writeConfig(fileConfig({}))) });
  await cli.logged('listening');
  cli.signal('SIGINT');
  expect(await cli.exited()).toBe(0);
});

test('values come from the environment', async () => {
  const config = {
    ...fileConfig({}),
    http: { listen: '$' + '{TEST_LISTEN}' },
    log: { level: '$' + '{TEST_LEVEL:-warn}' },
  };
  const cli = await startCli(['-c', writeConfig(config)], {
    env: { TEST_LISTEN: '127.0.0.1:0', TEST_LEVEL: 'info' },
  });
  await cli.logged('listening');
});

describe('what it is asked', () => {
  test('--version tells the version', async () => {
    expect(await runCli(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([[['--help']], [['-h']], [['check', '--help']]])('%j tells how to use it', async (args) => {
    const { status, stdout, stderr } = await runCli(args);
    expect([status, stderr]).toEqual([0, '']);
    for (const word of ['serve', 'check', 'schema', '--config', '--version', 'Exit status'])
      expect(stdout).toContain(word);
  });

  test('schema prints a JSON Schema, an example and a reference', async () => {
    const schema = await runCli(['schema']);
    expect(schema.status).toBe(0);
    expect(JSON.parse(schema.stdout)).toHaveProperty('properties.channels');
    const example = await runCli(['schema', '--example']);
    expect(example.stdout).toBe(readFileSync(new URL('../../config.example.yaml', import.meta.url), 'utf8'));
    const reference = await runCli(['schema', '--markdown']);
    expect(reference.stdout).toBe(
      readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8'),
    );
  });

  test('check says that a good config is good', async () => {
    const file = writeConfig(fileConfig({}));
    const { status, stdout, stderr } = await runCli(['check', '--config', file]);
    expect([status, stdout, stderr]).toEqual([0, `${file}: no problems\n`, '']);
  });
});

const BAD =
  'http:\n  pth: /x\nchannels:\n  a: { channel: a, subject: "a b", access: public }\n  b: { channel: b, subject: b }\n';

describe('bad usage and a bad config end it with 2', () => {
  test.each(['check', 'serve'])('%s lists every problem with its place', async (command) => {
    const file = writeConfig(BAD);
    const { status, stdout, stderr } = await runCli([command, '--config', file]);
    expect([status, stdout]).toEqual([2, '']);
    for (const place of ['2:3: ', '4:', '5:']) expect(stderr).toContain(`${file}:${place}`);
    expect(stderr).toContain('path');
  });

  test('a secret in a bad config is not shown', async () => {
    const secrets = ['token-sesame', 'url-sesame', 'password-sesame'];
    const [token = '', inUrl, password] = secrets;
    // Two ways to log in, and one in a URL: each of them is a problem.
    const auth = { token: '$' + '{TEST_TOKEN}', user: 'bridge', password };
    const config = { ...fileConfig({}), nats: { auth, servers: [`nats://bridge:${inUrl}@127.0.0.1:4222`] } };
    const env = { TEST_TOKEN: token };
    const { status, stdout, stderr } = await runCli(['check', '--config', writeConfig(config)], { env });
    expect(status).toBe(2);
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  });

  test.each([
    ['an unknown option', ['--bogus'], '--bogus'],
    ['an unknown command', ['bogus'], '"bogus"'],
    ['an argument too many', ['check', 'more'], '"more"'],
    ['an option without its value', ['serve', '--config'], '--config'],
  ])('%s', async (_, args, named) => {
    const { status, stdout, stderr } = await runCli(args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sidestream: /);
    expect(stderr).toContain(named);
    expect(stderr).toContain('Try sidestream --help');
  });

  test.each([
    [['--confg', 'x.yaml'], '--confg; did you mean --config?'],
    [['check', '--confg=x.yaml'], '--confg; did you mean --config?'],
    [['token', '--claims', 'a=b'], '--claims; did you mean --claim?'],
    [['--bogus'], '--bogus'],
    [['-x'], '-x'],
  ])('an option misspelt is named, with the one that was meant: %j', async (args, said) => {
    const { status, stderr } = await runCli(args);
    expect([status, stderr]).toEqual([2, `sidestream: unknown option ${said}\nTry sidestream --help\n`]);
  });

  test('a config that is not there, and which one it was', async () => {
    const { status, stderr } = await runCli([], { cwd: temporaryFolder() });
    expect(status).toBe(2);
    expect(stderr).toContain('./config.yaml:1:1: cannot be read (ENOENT)');
  });
});

/** A port of 127.0.0.1, and how to give it up. */
async function takePort(): Promise<{ port: number; free: () => Promise<void> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP server');
  const free = async () => {
    if (server.listening) await once(server.close(), 'close');
  };
  onTestFinished(free);
  return { port: address.port, free };
}

describe('a port that is taken ends it with 1 and a message that says which', () => {
  test.each(['http', 'ops'] as const)('%s.listen', async (section) => {
    const listen = `127.0.0.1:${(await takePort()).port}`;
    const { status, stderr } = await runCli(['--config', writeConfig(fileConfig({ [section]: { listen } }))]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^sidestream: LISTEN_FAILED: cannot listen on ${listen} \\(${section}\\.listen\\)`),
    );
  });

  test('also where the other is a Sidestream, so that no two share their connections by accident', async () => {
    const { port, free } = await takePort();
    await free();
    const config = fileConfig({ http: { listen: `127.0.0.1:${port}` } });
    await serve(config);
    const { status, stderr } = await runCli(['--config', writeConfig(config)]);
    expect([status, stderr.split(':')[1]]).toEqual([1, ' LISTEN_FAILED']);
  });
});

test('a credential that cannot be used ends it with a message that names the file, not what is in it', async () => {
  const nkeySeedFile = writeConfig('SUAM-not-a-seed');
  const config = fileConfig({ nats: { auth: { nkeySeedFile } } });
  const { status, stderr } = await runCli(['--config', writeConfig(config)]);
  expect(status).toBe(1);
  expect(stderr).toContain(nkeySeedFile);
  expect(stderr).not.toContain('SUAM-not-a-seed');
});
