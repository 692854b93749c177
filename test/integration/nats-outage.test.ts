import { expect, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';

async function running(config = {}) {
  const nats = await startNats();
  return { nats, bridge: await startBridge({ nats, config }) };
}

/** NATS dies as in a crash, and the bridge has noticed. */
async function outage(nats: NatsServer, bridge: TestBridge): Promise<void> {
  await nats.kill();
  await poll('the loss to be noticed', () => !bridge.metrics.natsConnected);
}

async function gapOf(stream: StreamClient): Promise<unknown> {
  return JSON.parse((await stream.next('sidestream.gap')).data);
}

test('streams outlive NATS: heartbeats go on, each channel is told of one gap, then events come', async () => {
  const { nats, bridge } = await running({ sse: { heartbeat: '1s' } });
  const [both, one] = [
    await bridge.stream('/events?channels=topic.a,topic.b'),
    await bridge.stream('/events/topic.b'),
  ];
  await nats.subscribed('topics.a');
  await outage(nats, bridge);
  const { comments } = both;
  await both.saw('heartbeats', () => both.comments > comments + 1);
  await nats.start();

  const gaps = [await gapOf(both), await gapOf(both)];
  expect(gaps).toEqual(['topic.a', 'topic.b'].map((channel) => ({ channel, reason: 'disconnected' })));
  expect(await gapOf(one)).toEqual({ channel: 'topic.b', reason: 'disconnected' });
  await nats.subscribed('topics.a', 1);
  await nats.subscribed('topics.b', 1);
  const publisher = await startPublisher(nats);
  await publisher.publish('topics.a', 'to a');
  await publisher.publish('topics.b', 'to b');
  expect((await both.take(2)).map(({ data }) => data)).toEqual(['to a', 'to b']);
  expect((await one.next()).data).toBe('to b');
  expect(await bridge.sample('sidestream_gaps_total{reason="disconnected"}')).toBe(2);
});

test('metrics and log tell of a lost and a restored connection', async () => {
  const { nats, bridge } = await running();
  expect(await bridge.sample('sidestream_nats_connected')).toBe(1);
  await outage(nats, bridge);
  expect(await bridge.sample('sidestream_nats_connected')).toBe(0);
  expect(await bridge.sample('sidestream_nats_disconnects_total')).toBe(1);
  expect(await bridge.logged('lost the connection to NATS; streams stay open')).toMatchObject({
    level: 'warn',
  });
  await nats.start();
  await bridge.connected();
  expect(await bridge.sample('sidestream_nats_reconnects_total')).toBe(1);
  expect(await bridge.logged('connected to NATS again')).toMatchObject({ level: 'info' });
});

test('a second outage is told as the first one was', async () => {
  const { nats, bridge } = await running();
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  for (const _ of ['first', 'second']) {
    await outage(nats, bridge);
    await nats.start();
    expect(await gapOf(stream)).toEqual({ channel: 'topic.a', reason: 'disconnected' });
    await nats.subscribed('topics.a', 1);
  }
  const publisher = await startPublisher(nats);
  await publisher.publish('topics.a', 'once');
  await publisher.publish('topics.a', 'again');
  expect((await stream.take(2)).map(({ data }) => data)).toEqual(['once', 'again']);
});

test('the gap is told before the first event that came after it', async () => {
  const { nats, bridge } = await running();
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  await outage(nats, bridge);
  await nats.start();
  const publisher = await startPublisher(nats);
  // Publishes all the time, so that the very first message after the reconnection is one of these.
  const stopped = new AbortController();
  const publishing = (async () => {
    for (let n = 0; !stopped.signal.aborted; n += 1) await publisher.publish('topics.a', `${n}`);
  })();
  const events = await stream.take(5);
  stopped.abort();
  await publishing;
  expect(events.map(({ event }) => event)).toEqual([
    'sidestream.gap',
    'message',
    'message',
    'message',
    'message',
  ]);
});

test('a stream opened during an outage is granted, told of the gap, and fed when NATS is back', async () => {
  const { nats, bridge } = await running();
  await outage(nats, bridge);
  const stream = await bridge.stream('/events/topic.new');
  await nats.start();
  expect(await gapOf(stream)).toEqual({ channel: 'topic.new', reason: 'disconnected' });
  await nats.subscribed('topics.new', 1);
  const publisher = await startPublisher(nats);
  await publisher.publish('topics.new', 'hello');
  expect((await stream.next()).data).toBe('hello');
});

test('a channel left during an outage is not subscribed to again', async () => {
  const channels = {
    topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', linger: '0s' },
  };
  const { nats, bridge } = await running({ channels });
  const [stays, leaves] = [
    await bridge.stream('/events/topic.stays'),
    await bridge.stream('/events/topic.leaves'),
  ];
  await nats.subscribed('topics.leaves');
  await outage(nats, bridge);
  leaves.destroy();
  await poll('the channel to be given up', async () => (await bridge.sample('sidestream_channels')) === 1);
  await nats.start();
  await gapOf(stays);
  await nats.subscribed('topics.stays', 1);
  expect(await nats.subscriptionsTo('topics.leaves')).toBe(0);
});

test('who was away during the outage is told of the gap by its cursor', async () => {
  const { nats, bridge } = await running();
  const stream = await bridge.request('/events/topic.a');
  const { id } = await stream.next('sidestream.open');
  await bridge.stream('/events/topic.a');
  stream.destroy();
  await outage(nats, bridge);
  await nats.start();
  await bridge.connected();
  const again = await bridge.request('/events/topic.a', { headers: { 'Last-Event-ID': id } });
  expect(JSON.parse((await again.next('sidestream.open')).data).channels[0].resume).toBe('gap');
});

test('without NATS at the start the process is up and alive, and connects when it can', async () => {
  const nats = await startNats();
  await nats.stop();
  const bridge = await startBridge({ nats, connected: false });
  expect((await fetch(`${bridge.opsUrl}/livez`)).status).toBe(200);
  const refused = await bridge.request('/events/topic.a?errors=http');
  expect(refused.status).toBe(503);
  await refused.ended();
  expect(JSON.parse(refused.body).error.code).toBe('NATS_NOT_READY');
  expect(await bridge.logged('NATS is not reachable; trying again')).toMatchObject({ servers: [nats.url] });

  await nats.start();
  await bridge.connected();
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  const publisher = await startPublisher(nats);
  await publisher.publish('topics.a', 'hello');
  expect((await stream.next()).data).toBe('hello');
});

test('a NATS server that is shut down in good order is no different', async () => {
  const { nats, bridge } = await running();
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  await nats.stop();
  await poll('the loss to be noticed', () => !bridge.metrics.natsConnected);
  await nats.start();
  expect(await gapOf(stream)).toEqual({ channel: 'topic.a', reason: 'disconnected' });
});
