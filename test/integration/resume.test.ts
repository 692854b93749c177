import { expect, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';

/** Each channel's verdict for a client that brings `cursor`. */
async function resume(bridge: TestBridge, target: string, cursor: string): Promise<Record<string, string>> {
  const stream = await bridge.request(target, { headers: { 'Last-Event-ID': cursor } });
  const { channels }: { channels: { channel: string; resume: string }[] } = JSON.parse(
    (await stream.next('sidestream.open')).data,
  );
  return Object.fromEntries(channels.map(({ channel, resume: verdict }) => [channel, verdict]));
}

/** A bridge, and a client that was on two channels, has the cursor of its last event, and is gone. */
async function interrupted(route: Record<string, unknown> = {}) {
  const nats = await startNats();
  const channels = {
    topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', ...route },
  };
  const bridge = await startBridge({ nats, config: { channels } });
  const publisher = await startPublisher(nats);
  const stream = await bridge.stream('/events?channels=topic.a,topic.b');
  await nats.subscribed('topics.a');
  await nats.subscribed('topics.b');
  await publisher.publish('topics.a', 'seen');
  const { id } = await stream.next();
  stream.destroy();
  await poll('the stream to be noticed as closed', () => bridge.metrics.connections === 0);
  return { nats, bridge, publisher, cursor: id };
}

const BOTH = '/events?channels=topic.a,topic.b';

test('who missed nothing is told so', async () => {
  const { bridge, cursor } = await interrupted();
  expect(await resume(bridge, BOTH, cursor)).toEqual({ 'topic.a': 'recovered', 'topic.b': 'recovered' });
  expect(await bridge.sample('sidestream_resumes_total{verdict="recovered"}')).toBe(2);
});

test('who was interrupted before the first event resumes from the moment of joining', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats });
  const stream = await bridge.request('/events/topic.a');
  const { id } = await stream.next('sidestream.open');
  stream.destroy();
  expect(await resume(bridge, '/events/topic.a', id)).toEqual({ 'topic.a': 'recovered' });
});

test('who missed an event is told of a gap on the channel where it was, where nothing is kept', async () => {
  const { bridge, publisher, cursor } = await interrupted({ history: { size: 0 } });
  await publisher.publish('topics.b', 'missed');
  await poll('the publication', () => bridge.metrics.route('topic').publications === 2);
  expect(await resume(bridge, BOTH, cursor)).toEqual({ 'topic.a': 'recovered', 'topic.b': 'gap' });
});

test('who comes back when the channel was no longer fed is told of a gap, whatever was published meanwhile', async () => {
  const { nats, bridge, cursor } = await interrupted({ linger: '1ms' });
  await nats.subscribed('topics.a', 0);
  await nats.subscribed('topics.b', 0);
  expect(await resume(bridge, BOTH, cursor)).toEqual({ 'topic.a': 'gap', 'topic.b': 'gap' });
});

test('a cursor of another process, or of a time to come, is told to be a reset', async () => {
  const { bridge, cursor } = await interrupted();
  const [epoch, offset] = cursor.split('.');
  expect(await resume(bridge, '/events/topic.a', `0123456789.${offset}`)).toEqual({ 'topic.a': 'reset' });
  expect(await resume(bridge, '/events/topic.a', `${epoch}.999999`)).toEqual({ 'topic.a': 'reset' });
});

test('the Last-Event-ID header wins over the query parameter, which does where there is no header', async () => {
  const { bridge, cursor } = await interrupted();
  const target = '/events/topic.a?lastEventId=0123456789.1';
  expect(await resume(bridge, target, cursor)).toEqual({ 'topic.a': 'recovered' });
  expect(await resume(bridge, target, '')).toEqual({ 'topic.a': 'reset' });
});
