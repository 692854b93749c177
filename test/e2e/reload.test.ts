import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { type Cli, startCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { request } from '../support/stream-client.ts';

const NEWS = { channel: 'news.{id}', subject: 'news.{id}', access: 'public' };
const CHAT = { channel: 'chat', subject: 'chat', access: 'public' };
const REFUSED = 'the config is refused; the one from before stays in force';

const portOf = (address: unknown) => (address as { readonly port: number }).port;

/** The program on a file of its own. */
async function setUp(given: object = {}, write = writeFileSync as (file: string, text: string) => void) {
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  const file = join(temporaryFolder(), 'config.yaml');
  const configOf = (more: object) =>
    JSON.stringify({
      reload: { watch: '100ms' },
      ...fileConfig({ channels: { news: NEWS }, ...given, ...more }, nats),
    });
  write(file, configOf({}));
  const cli = await startCli(['--config', file]);
  const { http, ops } = await cli.logged('listening');
  const [port, opsUrl] = [portOf(http), `http://127.0.0.1:${portOf(ops)}`];
  const open = async (target: string) => {
    const client = await request({ port, target });
    await client.next('sidestream.open');
    return client;
  };
  await poll('a stream', async () => {
    const client = await request({ port, target: '/events/news.a?errors=http' });
    client.destroy();
    return client.status === 200;
  });
  const sample = async (name: string) => {
    const text = await (await fetch(`${opsUrl}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    );
  };
  return { publisher, file, configOf, cli, port, open, sample, write: (text: string) => write(file, text) };
}

const statusOf = async (port: number, target: string) => {
  const client = await request({ port, target: `${target}?errors=http` });
  client.destroy();
  return client.status;
};

const logged = (cli: Cli, message: string, count: number) =>
  poll(
    `${message}, ${count} times`,
    () => cli.logs.filter((line) => line.message === message).length >= count,
  );

describe.each([
  ['one process', {}],
  ['two workers', { workers: 2 }],
])('a config, with %s,', (_, given) => {
  test('is taken on by SIGHUP; a bad one is refused, line by line, and the old one stays; no stream notices', async () => {
    const { publisher, configOf, cli, port, open, sample, write } = await setUp({
      reload: { watch: '0s' },
      ...given,
    });
    const streams = await Promise.all(['a', 'b', 'c', 'd'].map((id) => open(`/events/news.${id}`)));
    write(
      configOf({
        channels: { news: NEWS, chat: CHAT },
        log: { level: 'warn' },
        ops: { listen: '127.0.0.1:1' },
      }),
    );
    cli.signal('SIGHUP');
    await logged(cli, 'the config holds what only a restart takes on; the rest of it is in force', 1);
    expect(await statusOf(port, '/events/chat')).toBe(200);
    expect(await sample('sidestream_config_restart_needed')).toBe(1);
    write('channels: { news: { channel: x, subjct: y } }\nlimits: { connections: many }\n');
    cli.signal('SIGHUP');
    await logged(cli, REFUSED, 1);
    const problems = cli.logs.filter(({ level, line }) => level === 'error' && line !== undefined);
    expect(problems.map(({ line, key }) => `${line} ${key}`)).toContain('2 limits.connections');
    expect(problems.length).toBeGreaterThan(2);
    expect(await statusOf(port, '/events/chat')).toBe(200);
    expect(await sample('sidestream_config_last_reload_successful')).toBe(0);
    expect(await sample('sidestream_config_reloads_total{outcome="refused"}')).toBe(1);
    write(configOf({ channels: { news: NEWS } }));
    cli.signal('SIGHUP');
    await poll('the config', async () => (await sample('sidestream_config_last_reload_successful')) === 1);
    expect(await statusOf(port, '/events/chat')).toBe(404);
    expect(await sample('sidestream_config_restart_needed')).toBe(0);
    expect(await sample('sidestream_config_reloads_total{outcome="applied"}')).toBe(2);
    await publisher.publish('news.a', 'to the first');
    await publisher.publish('news.d', 'to the last');
    expect((await streams[0]?.next())?.data).toBe('to the first');
    expect((await streams[3]?.next())?.data).toBe('to the last');
    expect(await sample('sidestream_connections')).toBe(4);
  }, 90_000);
});

test('a changed file is taken on by itself, also where a link comes to lead elsewhere, as in a Kubernetes volume', async () => {
  let version = 0;
  // What the kubelet does: a new folder, then one rename of the link that all others lead through.
  const publish = (file: string, text: string) => {
    const folder = join(file, '..');
    version += 1;
    mkdirSync(join(folder, `..${version}`));
    writeFileSync(join(folder, `..${version}`, 'config.yaml'), text);
    symlinkSync(`..${version}`, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    if (version === 1) symlinkSync('..data/config.yaml', file);
  };
  const { configOf, cli, port, write } = await setUp({}, publish);
  write(configOf({ channels: { news: NEWS, chat: CHAT } }));
  await logged(cli, 'config reloaded', 1);
  expect(await statusOf(port, '/events/chat')).toBe(200);
  write(configOf({ channels: { news: NEWS } }));
  await logged(cli, 'config reloaded', 2);
  expect(await statusOf(port, '/events/chat')).toBe(404);
});

test('a file that is gone, or names one that is not there yet, is refused once and taken on when it is there', async () => {
  const { file, configOf, cli, port, write, sample } = await setUp();
  renameSync(file, `${file}.away`);
  await logged(cli, REFUSED, 1);
  const token = join(file, '..', 'token');
  write(configOf({ channels: { news: NEWS, chat: CHAT }, ops: { tokenFile: 'token' } }));
  await logged(cli, REFUSED, 2);
  expect(await statusOf(port, '/events/chat')).toBe(404);
  writeFileSync(token, 'a token of sixteen characters or more'.replaceAll(' ', '-'));
  await logged(cli, 'config reloaded', 1);
  expect(await statusOf(port, '/events/chat')).toBe(200);
  expect(await sample('sidestream_config_reloads_total{outcome="refused"}')).toBe(2);
  // The token is in force, and so is the next one: the file is looked at like the config itself.
  writeFileSync(token, 'another-token-of-sixteen-characters');
  await logged(cli, 'config reloaded', 2);
});
