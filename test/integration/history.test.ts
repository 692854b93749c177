import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import type { Opened } from '../../src/hub/recovery.ts';
import { startBridge, type TestBridge, type TestBridgeOptions } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';

const TOPIC = { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public' };
type Limits = NonNullable<TestBridgeOptions['config']>['limits'];

async function setUp(nats: NatsServer, route: Record<string, unknown> = {}, limits: Limits = {}) {
  const bridge = await startBridge({ nats, config: { channels: { topic: { ...TOPIC, ...route } }, limits } });
  const publisher = await startPublisher(nats);
  let published = 0;
  return {
    bridge,
    /** Publishes on `topics.a`, and waits until the bridge has it. */
    publish: async (...payloads: readonly string[]) => {
      for (const payload of payloads) await publisher.publish('topics.a', payload);
      published += payloads.length;
      await poll('the publications', () => bridge.metrics.route('topic').publications === published);
    },
  };
}

/** Opens a stream; what it is told of its channel, and the stream. */
async function join(bridge: TestBridge, cursor?: string, target = '/events/topic.a') {
  const client = await bridge.request(target, {
    headers: cursor === undefined ? {} : { 'Last-Event-ID': cursor },
  });
  const open = await client.next('sidestream.open');
  const { channels }: { channels: readonly Opened[] } = JSON.parse(open.data);
  return { client, opened: channels[0], channels };
}

const dataOf = async (client: StreamClient, count: number) =>
  (await client.take(count)).map(({ data }) => data);

test('who comes back to the same process gets what it missed, in order, and then what is live', async () => {
  const { bridge, publish } = await setUp(await startNats());
  const { client: first } = await join(bridge);
  await publish('1', '2');
  expect(await dataOf(first, 2)).toEqual(['1', '2']);
  first.destroy();
  await poll('its end', () => bridge.metrics.connections === 0);
  await publish('3', '4', '5');
  const { client, opened } = await join(bridge, first.lastEventId);
  expect(opened).toEqual({ channel: 'topic.a', resume: 'recovered', replayed: 3 });
  await publish('6');
  const events = await client.take(4);
  expect(events.map(({ data }) => data)).toEqual(['3', '4', '5', '6']);
  // Each brings the cursor to go on from: also in the middle of what is replayed.
  const { client: again, opened: twice } = await join(bridge, events[1]?.id);
  expect(twice).toMatchObject({ resume: 'recovered', replayed: 2 });
  expect(await dataOf(again, 2)).toEqual(['5', '6']);
  expect(await bridge.sample('sidestream_resumes_total{verdict="recovered"}')).toBe(2);
});

test.each([
  ['none', []],
  ['last', ['5']],
  ['2', ['4', '5']],
  ['all', ['1', '2', '3', '4', '5']],
  ['30s', ['1', '2', '3', '4', '5']],
])('who brings no cursor is sent what replay asks for: %s', async (replay, expected) => {
  const given = /^\d+$/.test(replay) ? Number(replay) : replay;
  const { bridge, publish } = await setUp(await startNats(), { replay: given });
  const held = await join(bridge);
  expect(held.opened).toEqual({ channel: 'topic.a', resume: 'live', replayed: 0 });
  await publish('1', '2', '3', '4', '5');
  const { client, opened } = await join(bridge);
  expect(opened).toEqual({ channel: 'topic.a', resume: 'live', replayed: expected.length });
  await publish('6');
  expect(await dataOf(client, expected.length + 1)).toEqual([...expected, '6']);
});

test('who comes to another process is told a reset, and sent what history there is', async () => {
  const nats = await startNats();
  const [here, there] = [await setUp(nats), await setUp(nats)];
  const { client: first } = await join(here.bridge);
  await join(there.bridge);
  await here.publish('1', '2');
  expect(await dataOf(first, 2)).toEqual(['1', '2']);
  first.destroy();
  await poll('the other process', () => there.bridge.metrics.route('topic').publications === 2);
  const { client, opened } = await join(there.bridge, first.lastEventId);
  expect(opened).toEqual({ channel: 'topic.a', resume: 'reset', reason: 'epoch', replayed: 2 });
  expect(await dataOf(client, 2)).toEqual(['1', '2']);
});

test.each([
  ['size', { size: 2 }, '', ['3', '4']],
  ['bytes', { bytes: '1KiB' }, 'x'.repeat(400), ['4']],
])(
  'history is bounded by %s, and what it no longer holds is a gap that is said',
  async (_, history, fill, kept) => {
    const { bridge, publish } = await setUp(await startNats(), { history });
    const { client: held } = await join(bridge);
    await publish(...['1', '2', '3', '4'].map((payload) => payload + fill));
    const [first] = await held.take(4);
    const { client, opened } = await join(bridge, first?.id);
    expect(opened).toEqual({ channel: 'topic.a', resume: 'gap', reason: 'evicted', replayed: kept.length });
    expect(await dataOf(client, kept.length)).toEqual(kept.map((payload) => payload + fill));
  },
);

test('history is bounded by age', async () => {
  const { bridge, publish } = await setUp(await startNats(), { history: { age: '100ms' } });
  const { client: held } = await join(bridge);
  await publish('1', '2');
  const [first] = await held.take(2);
  expect(await bridge.sample('sidestream_history_bytes')).toBeDefined();
  await poll(
    'the memory to be given back',
    async () => (await bridge.sample('sidestream_history_bytes')) === 0,
  );
  const { opened } = await join(bridge, first?.id);
  expect(opened).toEqual({ channel: 'topic.a', resume: 'gap', reason: 'evicted', replayed: 0 });
});

test('nobody is sent more than limits.replay, and who missed more is told', async () => {
  const { bridge, publish } = await setUp(await startNats(), { replay: 2 }, { replay: 3 });
  const { client: held } = await join(bridge);
  await publish('1', '2', '3', '4', '5');
  const [first, second] = await held.take(5);
  const much = await join(bridge, first?.id);
  expect(much.opened).toEqual({ channel: 'topic.a', resume: 'gap', reason: 'too-many', replayed: 3 });
  expect(await dataOf(much.client, 3)).toEqual(['3', '4', '5']);
  expect((await join(bridge, second?.id)).opened).toMatchObject({ resume: 'recovered', replayed: 3 });
  expect((await join(bridge, 'Foreign.1')).opened).toMatchObject({ resume: 'reset', replayed: 3 });
});

/** Publishes numbers from 1 on, each stored before the next hundred, until it is told to stop. */
async function startCounting(nats: NatsServer, isStream: boolean) {
  const { connection } = await startPublisher(nats);
  if (isStream) {
    const jsm = await jetstreamManager(connection);
    await jsm.streams.add({ name: 'TOPICS', subjects: ['topics.*'], storage: 'memory' });
  }
  const js = jetstream(connection);
  let isOver = false;
  const count = async () => {
    for (let n = 1; !isOver; ) {
      const stored: Promise<unknown>[] = [];
      for (let i = 0; i < 100; i += 1, n += 1) {
        if (isStream) stored.push(js.publish('topics.a', `${n}`));
        else connection.publish('topics.a', `${n}`);
      }
      await (isStream ? Promise.all(stored) : connection.flush());
    }
  };
  return {
    start: () => {
      const counting = count();
      return () => {
        isOver = true;
        return counting;
      };
    },
  };
}

test.each([
  ['core', 2000, {}],
  // Memory that is too small: those who come back are served from the stream.
  ['stream', 1000, { stream: 'TOPICS', history: { size: 50 } }],
])(
  'whoever joins a %s route while messages come as fast as they go gets each one from its first on, and goes on where it was',
  async (kind, joins, route) => {
    const AT_ONCE = 40;
    const EVENTS = 30;
    const nats = await startNats({ jetStream: true });
    const counter = await startCounting(nats, kind === 'stream');
    const history = { size: 100_000, bytes: '256MiB' };
    const limits = { replay: 100_000, connectRate: '100000/s', history: '512MiB' };
    const { bridge } = await setUp(nats, { history, ...route }, limits);
    await join(bridge);
    const stop = counter.start();
    let joined = 0;
    /** One client after another; each second one goes on where the one before it was cut off. */
    const chain = async () => {
      let before: { readonly id: string; readonly number: number } | undefined;
      for (; joined < joins; joined += 1) {
        const { client, opened } = await join(bridge, before?.id);
        expect(opened?.resume).toBe(before === undefined ? 'live' : 'recovered');
        const events = await client.take(EVENTS);
        client.destroy();
        const numbers = events.map(({ data }) => Number(data));
        const first = before === undefined ? (numbers[0] ?? 0) : before.number + 1;
        expect(numbers).toEqual(Array.from({ length: EVENTS }, (_, i) => first + i));
        const last = { id: events.at(-1)?.id ?? '', number: first + EVENTS - 1 };
        before = before === undefined ? last : undefined;
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, chain));
    } finally {
      await stop();
    }
    expect(joined).toBeGreaterThanOrEqual(joins);
  },
  120_000,
);
