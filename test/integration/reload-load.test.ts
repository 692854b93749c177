import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { type FileConfig, startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { AUTH } from './protected.ts';

const ORDERS = { channel: 'orders.{id}', subject: 'orders.{id}', stream: 'ORDERS', access: 'public' };
const BILLS = { channel: 'bills.{id}', subject: 'bills.{id}', stream: 'ORDERS', access: 'public' };
const NEWS = { channel: 'news.{id}', subject: 'news.{id}', access: 'public' };
const CLIENTS = 200;
const RELOADS = 30;

test('streams under load notice nothing of reloads that change other things: none ends, none misses or gets twice', async () => {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  await (await jetstreamManager(publisher.connection)).streams.add({
    name: 'ORDERS',
    subjects: ['orders.*', 'bills.*', 'more.*'],
  });
  const js = jetstream(publisher.connection);
  const channels = { orders: ORDERS, bills: BILLS, news: NEWS };
  const bridge = await startBridge({ nats, config: { channels, auth: AUTH, log: { level: 'info' } } });
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, n) => ({
      id: n % 4,
      stream: await bridge.stream(`/events?channels=orders.${n % 4},bills.${n % 4},news.${n % 4}`),
    })),
  );
  let published = 0;
  let isOver = false;
  const publishing = (async () => {
    for (; !isOver; published += 1) {
      const id = published % 4;
      await js.publish(`${published % 2 === 0 ? 'orders' : 'bills'}.${id}`, `${published}`);
      publisher.send(`news.${id}`, `n${published}`);
    }
    await publisher.connection.flush();
  })();
  for (let n = 0; n < RELOADS; n += 1) {
    const before = published;
    const more = { channel: `more.${n}`, subject: 'more.1', stream: 'ORDERS', access: 'public' };
    const config: FileConfig = {
      channels: n % 3 === 0 ? channels : { ...channels, more },
      auth: {
        ...AUTH,
        jwt: { ...AUTH.jwt, keys: [{ secret: `a secret of thirty-two bytes, number ${n}` }] },
      },
      limits: { connections: 100 + n, connectionsPerIp: n % 2 === 0 ? 0 : 10 },
      log: { level: n % 2 === 0 ? 'warn' : 'info' },
    };
    expect(await bridge.reload(config)).toEqual([]);
    await poll('more messages', () => published > before + 10);
  }
  isOver = true;
  await publishing;
  for (const { id, stream } of clients) {
    const all = Array.from({ length: published }, (_, n) => n).filter((n) => n % 4 === id);
    const events = await stream.take(2 * all.length);
    const from = (isNews: boolean) =>
      events.map(({ data }) => data).filter((text) => text.startsWith('n') === isNews);
    expect(from(false)).toEqual(all.map((n) => `${n}`));
    expect(from(true)).toEqual(all.map((n) => `n${n}`));
  }
  expect(bridge.metrics.connections).toBe(CLIENTS);
  expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({});
});

test('a thousand reloads leave nothing behind', async () => {
  const nats = await startNats({ jetStream: true });
  const bridge = await startBridge({ nats, config: { channels: { news: NEWS }, auth: AUTH } });
  const reader = await bridge.stream('/events/news.a');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const reload = async (n: number) => {
    const name = `route${n}`;
    const route = { channel: `${name}.{id}`, subject: `${name}.{id}`, access: 'public' };
    const more = n % 2 === 0 ? route : { ...route, stream: `STREAM${n}` };
    const jwt = { ...AUTH.jwt, keys: [{ secret: `a secret of thirty-two bytes, number ${n}` }] };
    await bridge.reload({
      channels: { news: { ...NEWS, throttle: `${100 + n}ms` }, [name]: more },
      auth: { ...AUTH, jwt },
      log: { level: 'silent' },
    });
    // Opens a channel of it, which lingers. Not by a client of ours: the test holds those.
    if (n % 10 > 1) return;
    const url = `http://127.0.0.1:${bridge.httpPort}/events/${name}.x?wait=0s`;
    await (await fetch(url, { headers: { Accept: 'application/json' } })).text();
  };
  const measure = async () => {
    await bridge.reload({ channels: { news: NEWS }, auth: AUTH });
    await poll('the reader alone', () => bridge.metrics.connections === 1);
    collect();
    return { heapBytes: process.memoryUsage().heapUsed, timers: timers() };
  };
  for (let n = 0; n < 200; n += 1) await reload(n);
  const before = await measure();
  for (let n = 200; n < 1_000; n += 1) await reload(n);
  const after = await measure();
  expect([...bridge.metrics.routes.keys()]).toEqual(['news']);
  expect(await bridge.sample('sidestream_channels')).toBe(1);
  expect(await bridge.sample('sidestream_nats_subscriptions')).toBe(1);
  expect(after.timers).toBeLessThanOrEqual(before.timers + 2);
  // 800 lie between: two kilobytes left by each would be seen.
  expect(after.heapBytes - before.heapBytes).toBeLessThan(1.5 * 1024 * 1024);
  await (await startPublisher(nats)).publish('news.a', 'there');
  expect((await reader.next()).data).toBe('there');
}, 120_000);
