import { expect, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { RawClient } from '../support/raw-client.ts';

const REQUEST =
  'GET /events?channels=topic.a,topic.b HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n';

/** A bridge that gives up a channel as soon as its last subscriber leaves, so that everything can return to zero. */
async function setUp() {
  const nats = await startNats();
  const channels = {
    topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', linger: '0s' },
  };
  return { nats, bridge: await startBridge({ nats, config: { channels } }) };
}

async function everythingIsReleased(bridge: TestBridge, nats: NatsServer): Promise<void> {
  await poll('all streams to be released', () => bridge.metrics.connections === 0);
  for (const name of ['a', 'b']) await nats.subscribed(`topics.${name}`, 0);
  const gauges = [
    'connections',
    'channels',
    'channels_lingering',
    'slow_connections',
    'pending_bytes',
    'nats_subscriptions',
  ];
  for (const gauge of gauges) expect([gauge, await bridge.sample(`sidestream_${gauge}`)]).toEqual([gauge, 0]);
  const closed = [...bridge.metrics.connectionsClosed.values()].reduce((sum, count) => sum + count, 0);
  expect(closed).toBe(bridge.metrics.connectionsOpened);
  await bridge.stream('/events/topic.a');
}

test.each([
  ['at once', ''],
  ['in the middle of the request line', REQUEST.slice(0, 9)],
  ['in the middle of the headers', REQUEST.slice(0, REQUEST.length - 12)],
  ['one byte before the end of the request', REQUEST.slice(0, -1)],
])('a client that goes away %s is forgotten', async (_, bytes) => {
  const { nats, bridge } = await setUp();
  for (const end of ['destroy', 'reset', 'halfClose'] as const) {
    const raw = await RawClient.connect(bridge.httpPort);
    raw.send(bytes);
    raw[end]();
  }
  await bridge.stream('/events/topic.a').then((stream) => stream.destroy());
  expect(bridge.metrics.connectionsOpened).toBe(1);
  await everythingIsReleased(bridge, nats);
});

test('a client that goes away as soon as it has asked is forgotten', async () => {
  const { nats, bridge } = await setUp();
  for (let i = 0; i < 30; i += 1) {
    const raw = await RawClient.connect(bridge.httpPort);
    raw.send(REQUEST);
    raw[i % 2 === 0 ? 'destroy' : 'reset']();
  }
  const last = await RawClient.connect(bridge.httpPort);
  last.send(REQUEST);
  await last.received(/sidestream\.open/);
  last.destroy();
  await everythingIsReleased(bridge, nats);
});

test.each(['destroy', 'reset', 'halfClose'] as const)(
  'a client that ends its stream by %s is released',
  async (end) => {
    const { nats, bridge } = await setUp();
    const publisher = await startPublisher(nats);
    const raw = await RawClient.connect(bridge.httpPort);
    raw.send(REQUEST);
    await raw.received(/sidestream\.open/);
    await nats.subscribed('topics.a');
    await publisher.publish('topics.a', 'one');
    await raw.received(/data: one\n\n/);
    raw[end]();
    await everythingIsReleased(bridge, nats);
    expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({ client: 1 });
  },
);

test('clients that go away while events pour in do not disturb the others', async () => {
  const { nats, bridge } = await setUp();
  const publisher = await startPublisher(nats);
  const steady = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  const count = 2000;
  const leaving = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(bridge.httpPort)));
  for (const raw of leaving) raw.send(REQUEST);
  for (let n = 0; n < count; n += 1) {
    publisher.send('topics.a', `${n}`);
    if (n % 100 === 0) {
      leaving.pop()?.reset();
      await publisher.connection.flush();
    }
  }
  const received = await steady.take(count);
  expect(received.map(({ data }) => Number(data))).toEqual(Array.from({ length: count }, (_, n) => n));
  steady.destroy();
  await everythingIsReleased(bridge, nats);
});

test('a second request behind a stream’s is not answered into the stream', async () => {
  const { nats, bridge } = await setUp();
  const raw = await RawClient.connect(bridge.httpPort);
  raw.send(REQUEST + REQUEST);
  await raw.closed();
  expect((raw.text.match(/HTTP\/1\.1/g) ?? []).length).toBeLessThanOrEqual(1);
  await everythingIsReleased(bridge, nats);
});

test('a request that comes while the stream is open ends the stream, which is released', async () => {
  const { nats, bridge } = await setUp();
  const raw = await RawClient.connect(bridge.httpPort);
  raw.send(REQUEST);
  await raw.received(/sidestream\.open/);
  raw.send(REQUEST);
  await raw.closed();
  expect(raw.text.match(/HTTP\/1\.1/g) ?? []).toHaveLength(1);
  await everythingIsReleased(bridge, nats);
});

test('a refused client may ask again on the same connection', async () => {
  const { nats, bridge } = await setUp();
  const raw = await RawClient.connect(bridge.httpPort);
  raw.send('GET /events/unknown HTTP/1.1\r\nHost: x\r\n\r\n');
  await raw.received(/CHANNEL_UNKNOWN/);
  raw.send(REQUEST);
  await raw.received(/sidestream\.open/);
  raw.destroy();
  await everythingIsReleased(bridge, nats);
});
