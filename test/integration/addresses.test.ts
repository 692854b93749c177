import { describe, expect, test } from 'vitest';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { RawClient } from '../support/raw-client.ts';

/** One stream an address. */
async function onePerAddress(http: NonNullable<FileConfig['http']>): Promise<TestBridge> {
  return startBridge({ nats: await startNats(), config: { http, limits: { connectionsPerIp: 1 } } });
}

const BEHIND_A_PROXY = { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] };

/** Asks with these header lines; gives the status. The stream stays open. */
async function ask(bridge: TestBridge, ...lines: readonly string[]): Promise<number> {
  const raw = await RawClient.connect(bridge.httpPort);
  raw.send(
    `GET /events/topic.a?errors=http HTTP/1.1\r\nHost: x\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`,
  );
  await raw.received(/\r\n\r\n/);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(raw.text)?.[1]);
}

describe('behind trusted proxies', () => {
  test('each client has an address of its own, as the nearest proxy saw it', async () => {
    const bridge = await onePerAddress(BEHIND_A_PROXY);
    expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.1')).toBe(200);
    expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.2')).toBe(200);
    expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.1')).toBe(429);
    expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.1, 10.1.2.3')).toBe(429);
  });

  test('what a client claims before its proxy’s word counts for nothing', async () => {
    const bridge = await onePerAddress(BEHIND_A_PROXY);
    expect(await ask(bridge, 'X-Forwarded-For: 198.51.100.1, 192.0.2.1')).toBe(200);
    expect(await ask(bridge, 'X-Forwarded-For: 198.51.100.2, 192.0.2.1')).toBe(429);
    expect(await ask(bridge, 'X-Forwarded-For: 10.9.9.9, 192.0.2.1')).toBe(429);
  });

  test('a proxy that adds a header line of its own below the client’s is believed, not the client', async () => {
    const bridge = await onePerAddress(BEHIND_A_PROXY);
    expect(await ask(bridge, 'X-Forwarded-For: 198.51.100.1', 'X-Forwarded-For: 192.0.2.1')).toBe(200);
    expect(await ask(bridge, 'X-Forwarded-For: 198.51.100.2', 'X-Forwarded-For: 192.0.2.1')).toBe(429);
    expect(await ask(bridge, 'X-Forwarded-For: 198.51.100.1')).toBe(200);
  });

  test('the header that the config does not name is not read', async () => {
    const bridge = await onePerAddress(BEHIND_A_PROXY);
    expect(await ask(bridge, 'Forwarded: for=192.0.2.1', 'X-Forwarded-For: 192.0.2.7')).toBe(200);
    expect(await ask(bridge, 'Forwarded: for=192.0.2.2', 'X-Forwarded-For: 192.0.2.7')).toBe(429);
  });

  test('Forwarded is understood where the config names it', async () => {
    const bridge = await onePerAddress({ ...BEHIND_A_PROXY, forwardedHeader: 'forwarded' });
    expect(await ask(bridge, 'Forwarded: for=192.0.2.1;proto=https')).toBe(200);
    expect(await ask(bridge, 'Forwarded: for=198.51.100.1, For="192.0.2.1:4711";by=10.0.0.1')).toBe(429);
    expect(await ask(bridge, 'Forwarded: for="[2001:db8::1]:4711"')).toBe(200);
    expect(await ask(bridge, 'Forwarded: proto=https;for="[2001:db8::ffff:1]"')).toBe(429);
  });

  test('clients of one IPv6 network of 64 bits share its limit', async () => {
    const bridge = await onePerAddress(BEHIND_A_PROXY);
    expect(await ask(bridge, 'X-Forwarded-For: 2001:db8:0:1::1')).toBe(200);
    expect(await ask(bridge, 'X-Forwarded-For: 2001:DB8:0:1:ffff::2')).toBe(429);
    expect(await ask(bridge, 'X-Forwarded-For: 2001:db8:0:2::1')).toBe(200);
  });

  test.each(['', 'unknown', '_hidden', 'localhost', '999.1.1.1', '<script>', ','.repeat(1000)])(
    'a header that tells nothing (%.10s) leaves the proxy’s own address',
    async (value) => {
      const bridge = await onePerAddress(BEHIND_A_PROXY);
      expect(await ask(bridge, `X-Forwarded-For: ${value}`)).toBe(200);
      expect(await ask(bridge)).toBe(429);
    },
  );
});

test('without trusted proxies no header moves anybody to another address', async () => {
  const bridge = await onePerAddress({ trustedProxies: [] });
  expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.1')).toBe(200);
  expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.2')).toBe(429);
  expect(await ask(bridge, 'Forwarded: for=192.0.2.2')).toBe(429);
});

test('a peer that is no trusted proxy is not believed', async () => {
  const bridge = await onePerAddress({ trustedProxies: ['10.0.0.0/8'] });
  expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.1')).toBe(200);
  expect(await ask(bridge, 'X-Forwarded-For: 192.0.2.2')).toBe(429);
});

test('an address has room again when its stream has ended', async () => {
  const bridge = await startBridge({ nats: await startNats(), config: { limits: { connectionsPerIp: 2 } } });
  const streams = [await bridge.stream('/events/topic.a'), await bridge.stream('/events/topic.a')];
  for (let i = 0; i < 5; i += 1) {
    expect((await bridge.request('/events/topic.a?errors=http')).status).toBe(429);
    streams.shift()?.destroy();
    await poll('the stream to be noticed as closed', () => bridge.metrics.connections === 1);
    streams.push(await bridge.stream('/events/topic.a'));
  }
});
