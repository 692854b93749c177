import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { type FileConfig, startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { AUTH, answerTo, bearer, signed } from './protected.ts';

const NEWS = { channel: 'news.{id}', subject: 'news.{id}', access: 'public' };
const CHAT = { channel: 'chat', subject: 'chat', access: 'public' };

async function setUp(
  channels: NonNullable<FileConfig['channels']>,
  { stream }: { readonly stream?: Parameters<JetStreamManager['streams']['add']>[0] } = {},
) {
  const nats = await startNats({ jetStream: stream !== undefined });
  const publisher = await startPublisher(nats);
  if (stream !== undefined) await (await jetstreamManager(publisher.connection)).streams.add(stream);
  const bridge = await startBridge({ nats, config: { channels } });
  const reload = (next: NonNullable<FileConfig['channels']>) => bridge.reload({ channels: next });
  return { publisher, bridge, reload };
}

const data = (event: { readonly data: string }) => JSON.parse(event.data);

test('a route that is added is served at once; one that stays is not touched', async () => {
  const { bridge, publisher, reload } = await setUp({ news: NEWS });
  expect(await answerTo(bridge, '/events/chat?errors=http')).toBe('404 CHANNEL_UNKNOWN');
  const reader = await bridge.stream('/events/news.a');
  await publisher.publish('news.a', 'one');
  await reload({ news: NEWS, chat: CHAT });
  const other = await bridge.stream('/events/chat');
  await publisher.publish('news.a', 'two');
  await publisher.publish('chat', 'hello');
  expect((await reader.take(2)).map((event) => event.data)).toEqual(['one', 'two']);
  expect((await other.next()).data).toBe('hello');
  // Its memory and its positions are those of before.
  const again = await bridge.request('/events/news.a', {
    headers: { 'Last-Event-ID': reader.lastEventId },
  });
  expect(data(await again.next('sidestream.open')).channels).toEqual([
    { channel: 'news.a', resume: 'recovered', replayed: 0 },
  ]);
});

test('a route that is gone takes its channel from the streams on it, and ends those that have no other', async () => {
  const { bridge, publisher, reload } = await setUp({ news: NEWS, chat: CHAT });
  const both = await bridge.stream('/events?channels=news.a,chat');
  const alone = await bridge.stream('/events/chat');
  await reload({ news: NEWS });
  expect(data(await both.next('sidestream.unsubscribed'))).toEqual({ channels: ['chat'], reason: 'removed' });
  expect(data(await alone.next('sidestream.close'))).toMatchObject({ reason: 'reconfigured' });
  await alone.ended();
  await publisher.publish('news.a', 'still here');
  expect((await both.next()).data).toBe('still here');
  expect(await answerTo(bridge, '/events/chat?errors=http')).toBe('404 CHANNEL_UNKNOWN');
  // Nothing lingers, and nobody is subscribed to it in NATS.
  expect(await bridge.sample('sidestream_channels')).toBe(1);
  expect(await bridge.sample('sidestream_nats_subscriptions')).toBe(1);
  expect(await bridge.sample('sidestream_publications_total{route="chat"}')).toBeUndefined();
});

test('another policy of the same feed holds at once for who is there, and nothing of the feed is missed', async () => {
  const { bridge, publisher, reload } = await setUp({ news: NEWS });
  const reader = await bridge.stream('/events/news.a');
  await publisher.publish('news.a', '1');
  expect(await reader.next()).toMatchObject({ event: 'message', data: '1' });
  await reload({ news: { ...NEWS, event: 'headline', history: { size: 5 } } });
  await publisher.publish('news.a', '2');
  expect(await reader.next()).toMatchObject({ event: 'headline', data: '2' });
  expect(await bridge.sample('sidestream_gaps_total{reason="unavailable"}')).toBe(0);
  expect(await bridge.sample('sidestream_nats_subscriptions')).toBe(1);
});

test('what was kept before a redaction is not replayed as it was', async () => {
  const { bridge, publisher, reload } = await setUp({ news: { ...NEWS, replay: 'all' } });
  const reader = await bridge.stream('/events/news.a');
  await publisher.publish('news.a', '{"secret":"x"}');
  await reader.next();
  await reload({ news: { ...NEWS, replay: 'all', redact: ['/secret'] } });
  const late = await bridge.request('/events/news.a');
  expect(data(await late.next('sidestream.open')).channels).toMatchObject([{ replayed: 0 }]);
  await publisher.publish('news.a', '{"secret":"y","n":2}');
  expect((await late.next()).data).not.toContain('y');
  expect((await reader.next()).data).not.toContain('"y"');
});

test('who is on a channel that is fed from elsewhere is moved within the open stream, and told', async () => {
  const { bridge, publisher, reload } = await setUp({ news: NEWS, chat: CHAT });
  const reader = await bridge.stream('/events?channels=news.a,chat');
  await reload({ news: { ...NEWS, subject: 'fresh.{id}' }, chat: CHAT });
  expect(data(await reader.next('sidestream.subscribed'))).toEqual({
    channels: [{ channel: 'news.a', resume: 'live', replayed: 0 }],
  });
  expect(data(await reader.next('sidestream.gap'))).toEqual({ channel: 'news.a', reason: 'changed' });
  await publisher.publish('news.a', 'old subject');
  await publisher.publish('fresh.a', 'new subject');
  await publisher.publish('chat', 'chat goes on');
  expect((await reader.take(2)).map((event) => event.data)).toEqual(['new subject', 'chat goes on']);
  expect(await bridge.sample('sidestream_nats_subscriptions')).toBe(2);
  expect(await bridge.sample('sidestream_gaps_total{reason="changed"}')).toBe(1);
  expect(await bridge.sample('sidestream_channels')).toBe(2);
  expect(bridge.metrics.connections).toBe(1);
});

test('a stream route that is added to a stream that is read already gets what comes, and what there was', async () => {
  const orders = { channel: 'orders.{id}', subject: 'all.orders.{id}', stream: 'ALL', access: 'public' };
  const bills = { ...orders, channel: 'bills.{id}', subject: 'all.bills.{id}', replay: 'all' };
  const stream = { name: 'ALL', subjects: ['all.>'] };
  const { bridge, publisher, reload } = await setUp({ orders }, { stream });
  const js = jetstream(publisher.connection);
  const reader = await bridge.stream('/events/orders.1');
  for (const n of [1, 2, 3]) await js.publish('all.bills.1', `bill ${n}`);
  await js.publish('all.orders.1', 'order 1');
  expect((await reader.next()).data).toBe('order 1');
  await reload({ orders, bills });
  // At once, while the consumer is being replaced.
  await js.publish('all.bills.1', 'bill 4');
  await js.publish('all.orders.1', 'order 2');
  const late = await bridge.request('/events/bills.1');
  expect(data(await late.next('sidestream.open')).channels[0]).toMatchObject({ channel: 'bills.1' });
  await js.publish('all.bills.1', 'bill 5');
  expect((await late.take(5)).map((event) => event.data)).toEqual([1, 2, 3, 4, 5].map((n) => `bill ${n}`));
  expect((await reader.next()).data).toBe('order 2');
  // And a stream that nobody reads any more is let go of.
  await reload({ orders: { ...orders, stream: undefined } });
  expect(data(await reader.next('sidestream.subscribed')).channels[0].channel).toBe('orders.1');
  await poll('only the core route', async () => (await bridge.sample('sidestream_channels')) === 1);
});

test('a stream that no route read is followed from the reload on, and let go of when none does any more', async () => {
  const stream = { name: 'ORDERS', subjects: ['orders.*'] };
  const { bridge, publisher, reload } = await setUp({ news: NEWS }, { stream });
  const js = jetstream(publisher.connection);
  await js.publish('orders.1', 'before');
  const orders = {
    channel: 'orders.{id}',
    subject: 'orders.{id}',
    stream: 'ORDERS',
    access: 'public',
    replay: 'all',
  };
  await reload({ news: NEWS, orders });
  const reader = await bridge.stream('/events?channels=orders.1,news.a');
  await js.publish('orders.1', 'after');
  expect((await reader.take(2)).map((event) => event.data)).toEqual(['before', 'after']);
  await reload({ news: NEWS });
  await reader.next('sidestream.unsubscribed');
  await reload({ news: { ...NEWS, slow: 'drop' } });
  expect(await bridge.sample('sidestream_stream_followed{stream="ORDERS"}')).toBeUndefined();
  await publisher.publish('news.a', 'goes on');
  expect((await reader.next()).data).toBe('goes on');
});

test('who may not read a channel any more is taken off it; who may, stays', async () => {
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  const config = { auth: AUTH, channels: { news: NEWS, chat: CHAT } };
  const bridge = await startBridge({ nats, config });
  const both = await bridge.stream('/events?channels=news.a,chat');
  const alone = await bridge.stream('/events/chat');
  const known = await bridge.stream('/events/chat', bearer(await signed()));
  const target = `/events/chat?wait=25s&lastEventId=${alone.lastEventId}`;
  const poller = bridge.request(target, { headers: { Accept: 'application/json' } });
  await poll('the poll', () => bridge.metrics.connections === 4);
  await bridge.reload({ ...config, channels: { news: NEWS, chat: { ...CHAT, access: 'authenticated' } } });
  const told = data(await both.next('sidestream.unsubscribed'));
  expect(told).toEqual({ channels: ['chat'], reason: 'forbidden' });
  expect(data(await alone.next('sidestream.close'))).toMatchObject({ reason: 'reconfigured' });
  const polled = await poller;
  await polled.ended();
  expect(JSON.parse(polled.body)).toMatchObject({ close: { reason: 'reconfigured' } });
  await publisher.publish('chat', 'secret');
  await publisher.publish('news.a', 'public');
  expect((await both.next()).data).toBe('public');
  expect((await known.next()).data).toBe('secret');
});

test('where a callout says who may read, those who are there are asked about; who cannot be, comes back to be', async () => {
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  const asked: string[] = [];
  const backend = publisher.connection.subscribe('may.read', {
    callback: (_, message) => {
      const { claims } = message.json<{ claims: { sub: string } | null }>();
      asked.push(claims?.sub ?? 'nobody');
      message.respond(JSON.stringify({ allow: claims?.sub === 'ada' }));
    },
  });
  const config = { auth: AUTH, channels: { news: NEWS, chat: CHAT } };
  const bridge = await startBridge({ nats, config });
  const target = '/events?channels=chat,news.a';
  const [ada, bob] = await Promise.all(
    ['ada', 'bob'].map(async (sub) => bridge.stream(target, bearer(await signed({ sub })))),
  );
  const callout = (subject: string) => ({
    ...config,
    channels: { news: NEWS, chat: { ...CHAT, access: { callout: subject } } },
  });
  await bridge.reload(callout('may.read'));
  expect(data((await bob?.next('sidestream.unsubscribed')) ?? { data: '' }).reason).toBe('forbidden');
  await publisher.publish('chat', 'for ada');
  expect((await ada?.next())?.data).toBe('for ada');
  expect(asked.sort()).toEqual(['ada', 'bob']);
  backend.unsubscribe();
  await bridge.reload(callout('nobody.answers'));
  expect(data((await ada?.next('sidestream.close')) ?? { data: '' }).reason).toBe('reconfigured');
});
