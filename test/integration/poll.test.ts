import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { command } from '../control/running.ts';
import { KEPT } from '../control/stored.ts';
import type { PollBody } from '../http/poll-frames.ts';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { RawClient } from '../support/raw-client.ts';
import { dataOf, longPoll, waitingPoll } from './polling.ts';
import { AUTH, bearer, signed } from './protected.ts';

const POLL = { headers: { Accept: 'application/json' } };

async function setUp(config: FileConfig = {}) {
  const nats = await startNats();
  return { nats, bridge: await startBridge({ nats, config }), publisher: await startPublisher(nats) };
}

/** Asks, and gives the status and the code of the refusal. */
async function refusalOf(bridge: TestBridge, target: string, headers: Record<string, string> = {}) {
  const client = await bridge.request(target, { headers: { ...POLL.headers, ...headers } });
  await client.ended();
  return { client, said: `${client.status} ${JSON.parse(client.body).error?.code}` };
}

describe('a long poll', () => {
  test('is answered at once with a cursor, then when something is published, then with what was missed', async () => {
    const { bridge, publisher } = await setUp();
    const target = '/events?channels=topic.a,topic.b';
    const first = await longPoll(bridge, target);
    expect(first.client.header('content-type')).toBe('application/json');
    expect(first.client.header('cache-control')).toBe('no-store');
    expect(first.client.header('vary')).toBe('Accept');
    expect(first.body).toEqual({
      cursor: expect.stringMatching(/^[A-Za-z0-9]{6}\.\d+$/),
      channels: ['topic.a', 'topic.b'].map((channel) => ({ channel, resume: 'live', replayed: 0 })),
      events: [],
      retry: expect.any(Number),
    });
    const { answer } = await waitingPoll(bridge, target, first.body.cursor);
    await publisher.publish('topics.b', '{"n":1}', { 'Sse-Event': 'number' });
    const second = await answer;
    expect(second.body.events).toEqual([{ id: second.body.cursor, event: 'number', data: '{"n":1}' }]);
    await publisher.publish('topics.a', 'two');
    await publisher.publish('topics.b', 'three');
    await poll('both', () => bridge.metrics.route('topic').publications === 3);
    const third = await longPoll(bridge, target, second.body.cursor);
    expect(dataOf(third)).toEqual(['two', 'three']);
    expect(third.body.channels).toEqual([
      { channel: 'topic.a', resume: 'recovered', replayed: 1 },
      { channel: 'topic.b', resume: 'recovered', replayed: 1 },
    ]);
    expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({ answered: 3 });
  });

  test('is answered with nothing when its wait is over', async () => {
    const { bridge } = await setUp();
    const { body } = await longPoll(bridge, '/events/topic.a');
    for (const wait of ['0s', '200ms'])
      expect((await longPoll(bridge, `/events/topic.a?wait=${wait}`, body.cursor)).body).toMatchObject({
        cursor: body.cursor,
        events: [],
      });
  });

  test('takes its cursor from the query as well', async () => {
    const { bridge, publisher } = await setUp();
    const { body } = await longPoll(bridge, '/events/topic.a');
    await publisher.publish('topics.a', 'missed');
    await poll('it', () => bridge.metrics.route('topic').publications === 1);
    const target = `/events/topic.a?lastEventId=${body.cursor}`;
    expect(dataOf(await longPoll(bridge, target))).toEqual(['missed']);
  });

  test('may follow another on the same connection', async () => {
    const { bridge } = await setUp();
    const raw = await RawClient.connect(bridge.httpPort);
    const request = 'GET /events/topic.a HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n';
    for (const count of [1, 2, 3]) {
      raw.send(request);
      await raw.received(new RegExp(`(HTTP/1\\.1 200 OK[\\s\\S]*"retry":\\d+\\}){${count}}$`));
    }
    expect(raw.text).not.toMatch(/^connection: close/im);
  });

  test('whose Accept came in two lines is one', async () => {
    const { bridge } = await setUp();
    const raw = await RawClient.connect(bridge.httpPort);
    raw.send(
      'GET /events/topic.a HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nAccept: application/json\r\n\r\n',
    );
    await raw.received(/HTTP\/1\.1 200 OK[\s\S]*"cursor":/);
  });

  test('may be compressed, as a whole', async () => {
    const { bridge, publisher } = await setUp({ sse: { compression: ['gzip'] } });
    const { body } = await longPoll(bridge, '/events/topic.a');
    await publisher.publish('topics.a', 'x'.repeat(5000));
    await poll('it', () => bridge.metrics.route('topic').publications === 1);
    const response = await fetch(`http://127.0.0.1:${bridge.httpPort}/events/topic.a`, {
      headers: { ...POLL.headers, 'Accept-Encoding': 'gzip', 'Last-Event-ID': body.cursor },
    });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(response.headers.get('vary')).toBe('Accept, Accept-Encoding');
    const { events }: PollBody = JSON.parse(await response.text());
    expect(events.map(({ data }) => data)).toEqual(['x'.repeat(5000)]);
  });

  test('beside a throttled channel of the same stream, which holds positions back, gives nothing twice and passes nothing by', async () => {
    const nats = await startNats({ jetStream: true });
    const { connection } = await startPublisher(nats);
    await (await jetstreamManager(connection)).streams.add({ name: 'TICKS', subjects: ['ticks.>'] });
    const route = { stream: 'TICKS', access: 'public' };
    const channels = {
      every: { ...route, channel: 'every', subject: 'ticks.every' },
      some: { ...route, channel: 'some', subject: 'ticks.some', throttle: '200ms' },
    };
    const bridge = await startBridge({ nats, config: { channels } });
    const target = '/events?channels=every,some&wait=1s&limit=7';
    let { cursor } = (await longPoll(bridge, target)).body;
    const publish = async () => {
      const js = jetstream(connection);
      for (let i = 0; i < 200; i += 1)
        for (const name of ['every', 'some']) await js.publish(`ticks.${name}`, `${name} ${i}`);
    };
    const published = publish();
    const seen: string[] = [];
    while (!(seen.includes('every 199') && seen.includes('some 199'))) {
      const { body } = await longPoll(bridge, target, cursor);
      expect(body.channels.map(({ resume }) => resume)).toEqual(['recovered', 'recovered']);
      seen.push(...body.events.map(({ data }) => data));
      cursor = body.cursor;
    }
    await published;
    const every = seen.filter((data) => data.startsWith('every'));
    expect(every).toEqual(Array.from({ length: 200 }, (_, i) => `every ${i}`));
    const some = seen.filter((data) => data.startsWith('some')).map((data) => Number(data.slice(5)));
    expect(some).toEqual([...new Set(some)].sort((a, b) => a - b));
    expect(some.length).toBeLessThan(200);
  });

  test('that catches up in steps with two channels of one stream is told once of what one of them has lost', async () => {
    const nats = await startNats({ jetStream: true });
    const { connection } = await startPublisher(nats);
    await (await jetstreamManager(connection)).streams.add({ name: 'O', subjects: ['o.>'] });
    const route = { stream: 'O', access: 'public' };
    const channels = {
      one: { ...route, channel: 'one-{i}', subject: 'o.{i}' },
      all: { ...route, channel: 'all', subject: 'o.>' },
    };
    const bridge = await startBridge({ nats, config: { channels, limits: { replay: 50 } } });
    const target = '/events?channels=one-1,all&wait=0s&limit=7';
    let { cursor } = (await longPoll(bridge, target)).body;
    const js = jetstream(connection);
    for (let i = 0; i < 80; i += 1) await js.publish(`o.${i % 2}`, `${i}`);
    await poll('all', () => bridge.metrics.route('all').publications === 80);
    const gaps: string[] = [];
    const seen: string[] = [];
    for (let given = 1; given > 0; ) {
      const { body } = await longPoll(bridge, target, cursor);
      for (const { channel, resume, reason } of body.channels)
        if (resume !== 'recovered') gaps.push(`${channel} ${resume} ${reason}`);
      seen.push(...body.events.map(({ data }) => data));
      given = body.events.length;
      cursor = body.cursor;
    }
    expect(gaps).toEqual(['all gap too-many']);
    expect(seen).toHaveLength(40 + 50);
    expect(new Set(seen).size).toBe(50 + 15);
  });

  test('gives an answer larger than a socket takes at once, whole', async () => {
    const history = { bytes: '32MiB' };
    const channels = {
      topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', history },
    };
    const { bridge, publisher } = await setUp({ channels, limits: { pending: '16MiB' } });
    const { body } = await longPoll(bridge, '/events/topic.a');
    for (let i = 0; i < 12; i += 1) await publisher.publish('topics.a', `${i}`.padEnd(900_000, '.'));
    await poll('all', () => bridge.metrics.route('topic').publications === 12);
    const response = await fetch(`http://127.0.0.1:${bridge.httpPort}/events/topic.a`, {
      headers: { ...POLL.headers, 'Last-Event-ID': body.cursor },
    });
    const { events }: PollBody = JSON.parse(await response.text());
    expect(events.map(({ data }) => [data.length, Number.parseInt(data, 10)])).toEqual(
      Array.from({ length: 12 }, (_, i) => [900_000, i]),
    );
  });
});

describe('an answer that nobody reads', () => {
  const history = { bytes: '32MiB' };
  const channels = {
    topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', history },
  };
  /** More than the kernels take of a connection on loopback. */
  const COUNT = 12;

  async function unread(limits: Readonly<Record<string, unknown>>, drain = {}) {
    const real = await setUp({ channels, limits: { pending: '16MiB', ...limits }, drain });
    const { bridge, publisher } = real;
    const { body } = await longPoll(bridge, '/events/topic.a');
    for (let i = 0; i < COUNT; i += 1) await publisher.publish('topics.a', `${i}`.padEnd(900_000, '.'));
    await poll('all', () => bridge.metrics.route('topic').publications === COUNT);
    const client = await bridge.request('/events/topic.a', {
      headers: { ...POLL.headers, 'Last-Event-ID': body.cursor },
    });
    client.pause();
    await poll('the reader to be behind', () => bridge.metrics.slowConnections === 1);
    return { ...real, client };
  }

  const gauges = (bridge: TestBridge) =>
    Promise.all(
      ['connections', 'slow_connections', 'pending_bytes', 'pending_memory_bytes'].map((name) =>
        bridge.sample(`sidestream_${name}`),
      ),
    );

  test('keeps its place among limits.connections, and is whole once it is read', async () => {
    const { bridge, client } = await unread({ connections: 1 });
    expect((await refusalOf(bridge, '/events/topic.a')).said).toBe('503 CONNECTION_LIMIT');
    const [, , pending = 0, memory = 0] = await gauges(bridge);
    expect([pending > 1_000_000, memory > 10_000_000]).toEqual([true, true]);
    client.resume();
    await client.ended();
    await poll('its place', () => bridge.metrics.connections === 0);
    expect(await gauges(bridge)).toEqual([0, 0, 0, 0]);
    expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({ answered: 2 });
  });

  test('is cut off by limits.stalled', async () => {
    const { bridge, client } = await unread({ stalled: '1s' });
    await poll('the end', () => bridge.metrics.connectionsClosed.get('slow') === 1);
    client.resume();
    await client.cut();
    expect(await gauges(bridge)).toEqual([0, 0, 0, 0]);
  });

  test('is cut off by limits.pendingTotal, which JSON escapes get nobody around', async () => {
    const { bridge, publisher } = await setUp({
      channels,
      limits: { pending: '1MiB', pendingTotal: '1MiB' },
    });
    const { body } = await longPoll(bridge, '/events/topic.a');
    for (let i = 0; i < 2; i += 1) await publisher.publish('topics.a', '\u0001'.repeat(1_000_000));
    await poll('both', () => bridge.metrics.route('topic').publications === 2);
    const client = await bridge.request('/events/topic.a', {
      headers: { ...POLL.headers, 'Last-Event-ID': body.cursor },
    });
    client.pause();
    await poll('the end', () => bridge.metrics.connectionsClosed.get('slow') === 1);
    client.resume();
    await client.cut();
    // Each is six times as long, and more than limits.pending by itself.
    expect(Number(client.header('content-length'))).toBeLessThan(7_000_000);
  });

  test('is waited for by a process that drains, as long as drain.timeout', async () => {
    const { bridge, client } = await unread({}, { timeout: '1h' });
    const drained = bridge.drain();
    client.resume();
    await Promise.all([client.ended(), drained]);
    const other = await unread({}, { timeout: '100ms' });
    await other.bridge.drain();
    expect(other.bridge.metrics.connectionsClosed.get('draining')).toBe(1);
  });
});

describe('a long poll is refused by status', () => {
  test.each([
    ['wait=2m', '400 WAIT_MALFORMED'],
    ['limit=0', '400 LIMIT_MALFORMED'],
    ['limit=1001', '400 LIMIT_MALFORMED'],
    ['lastEventId=x', '400 CURSOR_MALFORMED'],
  ])('where it is malformed: %s', async (query, said) => {
    const { bridge } = await setUp();
    expect((await refusalOf(bridge, `/events/topic.a?${query}`)).said).toBe(said);
  });

  test('where a stream would be: by its channel, by its token', async () => {
    const channels = {
      members: { channel: 'members', subject: 'members', access: 'authenticated' },
      rooms: { channel: 'room-{id}', subject: 'room.{id}', access: { where: { id: '{claims.sub}' } } },
    };
    const { bridge } = await setUp({ channels, auth: AUTH });
    const { headers } = bearer(await signed());
    expect((await refusalOf(bridge, '/events/nobody')).said).toBe('404 CHANNEL_UNKNOWN');
    expect((await refusalOf(bridge, '/events/members')).said).toBe('401 TOKEN_MISSING');
    expect((await refusalOf(bridge, '/events/room-7', headers)).said).toBe('403 CHANNEL_FORBIDDEN');
    expect((await longPoll(bridge, '/events/members', '', { headers })).body.channels).toHaveLength(1);
  });

  test('where there is no room while another waits, with when to come back', async () => {
    const { bridge } = await setUp({ limits: { connections: 1 } });
    const { body } = await longPoll(bridge, '/events/topic.a');
    const { answer } = await waitingPoll(bridge, '/events/topic.a?wait=1s', body.cursor);
    const { client, said } = await refusalOf(bridge, '/events/topic.a');
    expect(said).toBe('503 CONNECTION_LIMIT');
    expect(client.header('retry-after')).toMatch(/^\d+$/);
    await answer;
    await longPoll(bridge, '/events/topic.a');
  });
});

describe('a waiting poll', () => {
  test('is answered at once when the process drains, and told when to come back', async () => {
    const { bridge } = await setUp({ drain: { timeout: '1h', reconnectRate: '1/m' } });
    const { body } = await longPoll(bridge, '/events/topic.a');
    const { answer } = await waitingPoll(bridge, '/events/topic.a', body.cursor);
    await bridge.drain();
    const { client, body: last } = await answer;
    expect(last).toMatchObject({
      cursor: body.cursor,
      events: [],
      close: { reason: 'draining', retry: last.retry },
    });
    expect(client.header('connection')).toBe('close');
    expect((await refusalOf(bridge, '/events/topic.a')).said).toBe('503 DRAINING');
  });

  test('is cut off where the process stops', async () => {
    const { bridge } = await setUp();
    const { body } = await longPoll(bridge, '/events/topic.a');
    const { answer } = await waitingPoll(bridge, '/events/topic.a', body.cursor);
    const gone = expect(answer).rejects.toThrow();
    await bridge.stop();
    await gone;
    expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({ answered: 1, draining: 1 });
  });

  test('counts among those who would come back: when that is said to be grows with them', async () => {
    const sse = { retry: '100ms..101ms' };
    const { bridge } = await setUp({ sse, drain: { reconnectRate: '1/m' } });
    const { body } = await longPoll(bridge, '/events/topic.a');
    const { answer } = await waitingPoll(bridge, '/events/topic.a', body.cursor);
    expect((await longPoll(bridge, '/events/topic.a')).body.retry).toBeGreaterThan(101);
    await bridge.drain();
    await answer;
  });

  test('is answered when its user is put out, or the token is revoked', async () => {
    const nats = await startNats({ jetStream: true });
    const channels = { members: { channel: 'members', subject: 'members', access: 'authenticated' } };
    const bridge = await startBridge({ nats, config: { channels, auth: AUTH } });
    await bridge.logged(KEPT);
    const { connection } = await startPublisher(nats);
    const options = bearer(await signed());
    const { body } = await longPoll(bridge, '/events/members', '', options);
    for (const [operation, reason] of [
      ['disconnect', 'disconnected'],
      ['revoke', 'revoked'],
    ] as const) {
      const { answer } = await waitingPoll(bridge, '/events/members', body.cursor, options);
      const [told] = await command(connection, operation, { user: '42' }, 1);
      expect(told).toMatchObject({ closed: 1 });
      expect((await answer).body).toMatchObject({ cursor: body.cursor, close: { reason } });
    }
    expect((await refusalOf(bridge, '/events/members', options.headers)).said).toBe('401 TOKEN_REVOKED');
  });

  test.each(['destroy', 'reset', 'halfClose'] as const)(
    'whose client goes away by %s is released',
    async (end) => {
      const channels = {
        topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', linger: '0s' },
      };
      const { nats, bridge } = await setUp({ channels });
      const seat = await bridge.stream('/events/topic.a');
      const { body } = await longPoll(bridge, '/events/topic.a');
      for (let round = 0; round < 5; round += 1) {
        const raw = await RawClient.connect(bridge.httpPort);
        raw.send(
          `GET /events/topic.a HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nLast-Event-ID: ${body.cursor}\r\n\r\n`,
        );
        await poll('the poll to wait', () => bridge.metrics.connections === 2);
        raw[end]();
        await poll('the poll to be released', () => bridge.metrics.connections === 1);
      }
      seat.destroy();
      await nats.subscribed('topics.a', 0);
      for (const gauge of ['connections', 'channels', 'channels_lingering', 'pending_bytes'])
        expect([gauge, await bridge.sample(`sidestream_${gauge}`)]).toEqual([gauge, 0]);
      expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({ answered: 1, client: 6 });
    },
  );
});
