import { expect, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';

async function routed(channels: Readonly<Record<string, object>>) {
  const nats = await startNats();
  const bridge = await startBridge({ nats, config: { channels } });
  return { nats, bridge, publisher: await startPublisher(nats) };
}

test('a channel without parameters is fed by its one subject', async () => {
  const { nats, bridge, publisher } = await routed({
    news: { channel: 'news', subject: 'press.releases', access: 'public' },
  });
  const stream = await bridge.stream('/events/news');
  await nats.subscribed('press.releases');
  await publisher.publish('press.releases', 'hello');
  expect((await stream.next()).data).toBe('hello');
});

test('parameters of the channel become tokens of the subject, in any order and beside wildcards', async () => {
  const { nats, bridge, publisher } = await routed({
    orders: { channel: 'orders-{region}.{id}', subject: 'shop.{id}.*.orders.{region}', access: 'public' },
  });
  const stream = await bridge.stream('/events/orders-eu.7~x:y-z_');
  await nats.subscribed('shop.7~x:y-z_.*.orders.eu');
  await publisher.publish('shop.8.till-1.orders.eu', 'of another order');
  await publisher.publish('shop.7~x:y-z_.till-1.orders.eu', 'of this one');
  expect((await stream.next()).data).toBe('of this one');
});

test('a trailing > takes every subject below, and none beside', async () => {
  const { nats, bridge, publisher } = await routed({
    logs: { channel: 'logs-{host}', subject: 'logs.{host}.>', access: 'public' },
  });
  const stream = await bridge.stream('/events/logs-web-1');
  await nats.subscribed('logs.web-1.>');
  for (const subject of ['logs.web-1', 'logs.web-2.app', 'logs.web-1.app', 'logs.web-1.app.db.slow'])
    await publisher.publish(subject, subject);
  const received = await stream.take(2);
  expect(received.map(({ data }) => data)).toEqual(['logs.web-1.app', 'logs.web-1.app.db.slow']);
});

test('several routes over one subject each publish it their way, from one NATS subscription', async () => {
  const { nats, bridge, publisher } = await routed({
    plain: { channel: 'plain.{id}', subject: 'sensor.{id}', access: 'public' },
    named: { channel: 'named.{id}', subject: 'sensor.{id}', access: 'public', event: 'reading' },
  });
  const both = await bridge.stream('/events?channels=plain.1,named.1');
  const named = await bridge.stream('/events/named.1');
  await nats.subscribed('sensor.1', 1);
  await publisher.publish('sensor.1', '20.5');

  expect((await both.take(2)).map(({ event }) => event).sort()).toEqual(['message', 'reading']);
  expect((await named.next('reading')).data).toBe('20.5');
  expect(await nats.subscriptionsTo('sensor.1')).toBe(1);
  expect(await bridge.sample('sidestream_nats_subscriptions')).toBe(1);
});

test('many connections on one channel share one NATS subscription', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats });
  const publisher = await startPublisher(nats);
  const streams = await Promise.all(Array.from({ length: 20 }, () => bridge.stream('/events/topic.a')));
  await nats.subscribed('topics.a', 1);
  await publisher.publish('topics.a', 'to all');
  for (const stream of streams) expect((await stream.next()).data).toBe('to all');
  expect(await nats.subscriptionsTo('topics.a')).toBe(1);
  expect(await bridge.sample('sidestream_deliveries_total{route="topic"}')).toBe(20);
});

/** A bridge with a stood-still clock, a channel with one subscriber, and a quiet stream whose heartbeats tell that time was noticed. */
async function lingering() {
  const nats = await startNats();
  const clock = new ManualClock();
  const channels = {
    topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', linger: '60s' },
  };
  const bridge = await startBridge({ nats, clock, config: { channels, sse: { heartbeat: '1s' } } });
  const pacer = await bridge.stream('/events/topic.pacer');
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  const pass = async (ms: number) => {
    const { comments } = pacer;
    clock.advance(ms);
    await pacer.saw('a heartbeat', () => pacer.comments > comments);
  };
  return { nats, bridge, stream, pass };
}

async function leave(bridge: TestBridge, stream: StreamClient): Promise<void> {
  const { connections } = bridge.metrics;
  stream.destroy();
  await poll('the stream to be noticed as closed', () => bridge.metrics.connections === connections - 1);
}

test('the last subscriber leaves, and the NATS subscription ends after the linger, not before', async () => {
  const { nats, bridge, stream, pass } = await lingering();
  await leave(bridge, stream);
  await pass(59_000);
  expect(await nats.subscriptionsTo('topics.a')).toBe(1);
  expect(await bridge.sample('sidestream_channels_lingering')).toBe(1);
  await pass(1200);
  await nats.subscribed('topics.a', 0);
  expect(await bridge.sample('sidestream_channels')).toBe(1);
});

test('who comes back within the linger finds the same NATS subscription, which then stays', async () => {
  const { nats, bridge, stream, pass } = await lingering();
  await leave(bridge, stream);
  await pass(59_000);
  const again = await bridge.stream('/events/topic.a');
  await pass(120_000);
  const publisher = await startPublisher(nats);
  await publisher.publish('topics.a', 'still there');
  expect((await again.next()).data).toBe('still there');
  expect(await subscriptions(nats)).toBe(1);
});

async function subscriptions(nats: NatsServer): Promise<number> {
  return nats.subscriptionsTo('topics.a');
}
