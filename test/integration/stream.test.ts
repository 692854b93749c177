import { expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';

test('a stream begins with exactly the head and the bytes that the wire reference promises', async () => {
  const bridge = await startBridge({ nats: await startNats() });
  const stream = await bridge.request('/events/topic.a');
  await stream.next('sidestream.open');

  expect(stream.head.status).toBe(200);
  expect(Object.fromEntries(stream.head.headers)).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'private, no-cache, no-store, no-transform',
    'x-accel-buffering': 'no',
    'transfer-encoding': 'chunked',
  });
  expect(stream.body).toMatch(
    /^retry: \d+\nid: [A-Za-z0-9]{6}\.\d+\nevent: sidestream\.open\ndata: \{"connection":"[0-9a-f-]{36}","channels":\[\{"channel":"topic\.a","resume":"live","replayed":0\}\]\}\n\n$/,
  );
});

test('every stream gets a retry of its own from the configured range', async () => {
  const bridge = await startBridge({ nats: await startNats(), config: { sse: { retry: '3s..10s' } } });
  const retries = new Set<number>();
  for (let i = 0; i < 20; i += 1) {
    const { retry = Number.NaN } = await (await bridge.request('/events/topic.a')).next('sidestream.open');
    expect(retry).toBeGreaterThanOrEqual(3000);
    expect(retry).toBeLessThanOrEqual(10_000);
    retries.add(retry);
  }
  expect(retries.size).toBeGreaterThan(1);
});

test('every stream has a connection id of its own, and names its channels in the order asked', async () => {
  const bridge = await startBridge({ nats: await startNats() });
  const opened = [];
  for (let i = 0; i < 2; i += 1) {
    const stream = await bridge.request('/events?channels=topic.b,topic.a&channels=topic.c');
    opened.push(JSON.parse((await stream.next('sidestream.open')).data));
  }
  const channels = ['topic.b', 'topic.a', 'topic.c'].map((channel) => ({
    channel,
    resume: 'live',
    replayed: 0,
  }));
  expect(opened.map((open) => open.channels)).toEqual([channels, channels]);
  expect(opened[0].connection).not.toBe(opened[1].connection);
});

test('an event arrives with a cursor, and each cursor is later than the one before', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats });
  const publisher = await startPublisher(nats);
  const stream = await bridge.request('/events/topic.a');
  const open = await stream.next('sidestream.open');
  await nats.subscribed('topics.a');
  for (const payload of ['1', '2', '3']) await publisher.publish('topics.a', payload);

  const events = await stream.take(3);
  expect(events.map(({ event, data }) => [event, data])).toEqual([
    ['message', '1'],
    ['message', '2'],
    ['message', '3'],
  ]);
  const cursors = [open, ...events].map(({ id }) => id.split('.'));
  expect(new Set(cursors.map(([epoch]) => epoch)).size).toBe(1);
  const offsets = cursors.map(([, offset]) => Number(offset));
  expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  expect(new Set(offsets).size).toBe(4);
});

test('events of many channels arrive on one connection in the order in which they were published', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats });
  const publisher = await startPublisher(nats);
  const names = ['a', 'b', 'c'];
  const streams = await Promise.all([
    bridge.stream('/events?channels=topic.a,topic.b,topic.c'),
    bridge.stream('/events?channels=topic.c,topic.a'),
  ]);
  for (const name of names) await nats.subscribed(`topics.${name}`);

  const published = Array.from({ length: 600 }, (_, n) => ({
    name: 'abcbaccab'.charAt(n % 9),
    payload: `${n}`,
  }));
  for (const { name, payload } of published) publisher.send(`topics.${name}`, payload);
  await publisher.connection.flush();

  const expected = [published, published.filter(({ name }) => name !== 'b')];
  for (const [index, stream] of streams.entries()) {
    const received = await stream.take(expected[index]?.length ?? 0);
    expect(received.map(({ data }) => data)).toEqual(expected[index]?.map(({ payload }) => payload));
  }
});

test('a stream of one channel gets nothing of another', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats });
  const publisher = await startPublisher(nats);
  const [a, b] = [await bridge.stream('/events/topic.a'), await bridge.stream('/events/topic.b')];
  await nats.subscribed('topics.a');
  await nats.subscribed('topics.b');
  await publisher.publish('topics.a', 'for a');
  await publisher.publish('topics.b', 'for b');
  expect((await a.next()).data).toBe('for a');
  expect((await b.next()).data).toBe('for b');
});
