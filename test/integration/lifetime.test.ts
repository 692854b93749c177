import { expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';

test('a quiet stream gets heartbeats; one that just had an event does not', async () => {
  const nats = await startNats();
  const clock = new ManualClock();
  const bridge = await startBridge({ nats, clock, config: { sse: { heartbeat: '15s' } } });
  const publisher = await startPublisher(nats);
  const [quiet, busy] = [
    await bridge.stream('/events/topic.quiet'),
    await bridge.stream('/events/topic.busy'),
  ];
  await nats.subscribed('topics.busy');

  clock.advance(10_000);
  await publisher.publish('topics.busy', '1');
  await busy.next();
  clock.advance(5000);
  await quiet.saw('a heartbeat', () => quiet.comments === 1);
  // Behind this event a heartbeat would be the busy stream's second write of this moment.
  await publisher.publish('topics.busy', '2');
  await busy.next();
  expect(busy.comments).toBe(0);

  clock.advance(15_000);
  await quiet.saw('another heartbeat', () => quiet.comments === 2);
  await busy.saw('its first heartbeat', () => busy.comments === 1);
  expect(await bridge.sample('sidestream_heartbeats_total')).toBe(3);
});

test('a stream that reached its maximum age is told when to come back, and ends in good order', async () => {
  const clock = new ManualClock({ random: () => 0 });
  const bridge = await startBridge({
    nats: await startNats(),
    clock,
    config: { sse: { maxAge: '10m', retry: '3s..10s', heartbeat: '0s' } },
  });
  const old = await bridge.stream('/events/topic.a');
  clock.random = () => 0.999;
  const young = await bridge.stream('/events/topic.a');
  // Up to a tenth early, each by its own part of it: those who came together do not leave together.
  clock.advance(9 * 60_000);
  const close = await old.next('sidestream.close');
  await old.ended();
  await old.closed();
  expect(JSON.parse(close.data)).toEqual({ reason: 'max-age', retry: close.retry });
  expect(close.retry).toBeGreaterThanOrEqual(3000);
  expect(close.retry).toBeLessThanOrEqual(10_000);
  expect(bridge.metrics.connections).toBe(1);
  clock.advance(60_000);
  await young.next('sidestream.close');
  await young.ended();
  expect(await bridge.sample('sidestream_connections_closed_total{reason="max-age"}')).toBe(2);
});

test('without control events nothing but retry lines and the publishers’ events is sent', async () => {
  const nats = await startNats();
  const clock = new ManualClock();
  const config = { sse: { control: false, maxAge: '10m', heartbeat: '0s' }, limits: { event: '64B' } };
  const bridge = await startBridge({ nats, clock, config });
  const publisher = await startPublisher(nats);
  const stream = await bridge.request('/events/topic.a');
  await nats.subscribed('topics.a');
  await publisher.publish('topics.a', 'x'.repeat(65));
  await publisher.publish('topics.a', 'hello');
  expect((await stream.next()).data).toBe('hello');
  clock.advance(10 * 60_000);
  await stream.ended();
  expect(stream.body).toMatch(/^retry: \d+\n\nid: [A-Za-z0-9]{6}\.\d+\ndata: hello\n\nretry: \d+\n\n$/);
});
