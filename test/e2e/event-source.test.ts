import { EventSource } from 'eventsource';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { TestBridgeOptions } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { startServed } from '../support/served.ts';
import { launchChromium, noChromium } from './chromium.ts';
import { openPage } from './page.ts';

const CHANNELS = {
  prices: { channel: 'prices.{symbol}', subject: 'market.prices.{symbol}', access: 'public', event: 'price' },
  logs: { channel: 'logs-{host}', subject: 'logs.{host}.>', access: 'public', event: 'log' },
};
/** Short enough for a test to see a reconnection, long enough to be one. */
const SSE = { retry: '200ms..300ms' };

async function setUp(options: Omit<TestBridgeOptions, 'nats'> = {}) {
  const nats = await startNats();
  const bridge = await startServed({
    nats,
    ...options,
    config: { channels: CHANNELS, sse: SSE, ...options.config },
  });
  const publisher = await startPublisher(nats);
  return { nats, bridge, publisher, url: `http://127.0.0.1:${bridge.httpPort}/events` };
}

describe.skipIf(noChromium !== undefined)('a native EventSource in Chromium', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  it('gets the events of several channels over one connection, by name, with their lines and ids', async () => {
    const page = await openPage(browser);
    const { nats, publisher, url } = await setUp({ config: { http: { cors: { origins: [page.origin] } } } });
    await page.watch(`${url}?channels=prices.ACME,logs-web`, ['price', 'log', 'sidestream.open']);
    const open = await page.event('sidestream.open');
    expect(JSON.parse(open.data).channels).toEqual([
      { channel: 'prices.ACME', resume: 'live', replayed: 0 },
      { channel: 'logs-web', resume: 'live', replayed: 0 },
    ]);
    await nats.subscribed('logs.web.>');
    await publisher.publish('market.prices.ACME', '{"price":1}');
    await publisher.publish('logs.web.nginx.error', 'one\ntwo\rthree\r\nfour — ümläut');
    expect(await page.event('price')).toMatchObject({ data: '{"price":1}' });
    expect(await page.event('log')).toMatchObject({ data: 'one\ntwo\nthree\nfour — ümläut' });
    const ids = (await page.seen()).map(({ id }) => Number(id.split('.')[1]));
    expect(ids).toHaveLength(3);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  });

  it('comes back by itself after it was refused for a limit, and gets in once there is room', async () => {
    const page = await openPage(browser);
    const { bridge, url } = await setUp({
      config: { http: { cors: { origins: [page.origin] } }, limits: { connections: 1 } },
    });
    const first = await bridge.stream('/events/prices.ACME');
    await page.watch(`${url}/prices.ACME`, ['sidestream.open', 'sidestream.close']);
    const refused = JSON.parse((await page.event('sidestream.close', 2)).data);
    expect(refused).toMatchObject({ reason: 'overloaded', code: 'CONNECTION_LIMIT' });
    first.destroy();
    await page.event('sidestream.open');
    expect(await page.value('source.readyState')).toBe(1);
  });

  it('stays away for good where it was ended so, and a new one is let in', async () => {
    const page = await openPage(browser);
    const { bridge, url } = await setUp({ config: { http: { cors: { origins: [page.origin] } } } });
    await page.watch(`${url}/prices.ACME`, ['sidestream.open', 'sidestream.close']);
    const { connection } = JSON.parse((await page.event('sidestream.open')).data);
    await bridge.call('disconnect', { connection, reconnect: false });
    expect(JSON.parse((await page.event('sidestream.close')).data)).toMatchObject({ reconnect: false });
    // It came back once, as it must, and was told to give up.
    await page.until('source.readyState === EventSource.CLOSED');
    expect(await bridge.sample('sidestream_requests_refused_total{reason="STREAM_CLOSED"}')).toBe(1);
    await page.watch(`${url}/prices.ACME`, ['sidestream.open']);
    await page.event('sidestream.open', 2);
    expect(await page.value('source.readyState')).toBe(1);
  });

  it('comes back to another process after a drain, with its cursor, and is told that it may have missed something', async () => {
    const page = await openPage(browser);
    const { nats, bridge, url } = await setUp({ config: { http: { cors: { origins: [page.origin] } } } });
    await page.watch(`${url}/prices.ACME`, ['sidestream.open', 'sidestream.close']);
    await page.event('sidestream.open');
    await bridge.drain();
    expect(JSON.parse((await page.event('sidestream.close')).data)).toMatchObject({ reason: 'draining' });
    await bridge.stop();
    const http = { listen: `127.0.0.1:${bridge.httpPort}`, cors: { origins: [page.origin] } };
    await startServed({ nats, config: { channels: CHANNELS, sse: SSE, http } });
    const again = JSON.parse((await page.event('sidestream.open', 2)).data);
    expect(again.channels).toEqual([
      { channel: 'prices.ACME', resume: 'reset', reason: 'epoch', replayed: 0 },
    ]);
  });

  it('learns of a gap after NATS went away and came back, then gets events again, on the connection it had', async () => {
    const page = await openPage(browser);
    const { nats, bridge, url } = await setUp({ config: { http: { cors: { origins: [page.origin] } } } });
    await page.watch(`${url}/prices.ACME`, ['price', 'sidestream.gap']);
    await page.until('opens === 1');
    await nats.kill();
    await poll(
      'the loss to be noticed',
      async () => (await bridge.sample('sidestream_nats_connected')) === 0,
    );
    await nats.start();
    expect(JSON.parse((await page.event('sidestream.gap')).data)).toEqual({
      channel: 'prices.ACME',
      reason: 'disconnected',
    });
    await nats.subscribed('market.prices.ACME');
    const publisher = await startPublisher(nats);
    await publisher.publish('market.prices.ACME', 'after');
    expect(await page.event('price')).toMatchObject({ data: 'after' });
    expect(await page.value('[opens, errors].join()')).toBe('1,0');
    expect(await page.seen('sidestream.gap')).toHaveLength(1);
  });

  it('stops for good at a channel that nobody serves', async () => {
    const page = await openPage(browser);
    const { url } = await setUp({ config: { http: { cors: { origins: [page.origin] } } } });
    await page.watch(`${url}/nobody`, ['sidestream.open']);
    await page.until('source.readyState === 2');
    expect(await page.value('[opens, errors].join()')).toBe('0,1');
  });

  it('reads nothing where its origin is not listed', async () => {
    const page = await openPage(browser);
    const { url } = await setUp({ config: { http: { cors: { origins: ['https://app.example.com'] } } } });
    await page.watch(`${url}/prices.ACME`, ['sidestream.open']);
    await page.until('source.readyState === 2');
    expect(await page.seen()).toEqual([]);
  });

  it('sends its cookies where credentials are allowed, 6 KB of them', async () => {
    const page = await openPage(browser);
    const { url } = await setUp({
      config: { http: { cors: { origins: [page.origin], credentials: true } } },
    });
    await page.value(`document.cookie = 'a=' + 'x'.repeat(3000); document.cookie = 'b=' + 'y'.repeat(3000)`);
    await page.watch(`${url}/prices.ACME`, ['sidestream.open'], { credentials: true });
    await page.event('sidestream.open');
  });
});

describe('the eventsource client for Node', () => {
  it('gets events, and resumes with its cursor when the stream reached its maximum age', async () => {
    const { publisher, url } = await setUp({ config: { sse: { ...SSE, maxAge: '5s' } } });
    const source = new EventSource(`${url}/prices.ACME`);
    onTestFinished(() => source.close());
    const seen: { type: string; data: string }[] = [];
    for (const type of ['price', 'sidestream.open', 'sidestream.close']) {
      source.addEventListener(type, ({ data }: { data: string }) => seen.push({ type, data }));
    }
    const opened = () => seen.filter(({ type }) => type === 'sidestream.open').length;
    // Not only the subscription in NATS, which is there a moment before: what is published between is from before its time.
    await poll('the first open', () => opened() === 1);
    await publisher.publish('market.prices.ACME', '1');
    await poll('the second open', () => opened() === 2);
    expect(seen.map(({ type }) => type)).toEqual([
      'sidestream.open',
      'price',
      'sidestream.close',
      'sidestream.open',
    ]);
    expect(JSON.parse(seen[2]?.data ?? '')).toMatchObject({ reason: 'max-age' });
    expect(JSON.parse(seen[3]?.data ?? '').channels).toEqual([
      { channel: 'prices.ACME', resume: 'recovered', replayed: 0 },
    ]);
  });
});
