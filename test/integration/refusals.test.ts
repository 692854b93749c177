import { describe, expect, test } from 'vitest';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import type { StreamClient } from '../support/stream-client.ts';

const ORIGIN = 'https://app.example.com';
const http = { cors: { origins: [ORIGIN], credentials: true } };
const sse = { retry: '3s..10s' };

/** A bridge that has no room for one more stream on `topic.a`, because of `limits`. */
async function full(limits: NonNullable<FileConfig['limits']>): Promise<TestBridge> {
  const clock = new ManualClock({ random: Math.random });
  const bridge = await startBridge({ nats: await startNats(), clock, config: { http, sse, limits } });
  await bridge.stream('/events/topic.a');
  return bridge;
}

async function draining(): Promise<TestBridge> {
  const bridge = await startBridge({ nats: await startNats(), config: { http, sse } });
  await bridge.drain();
  return bridge;
}

const OVERLOADS: readonly (readonly [
  code: string,
  status: number,
  target: string,
  make: () => Promise<TestBridge>,
])[] = [
  ['CONNECTION_LIMIT', 503, '/events/topic.a', () => full({ connections: 1 })],
  ['CONNECTION_LIMIT_IP', 429, '/events/topic.a', () => full({ connectionsPerIp: 1 })],
  [
    'CONNECTION_LIMIT_CHANNEL',
    503,
    '/events?channels=topic.b,topic.a',
    () => full({ connectionsPerChannel: 1 }),
  ],
  ['CHANNEL_LIMIT', 503, '/events/topic.b', () => full({ channels: 1 })],
  ['CONNECT_RATE', 503, '/events/topic.a', () => full({ connectRate: '1/s' })],
  ['DRAINING', 503, '/events/topic.a', draining],
  ['NATS_NOT_READY', 503, '/events/topic.a', () => startBridge({ config: { http, sse } })],
];

function expectCors(client: StreamClient): void {
  expect(client.header('access-control-allow-origin')).toBe(ORIGIN);
  expect(client.header('access-control-allow-credentials')).toBe('true');
  expect(client.header('access-control-expose-headers')).toBe('Retry-After');
  expect(client.header('vary')).toBe('Origin');
}

async function refusals(bridge: TestBridge, code: string): Promise<number | undefined> {
  return bridge.sample(`sidestream_requests_refused_total{reason="${code}"}`);
}

test('channels of too many logs are refused with how many they are, and how many may be', async () => {
  const route = (channel: string) => [
    channel,
    { channel, subject: channel, stream: channel.toUpperCase(), access: 'public' },
  ];
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const channels = Object.fromEntries(names.map(route));
  const bridge = await startBridge({ nats: await startNats(), config: { channels } });
  const client = await bridge.request(`/events?channels=${names.join()}`);
  await client.ended();
  expect(client.status).toBe(400);
  expect(JSON.parse(client.body).error).toEqual({
    code: 'LOGS_TOO_MANY',
    message:
      'The channels are of more than five logs (streams and buckets; all core routes count as one). (a,b,c,d,e,f: 6 logs)',
  });
});

test('a refusal is logged, at debug, with the channel and who asked for it', async () => {
  const bridge = await startBridge({
    nats: await startNats(),
    config: { http: { trustedProxies: ['127.0.0.1'] } },
  });
  const headers = { 'X-Forwarded-For': '192.0.2.7' };
  await (await bridge.request('/events?channels=topic.a,nobody.knows', { headers })).ended();
  expect(await bridge.logged('request refused')).toMatchObject({
    level: 'debug',
    code: 'CHANNEL_UNKNOWN',
    channel: 'nobody.knows',
    address: '192.0.2.7',
  });
});

describe.each(OVERLOADS)('what may be better later: %s', (code, status, target, make) => {
  test('a native EventSource is asked in-band to come back, since any status but 200 would stop it for good', async () => {
    const bridge = await make();
    const before = bridge.metrics.connections;
    const client = await bridge.request(target, { headers: { Origin: ORIGIN } });
    const close = await client.next('sidestream.close');
    await client.ended();
    await client.closed();

    expect(client.status).toBe(200);
    expect(client.header('content-type')).toBe('text/event-stream');
    expect(client.header('cache-control')).toBe('private, no-cache, no-store, no-transform');
    expect(client.head.headers.filter(([name]) => name === 'connection')).toEqual([['connection', 'close']]);
    expect(close.retry).toBeGreaterThanOrEqual(3000);
    expect(close.retry).toBeLessThanOrEqual(10_000);
    expect(client.body).toBe(
      `retry: ${close.retry}\nevent: sidestream.close\ndata: {"reason":"overloaded","code":"${code}","retry":${close.retry}}\n\n`,
    );
    expectCors(client);
    expect(await refusals(bridge, code)).toBe(1);
    expect(bridge.metrics.connections).toBe(before);
  });

  test.each([
    ['that carries Authorization', '', { Authorization: 'Bearer x' }],
    ['that asks for ?errors=http', 'errors=http', {}],
  ])('a request %s gets the status and when to come back', async (_, query, headers) => {
    const bridge = await make();
    const client = await bridge.request(`${target}${target.includes('?') ? '&' : '?'}${query}`, {
      headers: { Origin: ORIGIN, ...headers },
    });
    await client.ended();
    await client.closed();

    expect(client.status).toBe(status);
    expect(client.header('content-type')).toBe('application/json');
    expect(client.header('cache-control')).toBe('no-store');
    expect(client.header('retry-after')).toMatch(/^([3-9]|10)$/);
    expect(JSON.parse(client.body).error.code).toBe(code);
    expectCors(client);
    expect(await refusals(bridge, code)).toBe(1);
  });
});

test('without control events a native EventSource that is refused gets the retry line alone', async () => {
  const bridge = await startBridge({ config: { sse: { control: false } } });
  const client = await bridge.request('/events/topic.a');
  await client.ended();
  expect(client.status).toBe(200);
  expect(client.body).toMatch(/^retry: \d+\n\n$/);
});

test('refusals come with different times to come back', async () => {
  const bridge = await startBridge({ config: { sse } });
  const times = new Set<number | undefined>();
  for (let i = 0; i < 10; i += 1) {
    const client = await bridge.request('/events/topic.a');
    await client.ended();
    times.add(client.retryMs);
  }
  expect(times.size).toBeGreaterThan(1);
});

test('what will never be better is a status to a native EventSource too', async () => {
  const bridge = await startBridge({ nats: await startNats() });
  for (const [target, status] of [
    ['/events/other', 404],
    ['/events/topic.*', 400],
    ['/nowhere', 404],
  ] as const)
    expect((await bridge.request(target)).status).toBe(status);
});
