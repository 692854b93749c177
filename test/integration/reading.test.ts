import { describe, expect, it } from 'vitest';
import * as specs from '../../src/control/operations/reading.ts';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { AUTH, bearer, signed } from './protected.ts';

const CONFIG: FileConfig = {
  auth: AUTH,
  channels: {
    chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: 'public' },
    user: { channel: 'user-{id}', subject: 'notify.{id}', access: { where: { id: '{claims.sub}' } } },
  },
};

type Fields = Readonly<Record<string, unknown>>;

/** What an operation answers by this instance; it must be what its description says. */
async function answerOf(bridge: TestBridge, operation: keyof typeof OUTPUTS, fields: Fields = {}) {
  const outcome = await bridge.call(operation, fields);
  if (!outcome.ok) throw new Error(`${operation}: ${outcome.error.code} ${outcome.error.message}`);
  const { instances, ...answer } = outcome.answer;
  OUTPUTS[operation].parse(answer);
  expect(instances).toMatchObject({ missing: [] });
  return answer;
}

const OUTPUTS = {
  stats: specs.stats.output,
  channels: specs.channels.output,
  channel: specs.channel.output,
  connections: specs.connections.output,
  connection: specs.connection.output,
};

/** Two instances that know of each other. */
async function startTwo(config: FileConfig = CONFIG) {
  const nats = await startNats();
  const bridges = [await startBridge({ nats, config }), await startBridge({ nats, config })] as const;
  for (const bridge of bridges)
    await poll('both to know of each other', async () => {
      const outcome = await bridge.call('instances');
      return outcome.ok && (outcome.answer.list as unknown[]).length === 2;
    });
  return { nats, bridges, ids: await idsOf(bridges) };
}

/** How each instance calls itself, in the order of the bridges. */
async function idsOf(bridges: readonly TestBridge[]): Promise<string[]> {
  const ids: string[] = [];
  for (const bridge of bridges) {
    const client = await bridge.stream('/events/chat-probe');
    const { list } = await answerOf(bridge, 'connections', { channel: 'chat-probe' });
    const [{ instance }] = list as [{ instance: string }];
    ids.push(instance);
    client.destroy();
    await poll('the probe to be gone', () => bridge.metrics.connections === 0);
  }
  return ids;
}

/** A stream that was just opened, and what it was told. */
async function openedOn(bridge: TestBridge, target: string, options = {}) {
  const client = await bridge.request(target, options);
  const { data, id: cursor } = await client.next('sidestream.open');
  return { client, cursor, id: JSON.parse(data).connection as string };
}

describe('two instances, whichever is asked', () => {
  it('tell the figures of both, and each user once', async () => {
    const { nats, bridges } = await startTwo();
    const [one, other] = bridges;
    const token = await signed({ sub: '42' });
    await one.stream('/events/chat-a', bearer(token));
    await one.stream('/events?channels=chat-a,chat-b');
    const lines = { headers: { Accept: 'application/x-ndjson', Authorization: `Bearer ${token}` } };
    await other.request('/events/chat-a', lines);
    await poll('the third to be open', () => other.metrics.connections === 1);
    const publisher = await startPublisher(nats);
    await publisher.publish('chat.a', 'hello');
    await poll('the event to be delivered', async () => {
      const { deliveries } = await answerOf(one, 'stats');
      return deliveries === 3;
    });
    for (const bridge of bridges) {
      const stats = await answerOf(bridge, 'stats');
      expect(stats).toMatchObject({
        connections: { total: 3, sse: 2, ndjson: 1, poll: 0 },
        channels: { occupied: 3 },
        users: { count: 1, exact: true },
        publications: 2,
        slow: 0,
        refused: 0,
      });
      expect(Number(stats.averageEventBytes)).toBe(Number(stats.publishedBytes) / 2);
      expect(Number(stats.publishedBytes)).toBeGreaterThan(2 * 'hello'.length);
      expect(Number(stats.sentBytes)).toBeGreaterThan(3 * 'hello'.length);
      expect(stats.opened).toBeGreaterThanOrEqual(3);
      for (const rates of Object.values(stats.rates as Record<string, Record<string, number>>))
        expect(Object.entries(rates).filter(([, rate]) => rate <= 0)).toEqual([]);
      const each = stats.each as { connections: { total: number }; users: number; memory: { rss: number } }[];
      expect(each.map(({ connections, users }) => [connections.total, users]).sort()).toEqual([
        [1, 1],
        [2, 1],
      ]);
      for (const { memory } of each) expect(memory.rss).toBeGreaterThan(0);
    }
    await poll('the peak of both to have been seen', async () => {
      const { peak } = await answerOf(one, 'stats');
      return (peak as { connections: number }).connections === 3;
    });
    expect(await one.sample('sidestream_connections_peak')).toBe(2);
  });

  it('list every channel once with all that are on it', async () => {
    const { bridges } = await startTwo();
    const [one, other] = bridges;
    await one.stream('/events?channels=chat-a,chat-b');
    await other.stream('/events?channels=chat-b,chat-c');
    const gone = await other.stream('/events/chat-d');
    gone.destroy();
    await poll('nobody to be on it', () => other.metrics.connections === 1);
    for (const bridge of bridges) {
      const listed = async (fields: Fields) => {
        const { list } = await answerOf(bridge, 'channels', fields);
        return (list as { channel: string; subscribers: number }[]).map(
          ({ channel, subscribers }) => `${channel} ${subscribers}`,
        );
      };
      expect(await listed({ filter: 'chat-?', active: true })).toEqual([]);
      expect(await listed({ filter: 'chat-*', active: true })).toEqual(['chat-a 1', 'chat-b 2', 'chat-c 1']);
      expect(await listed({ active: false, filter: '*-d' })).toEqual(['chat-d 0']);
      expect(await listed({ route: 'user' })).toEqual([]);
      const found: string[] = [];
      for (let after: string | undefined = ''; after !== undefined; ) {
        const page = await answerOf(bridge, 'channels', {
          active: true,
          limit: 1,
          ...(after !== '' && { after }),
        });
        found.push(...(page.list as { channel: string }[]).map(({ channel }) => channel));
        after = page.next as string | undefined;
      }
      expect(found).toEqual(['chat-a', 'chat-b', 'chat-c']);
    }
  });

  it('tell of a channel who holds it, and where it is', async () => {
    const { nats, bridges, ids } = await startTwo();
    const [one, other] = bridges;
    const { client } = await openedOn(one, '/events/chat-a');
    await (await startPublisher(nats)).publish('chat.a', 'hello');
    const { id: position } = await client.next();
    for (const bridge of bridges) {
      const told = await answerOf(bridge, 'channel', { channel: 'chat-a' });
      expect(told).toMatchObject({
        channel: 'chat-a',
        route: 'chat',
        subject: 'chat.a',
        subscribers: 1,
        held: [{ instance: ids[0], subscribers: 1, lingering: false, position, history: { events: 1 } }],
      });
      expect(told.created).toBe((told.held as { opened: string }[])[0]?.opened);
    }
    await other.stream('/events/chat-a');
    expect(await answerOf(one, 'channel', { channel: 'chat-a' })).toMatchObject({ subscribers: 2 });
  });

  it('tell of a channel that nobody has asked for what would feed it, and of one without a route that there is none', async () => {
    const { bridges } = await startTwo();
    const told = await answerOf(bridges[0], 'channel', { channel: 'chat-quiet' });
    expect(told).toEqual({
      channel: 'chat-quiet',
      route: 'chat',
      subject: 'chat.quiet',
      subscribers: 0,
      held: [],
    });
    expect(await bridges[1].call('channel', { channel: 'nowhere' })).toMatchObject({
      ok: false,
      error: { code: 'CHANNEL_NOT_FOUND' },
    });
  });

  it('list the streams of both, of one user, on one channel, from one address, page by page', async () => {
    const { bridges, ids } = await startTwo();
    const [one, other] = bridges;
    const token = await signed({ sub: '42' });
    const mine = await openedOn(one, '/events/user-42', bearer(token));
    const theirs = await openedOn(other, '/events?channels=user-42,chat-a', bearer(token));
    const anybody = await openedOn(other, '/events/chat-a');
    const polling = { headers: { Accept: 'application/json', 'Last-Event-ID': anybody.cursor } };
    other.request('/events/chat-a', polling).catch(() => {
      // It is never answered: the bridge stops first.
    });
    await poll('the poll to wait', () => other.metrics.connections === 3);
    for (const bridge of bridges) {
      const listed = async (fields: Fields) => {
        const { list } = await answerOf(bridge, 'connections', fields);
        return list as { connection: string; transport: string; instance: string }[];
      };
      const connections = async (fields: Fields) =>
        (await listed(fields)).map(({ connection }) => connection).sort();
      expect(await connections({ user: '42' })).toEqual([mine.id, theirs.id].sort());
      expect(await connections({ user: '42', channel: 'chat-a' })).toEqual([theirs.id]);
      expect(await connections({ address: '127.0.0.2' })).toEqual([]);
      expect(await listed({ address: '127.0.0.1' })).toHaveLength(4);
      const found: { connection: string; transport: string; instance: string }[] = [];
      for (let after: string | undefined = ''; after !== undefined; ) {
        const page = await answerOf(bridge, 'connections', { limit: 1, ...(after !== '' && { after }) });
        found.push(...(page.list as typeof found));
        after = page.next as string | undefined;
      }
      expect(found.map(({ instance }) => instance)).toEqual([ids[0], ids[1], ids[1], ids[1]].sort());
      const there = found.filter(({ instance }) => instance === ids[1]);
      expect(there.map(({ connection }) => connection)).toEqual([theirs.id, anybody.id, expect.anything()]);
      expect(there.map(({ transport }) => transport)).toEqual(['sse', 'sse', 'poll']);
      expect(JSON.stringify(found)).not.toContain(token);
    }
  });

  it('tell of one stream wherever it is, and of one that is nowhere that it is not found', async () => {
    const { bridges, ids } = await startTwo();
    const { id, client } = await openedOn(bridges[1], '/events/user-42', bearer(await signed({ sub: '42' })));
    for (const bridge of bridges)
      expect(await answerOf(bridge, 'connection', { connection: id })).toMatchObject({
        connection: id,
        instance: ids[1],
        user: '42',
        address: '127.0.0.1',
        transport: 'sse',
        channels: ['user-42'],
        waitingBytes: 0,
      });
    client.destroy();
    await poll('it to be gone', () => bridges[1].metrics.connections === 0);
    expect(await bridges[0].call('connection', { connection: id })).toMatchObject({
      ok: false,
      error: { code: 'CONNECTION_NOT_FOUND' },
    });
  });

  it.each([
    ['connections', { after: 'x' }],
    ['connections', { limit: 0 }],
    ['connections', { limit: 1001 }],
    ['connections', { usr: '42' }],
    ['channels', { filter: '' }],
    ['channels', { filter: '*'.repeat(257) }],
    ['channels', { after: 'no channel' }],
    ['channel', {}],
    ['channel', { channel: '*' }],
    ['connection', { connection: 7 }],
    ['stats', { all: true }],
  ])('refuse %s with %j', async (operation, fields) => {
    const bridge = await startBridge();
    expect(await bridge.call(operation, fields)).toMatchObject({
      ok: false,
      error: { code: 'CONTROL_INVALID' },
    });
  });
});

describe('an instance without NATS', () => {
  it('tells what it has', async () => {
    const bridge = await startBridge();
    expect(await answerOf(bridge, 'stats')).toMatchObject({ connections: { total: 0 } });
    expect(await answerOf(bridge, 'connections')).toEqual({ list: [] });
    expect(await answerOf(bridge, 'channels')).toEqual({ list: [] });
  });
});
