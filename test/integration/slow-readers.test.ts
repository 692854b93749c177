import { expect, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';

/** Kernels take about 4 MB of a connection on loopback before the server notices a reader that has stopped. */
const KERNEL_BYTES = 8 * 1024 * 1024;
const EVENT_BYTES = 64 * 1024;

interface Scene {
  readonly nats: NatsServer;
  readonly bridge: TestBridge;
  readonly publisher: Publisher;
  /** Does not read. */
  readonly stuck: StreamClient;
  readonly others: readonly StreamClient[];
}

async function scene(limits: Readonly<Record<string, unknown>>): Promise<Scene> {
  const nats = await startNats();
  const bridge = await startBridge({ nats, config: { limits, sse: { heartbeat: '0s' } } });
  const publisher = await startPublisher(nats);
  const [stuck, ...others] = [
    await bridge.stream('/events/topic.a'),
    await bridge.stream('/events/topic.a'),
    await bridge.stream('/events/topic.a'),
  ];
  await nats.subscribed('topics.a');
  stuck.pause();
  return { nats, bridge, publisher, stuck, others };
}

/** The payload of event `n`: its number and filling. */
function payload(n: number): string {
  return `${n} `.padEnd(EVENT_BYTES, 'x');
}

/** Publishes until the server notices that a reader is behind; gives how many events that took. */
async function publishUntilBehind({ bridge, publisher, others }: Scene): Promise<number> {
  let count = 0;
  while (bridge.metrics.slowConnections === 0) {
    await publisher.publish('topics.a', payload(count));
    count += 1;
    for (const other of others) expect((await other.next()).data.split(' ')[0]).toBe(`${count - 1}`);
    if (count * EVENT_BYTES > 2 * KERNEL_BYTES) throw new Error('the kernel takes everything');
  }
  return count;
}

test('a reader that leaves more than limits.pending unread is cut off, and the others get every event in order', async () => {
  const all = await scene({ pending: '256KiB', stalled: '1h' });
  const { bridge, publisher, others, stuck } = all;
  const first = await publishUntilBehind(all);
  const more = 40;
  for (let n = first; n < first + more; n += 1) await publisher.publish('topics.a', payload(n));
  await poll('the stream to be closed as slow', () => bridge.metrics.connectionsClosed.get('slow') === 1);

  for (const other of others) {
    const received = await other.take(more);
    expect(received.map(({ data }) => Number(data.split(' ')[0]))).toEqual(
      Array.from({ length: more }, (_, index) => first + index),
    );
  }
  stuck.resume();
  await stuck.cut();
  expect(await bridge.sample('sidestream_connections')).toBe(2);
  expect(await bridge.sample('sidestream_slow_connections')).toBe(0);
  expect(await bridge.sample('sidestream_pending_bytes')).toBe(0);
});

test('what waits for a slow reader is counted, and gone from the count once it has caught up', async () => {
  const all = await scene({ pending: '64MiB', stalled: '1h' });
  const { bridge, publisher, stuck } = all;
  const first = await publishUntilBehind(all);
  for (let n = first; n < first + 10; n += 1) await publisher.publish('topics.a', payload(n));
  await poll(
    'bytes to wait',
    async () => ((await bridge.sample('sidestream_pending_bytes')) ?? 0) >= 9 * EVENT_BYTES,
  );
  expect(await bridge.sample('sidestream_slow_connections')).toBe(1);

  stuck.resume();
  const received = await stuck.take(first + 10);
  expect(received.map(({ data }) => Number(data.split(' ')[0]))).toEqual(received.map((_, index) => index));
  await poll('the reader to have caught up', () => bridge.metrics.slowConnections === 0);
  expect(bridge.metrics.pendingBytes).toBe(0);
  await publisher.publish('topics.a', 'and on');
  expect((await stuck.next()).data).toBe('and on');
});

test('an event that filled the socket arrives whole though nothing comes after it', async () => {
  const all = await scene({ pending: '64MiB', stalled: '1h' });
  const count = await publishUntilBehind(all);
  all.stuck.resume();
  const received = await all.stuck.take(count);
  expect(received.map(({ data }) => data.length)).toEqual(received.map(() => EVENT_BYTES));
  await poll('the reader to have caught up', () => all.bridge.metrics.slowConnections === 0);
});

test('a reader that is behind for limits.stalled is cut off, however little waits for it', async () => {
  const all = await scene({ pending: '64MiB', stalled: '500ms' });
  const { bridge, others, publisher } = all;
  await publishUntilBehind(all);
  await poll('the stream to be closed as slow', () => bridge.metrics.connectionsClosed.get('slow') === 1);
  expect(bridge.metrics.slowConnections).toBe(0);
  expect(bridge.metrics.pendingBytes).toBe(0);
  await publisher.publish('topics.a', 'and on');
  for (const other of others) expect((await other.next()).data).toBe('and on');
});

test('a slow reader that goes away leaves no count behind', async () => {
  const all = await scene({ pending: '64MiB', stalled: '1h' });
  await publishUntilBehind(all);
  all.stuck.destroy();
  await poll('the stream to be noticed as closed', () => all.bridge.metrics.connections === 2);
  expect(all.bridge.metrics.slowConnections).toBe(0);
  expect(all.bridge.metrics.pendingBytes).toBe(0);
});

test('a reader may stall for limits.stalled, also beyond the 10 s that uWebSockets.js would grant it', async () => {
  const all = await scene({ pending: '64MiB', stalled: '14s' });
  const { bridge } = all;
  await publishUntilBehind(all);
  await poll('the stream to end', () => bridge.metrics.connections === 2);
  expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({ slow: 1 });
});
