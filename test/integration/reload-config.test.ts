import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { secretToken } from '../auth/tokens.ts';
import { type FileConfig, startBridge } from '../support/bridge.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { AUTH, answerTo, bearer, now, signed } from './protected.ts';

const OPEN = { open: { channel: 'open', subject: 'open', access: 'public' } };
const CHANNELS = {
  ...OPEN,
  mine: { channel: 'user-{id}', subject: 'users.{id}', access: { where: { id: '{claims.sub}' } } },
};
const OTHER = 'another secret of more than thirty-two bytes';
const TARGET = '/events/user-42?errors=http';

const start = async (config: FileConfig) =>
  startBridge({
    nats: await startNats(),
    config: { channels: config.auth === undefined ? OPEN : CHANNELS, ...config },
  });
const claims = () => ({ claims: { sub: '42', iat: now() - 60, exp: now() + 600 } });

test('lower limits refuse who is new, and nobody who is there', async () => {
  const bridge = await start({});
  const streams = [await bridge.stream('/events/open'), await bridge.stream('/events/open')];
  await bridge.reload({ channels: OPEN, limits: { connections: 1 } });
  expect(await answerTo(bridge, '/events/open?errors=http')).toBe('503 CONNECTION_LIMIT');
  expect(bridge.metrics.connections).toBe(2);
  for (const stream of streams) stream.destroy();
  await poll('both gone', () => bridge.metrics.connections === 0);
  expect(await answerTo(bridge, '/events/open')).toBe('200');
});

test('a limit for each address counts those who came while there was none, and forgets them when they go', async () => {
  const bridge = await start({});
  const streams = [await bridge.stream('/events/open'), await bridge.stream('/events/open')];
  const limits = { connectionsPerIp: 2 };
  await bridge.reload({ channels: OPEN, limits });
  expect(await answerTo(bridge, '/events/open?errors=http')).toBe('429 CONNECTION_LIMIT_IP');
  streams[0]?.destroy();
  await poll('one gone', () => bridge.metrics.connections === 1);
  await bridge.stream('/events/open');
  expect(await answerTo(bridge, '/events/open?errors=http')).toBe('429 CONNECTION_LIMIT_IP');
  await bridge.reload({ channels: OPEN });
  await bridge.stream('/events/open');
  // Counted anew, not on top of what was counted the first time.
  await bridge.reload({ channels: OPEN, limits: { connectionsPerIp: 4 } });
  await bridge.stream('/events/open');
  expect(await answerTo(bridge, '/events/open?errors=http')).toBe('429 CONNECTION_LIMIT_IP');
});

test('another rate of new streams holds for what is asked beside them, too', async () => {
  const channels = { open: { ...OPEN.open, presence: true } };
  const bridge = await start({ channels });
  await bridge.stream('/events/open');
  const present = async () => {
    const answer = await bridge.request('/events/open/presence');
    await answer.ended();
    return answer.status === 200 ? 200 : JSON.parse(answer.body).error.code;
  };
  await bridge.reload({ channels, limits: { connectRate: '1/m' } });
  expect(await present()).toBe(200);
  expect(await present()).toBe('REQUEST_RATE');
  await bridge.reload({ channels });
  expect(await present()).toBe(200);
});

test('origins, the path of streams and retry are those of the new config', async () => {
  const bridge = await start({});
  const origin = { headers: { Origin: 'https://app.example' } };
  const before = await bridge.stream('/events/open', origin);
  expect(before.header('access-control-allow-origin')).toBeUndefined();
  await bridge.reload({
    channels: OPEN,
    http: { path: '/live', cors: { origins: ['https://app.example'] } },
    sse: { retry: '77s..78s' },
  });
  const after = await bridge.stream('/live/open', origin);
  expect(after.header('access-control-allow-origin')).toBe('https://app.example');
  expect(after.retryMs).toBeGreaterThanOrEqual(77_000);
  expect(await answerTo(bridge, '/events/open?errors=http')).toBe('404 NOT_FOUND');
});

test('a key that is withdrawn opens no stream more, not for a token that was known; another one does at once', async () => {
  const bridge = await start({ auth: AUTH });
  const token = await signed({ sub: '42' });
  const other = await secretToken(OTHER, 'HS256', claims());
  const stream = await bridge.stream('/events/user-42', bearer(token));
  expect(await answerTo(bridge, TARGET, bearer(other))).toBe('401 TOKEN_INVALID');
  const jwt = { ...AUTH.jwt, keys: [{ secret: OTHER }] };
  await bridge.reload({ channels: CHANNELS, auth: { ...AUTH, jwt } });
  expect(await answerTo(bridge, TARGET, bearer(token))).toBe('401 TOKEN_INVALID');
  expect(await answerTo(bridge, TARGET, bearer(other))).toBe('200');
  // Its stream lasts as long as its token: `revoke` ends those.
  expect(stream.body).not.toContain('sidestream.close');
});

test('what stays of auth is not checked again', async () => {
  const bridge = await start({ auth: AUTH });
  const token = await signed({ sub: '42' });
  await bridge.stream('/events/user-42', bearer(token));
  await bridge.reload({
    channels: { ...CHANNELS, more: { ...CHANNELS.open, channel: 'more', subject: 'more' } },
    auth: AUTH,
  });
  await bridge.stream('/events/user-42', bearer(token));
  expect(await bridge.sample('sidestream_token_checks_total{result="miss"}')).toBe(1);
});

test('a key that is of no use, or a key set that cannot be fetched, refuses the whole config', async () => {
  const bridge = await start({ auth: AUTH });
  const keyFile = join(temporaryFolder(), 'key.pem');
  writeFileSync(keyFile, 'not a key');
  const more = { ...CHANNELS, more: { ...CHANNELS.open, channel: 'more', subject: 'more' } };
  const jwts = [
    { algorithms: ['RS256'], keys: [{ publicKeyFile: keyFile }] },
    { algorithms: ['RS256'], jwksUrl: 'http://127.0.0.1:9/keys' },
  ];
  for (const jwt of jwts)
    await expect(bridge.reload({ channels: more, auth: { ...AUTH, jwt } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  expect(await answerTo(bridge, '/events/more?errors=http')).toBe('404 CHANNEL_UNKNOWN');
  expect(await answerTo(bridge, TARGET, bearer(await signed({ sub: '42' })))).toBe('200');
});

test('what takes a restart is named, and the rest is in force', async () => {
  const bridge = await start({});
  (await bridge.stream('/events/open')).destroy();
  await bridge.logged('stream ended');
  const restart = await bridge.reload({
    channels: { open: { ...OPEN.open, presence: true } },
    auth: AUTH,
    nats: { name: 'other' },
    http: { listen: '127.0.0.1:1' },
    limits: { connections: 1, requestHeaders: '32KiB' },
    log: { format: 'text', level: 'warn' },
    sse: { control: false },
  });
  expect([...restart].sort()).toEqual([
    'auth.jwt',
    'channels.open.presence',
    'http.listen',
    'limits.requestHeaders',
    'log.format',
    'nats',
    'sse.control',
  ]);
  await bridge.stream('/events/open');
  expect(await answerTo(bridge, '/events/open?errors=http')).toBe('503 CONNECTION_LIMIT');
  expect(bridge.logs.at(-1)?.message).toBe('stream ended');
  expect(await bridge.reload({ channels: OPEN })).toEqual([]);
});
