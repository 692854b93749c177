import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { answerTo } from './protected.ts';

const CHAT = { channel: 'chat', subject: 'chat', access: 'public' };
const NEWS = { channel: 'news.{id}', subject: 'news.{id}', access: 'public' };
const ORDERS = { channel: 'orders.{id}', subject: 'all.orders.{id}', stream: 'ALL', access: 'public' };
const BILLS = { ...ORDERS, channel: 'bills.{id}', subject: 'all.bills.{id}' };

const data = (event: { readonly data: string }) => JSON.parse(event.data);

test('a config that comes while NATS is away is in force when it is back: feeds, routes, and what was published since', async () => {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  await (await jetstreamManager(publisher.connection)).streams.add({ name: 'ALL', subjects: ['all.>'] });
  const js = jetstream(publisher.connection);
  const bridge = await startBridge({
    nats,
    config: { channels: { chat: CHAT, news: NEWS, orders: ORDERS } },
  });
  const reader = await bridge.stream('/events?channels=chat,news.a,orders.1');
  const removed = await bridge.stream('/events/news.b');
  await js.publish('all.orders.1', 'order 1');
  expect((await reader.next()).data).toBe('order 1');
  await nats.stop();
  await poll('NATS to be away', () => !bridge.metrics.natsConnected);
  const forbidden = { ...NEWS, access: 'authenticated' };
  const auth = {
    jwt: { algorithms: ['HS256'], keys: [{ secret: 'a secret of thirty-two bytes, or more' }] },
  };
  expect(
    await bridge.reload({
      auth,
      channels: { chat: { ...CHAT, subject: 'fresh' }, news: forbidden, orders: ORDERS, bills: BILLS },
    }),
  ).toEqual(['auth.jwt']);
  // Nobody has to ask NATS for that.
  expect(data(await removed.next('sidestream.close')).reason).toBe('reconfigured');
  await nats.start();
  await bridge.connected();
  const bills = await bridge.stream('/events/bills.1');
  await publisher.connection.flush();
  for (const n of [2, 3]) await js.publish('all.orders.1', `order ${n}`);
  await js.publish('all.bills.1', 'bill');
  await nats.subscribed('fresh');
  await publisher.publish('chat', 'of before');
  await publisher.publish('news.a', 'not to be read');
  await publisher.publish('fresh', 'of now');
  expect((await bills.next()).data).toBe('bill');
  const events = await reader.until(({ data: text }) => text === 'of now');
  const messages = events.filter(({ event }) => event === 'message').map((event) => event.data);
  expect(messages.filter((text) => text.startsWith('order'))).toEqual(['order 2', 'order 3']);
  expect(messages).not.toContain('of before');
  expect(messages).not.toContain('not to be read');
  expect(events.map(({ event }) => event)).toContain('sidestream.unsubscribed');
  expect(await answerTo(bridge, '/events/news.a?errors=http')).toBe('401 TOKEN_MISSING');
});

test('who is moved to a stream that cannot be read now is on it when it can, or comes back for it', async () => {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  await (await jetstreamManager(publisher.connection)).streams.add({ name: 'ALL', subjects: ['all.>'] });
  const bridge = await startBridge({ nats, config: { channels: { chat: CHAT, news: NEWS } } });
  const reader = await bridge.stream('/events?channels=chat,news.a');
  await nats.stop();
  await poll('NATS to be away', () => !bridge.metrics.natsConnected);
  const moved = { ...CHAT, subject: 'all.chat', stream: 'ALL' };
  await bridge.reload({ channels: { chat: moved, news: NEWS } });
  await nats.start();
  await bridge.connected();
  // The one subject and the other are back in either order.
  const told = new Set<string>();
  const awaited = ['gap news.a disconnected', 'subscribed chat', 'gap chat changed'];
  while (!awaited.every((what) => told.has(what))) told.add(summary(await reader.next()));
  await jetstream(publisher.connection).publish('all.chat', 'from the stream');
  await reader.until(({ data: text }) => text === 'from the stream');
});

function summary(event: { readonly event: string; readonly data: string }): string {
  const { channel, channels, reason } = data(event);
  if (event.event === 'sidestream.subscribed') return `subscribed ${channels[0].channel}`;
  return `${event.event.replace('sidestream.', '')} ${channel} ${reason}`;
}
