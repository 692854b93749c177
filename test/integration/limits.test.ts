import { expect, test } from 'vitest';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';

/** A clock that stands still: the connect rate fills up only when the test says so. */
async function limited(limits: NonNullable<FileConfig['limits']>) {
  const nats = await startNats();
  const clock = new ManualClock();
  return { nats, clock, bridge: await startBridge({ nats, clock, config: { limits } }) };
}

/** Asks for a stream; gives `open`, or the code of the refusal. */
async function ask(bridge: TestBridge, target: string): Promise<string> {
  const client = await bridge.request(target);
  const { event, data } = await client.next();
  return event === 'sidestream.open' ? 'open' : JSON.parse(data).code;
}

async function leave(bridge: TestBridge, stream: StreamClient): Promise<void> {
  const { connections } = bridge.metrics;
  stream.destroy();
  await poll('the stream to be noticed as closed', () => bridge.metrics.connections === connections - 1);
}

test('no more streams than limits.connections are open; one that ends makes room for one', async () => {
  const { bridge } = await limited({ connections: 3 });
  const first = await bridge.stream('/events/topic.a');
  for (const name of ['a', 'b']) await bridge.stream(`/events/topic.${name}`);
  expect(await ask(bridge, '/events/topic.a')).toBe('CONNECTION_LIMIT');
  await leave(bridge, first);
  expect(await ask(bridge, '/events/topic.a')).toBe('open');
  expect(await ask(bridge, '/events/topic.a')).toBe('CONNECTION_LIMIT');
});

test('no more streams than limits.connectionsPerChannel are on one channel; other channels are not concerned', async () => {
  const { bridge } = await limited({ connectionsPerChannel: 2 });
  const first = await bridge.stream('/events/topic.a');
  await bridge.stream('/events?channels=topic.b,topic.a');
  expect(await ask(bridge, '/events/topic.a')).toBe('CONNECTION_LIMIT_CHANNEL');
  expect(await ask(bridge, '/events?channels=topic.c,topic.a')).toBe('CONNECTION_LIMIT_CHANNEL');
  expect(await ask(bridge, '/events?channels=topic.b,topic.c')).toBe('open');
  await leave(bridge, first);
  expect(await ask(bridge, '/events/topic.a')).toBe('open');
});

test('a refused stream joins none of the channels that it asked for', async () => {
  const { bridge } = await limited({ connectionsPerChannel: 1 });
  await bridge.stream('/events/topic.a');
  expect(await ask(bridge, '/events?channels=topic.b,topic.a')).toBe('CONNECTION_LIMIT_CHANNEL');
  expect(await bridge.sample('sidestream_channels')).toBe(1);
});

test('a stream may ask for as many channels as limits.channelsPerConnection', async () => {
  const { bridge } = await limited({ channelsPerConnection: 3 });
  const stream = await bridge.request('/events?channels=topic.a,topic.b,topic.c');
  expect(JSON.parse((await stream.next('sidestream.open')).data).channels).toHaveLength(3);
  expect((await bridge.request('/events?channels=topic.a,topic.b,topic.c,topic.d')).status).toBe(400);
});

test('streams are let in as fast as limits.connectRate, and again when time has passed', async () => {
  const { bridge, clock } = await limited({ connectRate: '2/s' });
  const answers = [];
  for (let i = 0; i < 4; i += 1) answers.push(await ask(bridge, '/events/topic.a'));
  expect(answers).toEqual(['open', 'open', 'CONNECT_RATE', 'CONNECT_RATE']);
  clock.advance(500);
  expect(await ask(bridge, '/events/topic.a')).toBe('open');
  expect(await ask(bridge, '/events/topic.a')).toBe('CONNECT_RATE');
  clock.advance(3_600_000);
  for (let i = 0; i < 2; i += 1) expect(await ask(bridge, '/events/topic.a')).toBe('open');
  expect(await ask(bridge, '/events/topic.a')).toBe('CONNECT_RATE');
});

test('no more channels than limits.channels are held, but those that are held are open to all', async () => {
  const { bridge } = await limited({ channels: 2 });
  for (const name of ['a', 'b']) await bridge.stream(`/events/topic.${name}`);
  expect(await ask(bridge, '/events/topic.c')).toBe('CHANNEL_LIMIT');
  expect(await ask(bridge, '/events?channels=topic.a,topic.c')).toBe('CHANNEL_LIMIT');
  expect(await ask(bridge, '/events?channels=topic.a,topic.b')).toBe('open');
  expect(await bridge.sample('sidestream_channels')).toBe(2);
});

test('a lingering channel gives way to a new one, the longest unused first', async () => {
  const { nats, bridge } = await limited({ channels: 2 });
  const [a, b] = [await bridge.stream('/events/topic.a'), await bridge.stream('/events/topic.b')];
  await leave(bridge, b);
  await leave(bridge, a);
  expect(await bridge.sample('sidestream_channels_lingering')).toBe(2);
  expect(await ask(bridge, '/events/topic.c')).toBe('open');
  await nats.subscribed('topics.b', 0);
  await nats.subscribed('topics.a', 1);
  expect(await bridge.sample('sidestream_channels')).toBe(2);
  expect(await ask(bridge, '/events?channels=topic.d,topic.a')).toBe('CHANNEL_LIMIT');
  expect(await ask(bridge, '/events/topic.a')).toBe('open');
  expect(await ask(bridge, '/events/topic.d')).toBe('CHANNEL_LIMIT');
});

test('a message over limits.event is dropped, counted and said as a gap, and the rest goes on', async () => {
  const { nats, bridge } = await limited({ event: '1KiB' });
  const publisher = await startPublisher(nats);
  const stream = await bridge.stream('/events?channels=topic.a,topic.b');
  await nats.subscribed('topics.a');
  await nats.subscribed('topics.b');
  await publisher.publish('topics.a', 'x'.repeat(1024));
  await publisher.publish('topics.a', 'x'.repeat(1025));
  await publisher.publish('topics.a', 'goes on');
  await publisher.publish('topics.b', 'and here');

  expect((await stream.next('message')).data).toHaveLength(1024);
  expect(JSON.parse((await stream.next('sidestream.gap')).data)).toEqual({
    channel: 'topic.a',
    reason: 'too-large',
  });
  expect((await stream.take(2)).map(({ data }) => data)).toEqual(['goes on', 'and here']);
  expect(await bridge.sample('sidestream_publications_dropped_total{route="topic",reason="too-large"}')).toBe(
    1,
  );
  expect(await bridge.sample('sidestream_gaps_total{reason="too-large"}')).toBe(1);
  const line = await bridge.logged('a message over limits.event was dropped');
  expect(line).toMatchObject({ level: 'warn', route: 'topic', bytes: 1025 });
});
