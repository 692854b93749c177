import { jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import type { Opened } from '../../src/hub/recovery.ts';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';

const ORDERS = { channel: 'orders-{id}', subject: 'orders.{id}', stream: 'ORDERS', access: 'public' };
const CORE = { channel: 'news', subject: 'news', access: 'public' };

/** A server with the stream ORDERS, and as many bridges on it as wanted. */
async function setUp(
  route: Record<string, unknown> = {},
  { stream = {}, limits = {} }: { stream?: Partial<StreamConfig>; limits?: Record<string, unknown> } = {},
) {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  const make = () => jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'], ...stream });
  await make();
  const js = jetstream(publisher.connection);
  const config = { channels: { orders: { ...ORDERS, ...route }, news: CORE }, limits };
  return {
    nats,
    jsm,
    make,
    bridge: () => startBridge({ nats, config }),
    /** Stores messages of one order; resolves when the stream has them. */
    publish: async (id: string, ...payloads: readonly string[]) => {
      for (const payload of payloads) await js.publish(`orders.${id}`, payload);
    },
  };
}

async function join(bridge: TestBridge, target: string, cursor?: string) {
  const headers = cursor === undefined ? {} : { 'Last-Event-ID': cursor };
  const client = await bridge.request(target, { headers });
  const open = await client.next('sidestream.open');
  const { channels }: { channels: readonly Opened[] } = JSON.parse(open.data);
  return {
    client,
    channels,
    opened: channels[0],
    take: async (count: number) => (await client.take(count)).map(({ data }) => data),
  };
}

const passedOn = (bridge: TestBridge, offset: number) =>
  poll(
    `message ${offset}`,
    async () => (await bridge.sample('sidestream_stream_offset{stream="ORDERS"}')) === offset,
  );

test('who moves between replicas at every reconnect sees each event once', async () => {
  const { bridge, publish } = await setUp();
  const replicas = [await bridge(), await bridge()];
  const seen: string[] = [];
  let cursor: string | undefined;
  for (let round = 0; round < 10; round += 1) {
    const replica = replicas[round % 2];
    if (replica === undefined) break;
    const { client, take, opened } = await join(replica, '/events/orders-7', cursor);
    expect(opened?.resume).toBe(cursor === undefined ? 'live' : 'recovered');
    await publish('7', `${round}a`);
    // What was published while nobody listened, and what is live.
    seen.push(...(await take(round === 0 ? 1 : 2)));
    cursor = client.lastEventId;
    client.destroy();
    await publish('7', `${round}b`);
  }
  expect(seen.join()).toBe('0a,0b,1a,1b,2a,2b,3a,3b,4a,4b,5a,5b,6a,6b,7a,7b,8a,8b,9a');
});

test('a new process gives what was missed before it was there, from memory that it has warmed', async () => {
  const { bridge, publish } = await setUp({ warm: '5m' });
  await publish('7', '1');
  const { client, take } = await join(await bridge(), '/events/orders-7', undefined);
  await publish('7', '2');
  expect(await take(1)).toEqual(['2']);
  client.destroy();
  await publish('7', '3', '4');
  const later = await bridge();
  const back = await join(later, '/events/orders-7', client.lastEventId);
  expect(back.opened).toMatchObject({ resume: 'recovered', replayed: 2 });
  expect(await back.take(2)).toEqual(['3', '4']);
  expect(await later.sample('sidestream_archive_reads_total')).toBe(0);
});

test('a thousand who come back with cursors older than memory cost one read of the stream', async () => {
  const { bridge, publish } = await setUp({ warm: '0s', history: { size: 5 } });
  const first = await bridge();
  const { client } = await join(first, '/events/orders-7');
  const cursor = client.lastEventId;
  await publish('7', ...Array.from({ length: 30 }, (_, i) => `${i}`));
  await passedOn(first, 30);
  const all = await Promise.all(
    Array.from({ length: 1000 }, async () => {
      const { client: each, opened, take } = await join(first, '/events/orders-7', cursor);
      const taken = await take(30);
      each.destroy();
      return `${opened?.resume} ${taken.join()}`;
    }),
  );
  expect(new Set(all)).toEqual(new Set([`recovered ${Array.from({ length: 30 }, (_, i) => i).join()}`]));
  expect(await first.sample('sidestream_archive_reads_total')).toBeLessThan(5);
});

test.each([
  ['none', []],
  ['last', ['5']],
  ['3', ['3', '4', '5']],
  ['all', ['1', '2', '3', '4', '5']],
  ['1h', ['1', '2', '3', '4', '5']],
])('who joins without a cursor gets what replay: %s says, then what is live', async (replay, expected) => {
  const { bridge, publish } = await setUp({ replay, warm: '0s' });
  await publish('7', '1', '2', '3', '4');
  await publish('8', 'other');
  await publish('7', '5');
  const { opened, take } = await join(await bridge(), '/events/orders-7');
  expect(opened).toEqual({ channel: 'orders-7', resume: 'live', replayed: expected.length });
  await publish('7', 'live');
  expect(await take(expected.length + 1)).toEqual([...expected, 'live']);
});

test('a cursor over a stream and core NATS recovers both', async () => {
  const { bridge, publish, nats } = await setUp();
  const publisher = await startPublisher(nats);
  const one = await bridge();
  const target = '/events?channels=orders-7,news';
  const { client, take } = await join(one, target);
  await publish('7', 'a');
  expect(await take(1)).toEqual(['a']);
  await publisher.publish('news', 'b');
  expect(await take(1)).toEqual(['b']);
  expect(client.lastEventId).toMatch(/^[A-Za-z0-9]{6}\.\d+_[A-Za-z0-9]{6}\.\d+$/);
  client.destroy();
  await publish('7', 'c');
  await publisher.publish('news', 'd');
  await poll(
    'both',
    () => one.metrics.route('news').publications === 2 && one.metrics.route('orders').publications === 2,
  );
  const back = await join(one, target, client.lastEventId);
  expect(back.channels.map(({ resume, replayed }) => `${resume} ${replayed}`)).toEqual([
    'recovered 1',
    'recovered 1',
  ]);
  expect((await back.take(2)).sort()).toEqual(['c', 'd']);
  // Elsewhere the stream's part of it is as good; what that process saw of core NATS is another log.
  const there = await join(await bridge(), target, client.lastEventId);
  expect(there.channels.map(({ channel, resume, reason }) => `${channel} ${resume} ${reason}`)).toEqual([
    'orders-7 recovered undefined',
    'news reset epoch',
  ]);
});

test('a channel that is quiet while its stream goes on keeps a cursor that is not too old', async () => {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'], max_msgs: 5 });
  const bridge = await startBridge({
    nats,
    config: { channels: { orders: ORDERS }, sse: { heartbeat: '1s' } },
  });
  const { client } = await join(bridge, '/events/orders-quiet');
  const before = client.lastEventId;
  const js = jetstream(publisher.connection);
  for (let i = 0; i < 20; i += 1) await js.publish('orders.busy', `${i}`);
  expect(await client.next('sidestream.cursor')).toMatchObject({ data: '' });
  expect(client.lastEventId).not.toBe(before);
  await passedOn(bridge, 20);
  const elsewhere = await startBridge({ nats, config: { channels: { orders: { ...ORDERS, warm: '0s' } } } });
  expect((await join(elsewhere, '/events/orders-quiet', before)).opened).toMatchObject({
    resume: 'gap',
    reason: 'too-old',
  });
  await poll('a cursor of the end', async () => {
    const { opened } = await join(elsewhere, '/events/orders-quiet', client.lastEventId);
    return opened?.resume === 'recovered';
  });
});

test('more than limits.replay is a gap that is said, with the newest of it', async () => {
  const { bridge, publish } = await setUp({ warm: '0s' }, { limits: { replay: 3 } });
  const one = await bridge();
  const cursor = (await join(one, '/events/orders-7')).client.lastEventId;
  await publish('7', '1', '2', '3', '4', '5');
  await passedOn(one, 5);
  for (const replica of [one, await bridge()]) {
    const { opened, take } = await join(replica, '/events/orders-7', cursor);
    expect(opened).toEqual({ channel: 'orders-7', resume: 'gap', reason: 'too-many', replayed: 3 });
    expect(await take(3)).toEqual(['3', '4', '5']);
  }
});

test('who comes back to a stream that was purged, or made anew, is told so', async () => {
  const { bridge, publish, jsm, make } = await setUp({ warm: '0s' });
  const one = await bridge();
  const { client } = await join(one, '/events/orders-7');
  const cursor = client.lastEventId;
  await publish('7', '1', '2');
  await jsm.streams.purge('ORDERS');
  await publish('7', '3');
  const purged = await join(await bridge(), '/events/orders-7', cursor);
  expect(purged.opened).toEqual({ channel: 'orders-7', resume: 'gap', reason: 'purged', replayed: 1 });
  expect(await purged.take(1)).toEqual(['3']);

  await jsm.streams.delete('ORDERS');
  await make();
  await publish('7', 'new');
  const told = await client.until(({ event }) => event === 'sidestream.gap');
  expect(JSON.parse(told.at(-1)?.data ?? '')).toEqual({ channel: 'orders-7', reason: 'recreated' });
  const anew = await join(await bridge(), '/events/orders-7', cursor);
  expect(anew.opened).toMatchObject({ resume: 'reset', reason: 'epoch' });
});

test('streams stay open while nats-server is killed and started again, and miss nothing', async () => {
  const { bridge, publish, nats } = await setUp();
  const one = await bridge();
  const { client, take } = await join(one, '/events/orders-7');
  await publish('7', '1');
  expect(await take(1)).toEqual(['1']);
  await nats.restart();
  await poll('the publisher to be back', () =>
    publish('7', '2').then(
      () => true,
      () => false,
    ),
  );
  await publish('7', '3');
  const after = await client.until(({ data }) => data === '3');
  expect(after.filter(({ event }) => event === 'sidestream.gap')).toEqual([]);
  expect(
    after
      .map(({ data }) => data)
      .filter((data) => data === '2' || data === '3')
      .at(-1),
  ).toBe('3');
  expect(one.metrics.connections).toBe(1);
});
