import { expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';

/** Two users: the bridge's, which may not subscribe to `denied`, and a publisher's, which may do everything. */
function permissions(denied: readonly string[]): string {
  const deny = JSON.stringify(denied);
  return `authorization { users: [
    { user: bridge, password: secret, permissions: { publish: ">", subscribe: { allow: ">", deny: ${deny} } } }
    { user: backend, password: secret }
  ] }`;
}

const DENIED = permissions(['topics.closed']);
const ALLOWED = permissions(['something.else']);
/** Longer than any wait between two attempts. */
const LONG_MS = 61_000;

async function setUp() {
  const nats = await startNats({ config: DENIED });
  const clock = new ManualClock();
  const auth = { user: 'bridge', password: 'secret' };
  const config = { nats: { servers: [nats.url], auth }, sse: { heartbeat: '1s' } };
  const bridge = await startBridge({ nats, clock, config });
  const publisher = await startPublisher(nats, { user: 'backend', pass: 'secret' });
  return { nats, clock, bridge, publisher };
}

async function gapOf(stream: StreamClient): Promise<unknown> {
  return JSON.parse((await stream.next('sidestream.gap')).data);
}

const UNAVAILABLE = { channel: 'topic.closed', reason: 'unavailable' };
const AVAILABLE = { channel: 'topic.closed', reason: 'available' };

test('a subject that is not permitted makes its channel unavailable, and nothing else', async () => {
  const { nats, bridge, publisher } = await setUp();
  const stream = await bridge.stream('/events?channels=topic.closed,topic.open');
  expect(await gapOf(stream)).toEqual(UNAVAILABLE);
  await nats.subscribed('topics.open');
  await publisher.publish('topics.closed', 'not seen');
  await publisher.publish('topics.open', 'seen');
  expect((await stream.next()).data).toBe('seen');
  expect(await bridge.logged('NATS refuses the subject; its channels are unavailable')).toMatchObject({
    level: 'error',
    subject: 'topics.closed',
  });
  expect((await fetch(`${bridge.opsUrl}/readyz`)).status).toBe(200);
});

test('who joins later is told at once that the channel is unavailable', async () => {
  const { bridge } = await setUp();
  expect(await gapOf(await bridge.stream('/events/topic.closed'))).toEqual(UNAVAILABLE);
  const later = await bridge.stream('/events/topic.closed');
  expect(await gapOf(later)).toEqual(UNAVAILABLE);
  expect(await bridge.sample('sidestream_gaps_total{reason="unavailable"}')).toBe(1);
});

test('once the subject is permitted the channel is told so, and events come, each once', async () => {
  const { nats, clock, bridge, publisher } = await setUp();
  const stream = await bridge.stream('/events/topic.closed');
  expect(await gapOf(stream)).toEqual(UNAVAILABLE);
  await nats.reload(ALLOWED);
  clock.advance(LONG_MS);
  expect(await gapOf(stream)).toEqual(AVAILABLE);
  await nats.subscribed('topics.closed', 1);
  await publisher.publish('topics.closed', '1');
  await publisher.publish('topics.closed', '2');
  expect((await stream.take(2)).map(({ data }) => data)).toEqual(['1', '2']);
  expect(await bridge.logged('NATS permits the subject again')).toMatchObject({ subject: 'topics.closed' });
  const later = await bridge.stream('/events/topic.closed');
  await publisher.publish('topics.closed', '3');
  expect(await later.next()).toMatchObject({ event: 'message', data: '3' });
});

test('attempts that fail are not told again, until one succeeds', async () => {
  const { nats, clock, bridge } = await setUp();
  const stream = await bridge.stream('/events/topic.closed');
  expect(await gapOf(stream)).toEqual(UNAVAILABLE);
  for (const errors of [2, 3]) {
    clock.advance(LONG_MS);
    await expect.poll(() => bridge.metrics.natsErrors.get('PermissionViolationError')).toBe(errors);
  }
  await nats.reload(ALLOWED);
  clock.advance(LONG_MS);
  expect(await gapOf(stream)).toEqual(AVAILABLE);
});

test('a permission that came with a restart of NATS heals the channel, and events come once', async () => {
  const { nats, clock, bridge, publisher } = await setUp();
  const stream = await bridge.stream('/events/topic.closed');
  expect(await gapOf(stream)).toEqual(UNAVAILABLE);
  await nats.stop();
  nats.configure(ALLOWED);
  await nats.start();
  await bridge.logged('connected to NATS again');
  expect(await gapOf(stream)).toEqual(AVAILABLE);
  // The attempt that had been due is made now, if it was not called off; what is asked for later comes after it.
  const { comments } = stream;
  clock.advance(LONG_MS);
  await stream.saw('a heartbeat', () => stream.comments > comments);
  await bridge.stream('/events/topic.later');
  await nats.subscribed('topics.later');
  await publisher.publish('topics.closed', '1');
  await publisher.publish('topics.closed', '2');
  expect((await stream.take(2)).map(({ event, data }) => [event, data])).toEqual([
    ['message', '1'],
    ['message', '2'],
  ]);
  expect(await nats.subscriptionsTo('topics.closed')).toBe(1);
});

test('a permission taken away while a stream is open makes its channel unavailable', async () => {
  const { nats, clock, bridge, publisher } = await setUp();
  const stream = await bridge.stream('/events/topic.open');
  await nats.subscribed('topics.open');
  await nats.reload(permissions(['topics.open']));
  expect(await gapOf(stream)).toEqual({ channel: 'topic.open', reason: 'unavailable' });
  await nats.reload(ALLOWED);
  clock.advance(LONG_MS);
  expect(await gapOf(stream)).toEqual({ channel: 'topic.open', reason: 'available' });
  await nats.subscribed('topics.open', 1);
  await publisher.publish('topics.open', 'again');
  expect((await stream.next()).data).toBe('again');
});
