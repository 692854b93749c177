import { Kvm } from '@nats-io/kv';
import { describe, expect, it } from 'vitest';
import { keyOfChannel } from '../../src/control/channels/channel-record.ts';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { acquainted, call, type Pair, refusal, startPair } from './controlled.ts';

const CONFIG: FileConfig = {
  channels: {
    rooms: { channel: 'room-{id}', subject: 'rooms.{id}', access: 'public', dynamic: true },
    news: { channel: 'news-{id}', subject: 'news.{id}', access: 'public' },
  },
};

const start = () => startPair(CONFIG);

/** The status of a request that is not given a stream; 200 where it is. */
async function statusOf(bridge: TestBridge, target: string): Promise<number> {
  const client = await bridge.request(target);
  client.destroy();
  return client.status;
}

/** How an instance lists a channel. */
async function listed(bridge: TestBridge, channel: string) {
  const { list } = await call(bridge, 'list', { filter: channel });
  return (list as Record<string, unknown>[])[0];
}

const stateOf = async (bridge: TestBridge, channel: string) => (await listed(bridge, channel))?.state;

async function bucketOf({ jsm }: Pick<Pair, 'jsm'>) {
  return new Kvm(jsm.jetstream()).open('sidestream_channels');
}

describe('a channel of a dynamic route', () => {
  it('is there once it was made, on every instance, for readers and publishers', async () => {
    const { first, second } = await start();
    expect(await statusOf(second, '/events/room-1')).toBe(404);
    expect(await refusal(first, 'publish', { channel: 'room-1', data: '' })).toBe('CHANNEL_NOT_FOUND');
    expect(await refusal(first, 'channel', { channel: 'room-1' })).toBe('CHANNEL_NOT_FOUND');
    const metadata = { topic: 'all and nothing', tags: [1, null] };
    const made = await call(first, 'create', { channel: 'room-1', timeout: '1h', metadata });
    expect(made).toMatchObject({
      channel: 'room-1',
      route: 'rooms',
      timeoutMs: 3_600_000,
      metadata,
      isNew: true,
    });
    const clients = [await first.stream('/events/room-1'), await second.stream('/events/room-1')];
    await call(second, 'publish', { channel: 'room-1', data: 'hello' });
    for (const client of clients) expect((await client.next('message')).data).toBe('hello');
    expect(await call(second, 'channel', { channel: 'room-1' })).toMatchObject({ metadata });
  });

  it('is made once: again is no matter, otherwise is a conflict unless it is meant', async () => {
    const { first, second } = await start();
    const fields = { channel: 'room-1', timeout: '10s', metadata: { a: 1, b: [2] } };
    const { created } = await call(first, 'create', fields);
    const again = { ...fields, timeout: 10_000, metadata: { b: [2], a: 1 } };
    expect(await call(second, 'create', again)).toMatchObject({ created, isNew: false });
    expect(await refusal(second, 'create', { ...fields, metadata: { a: 2 } })).toBe('CONFLICT');
    expect(await refusal(second, 'create', { channel: 'room-1' })).toBe('CONFLICT');
    const updated = await call(second, 'create', { channel: 'room-1', metadata: { a: 2 }, update: true });
    expect(updated).toMatchObject({ created, metadata: { a: 2 }, isNew: false });
    expect(updated).not.toHaveProperty('timeoutMs');
    expect(await listed(first, 'room-1')).toMatchObject({ created, metadata: { a: 2 } });
  });

  it('that two make at once in two ways is as one of them wants, and the other is told', async () => {
    const { first, second } = await start();
    for (let n = 0; n < 10; n += 1) {
      const channel = `room-${n}`;
      const outcomes = await Promise.all([
        first.call('create', { channel, metadata: { by: 'first' } }),
        second.call('create', { channel, metadata: { by: 'second' } }),
      ]);
      const granted = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.answer] : []));
      const refused = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error.code]));
      expect([granted.length, ...refused]).toEqual([1, 'CONFLICT']);
      const [{ metadata } = {}] = granted;
      expect(await listed(first, channel)).toMatchObject({ metadata });
      expect(await listed(second, channel)).toMatchObject({ metadata });
    }
  });

  it('is known to an instance that is started later, before it lets anybody in', async () => {
    const { first, nats } = await start();
    await call(first, 'create', { channel: 'room-1' });
    const third = await startBridge({ nats, config: CONFIG, connected: false });
    await poll('the channel to be served', async () => {
      const client = await third.request('/events/room-1', { headers: { Accept: '*/*' } });
      client.destroy();
      // Until the bucket was read it says that it is not ready; that the channel is unknown would be final.
      expect([200, 503]).toContain(client.status);
      await client.next().then(
        ({ event }) => expect(['sidestream.open', 'sidestream.close']).toContain(event),
        () => undefined,
      );
      return client.status === 200;
    });
  });

  it('is refused what is no metadata, no time-out and no channel of a route', async () => {
    const { first } = await start();
    const codeOf = (fields: Record<string, unknown>) => refusal(first, 'create', fields);
    expect(await codeOf({ channel: 'nowhere' })).toBe('CHANNEL_NOT_FOUND');
    expect(await codeOf({ channel: 'room 1' })).toBe('CONTROL_INVALID');
    expect(await codeOf({ channel: 'room-1', timeout: '999ms' })).toBe('CONTROL_INVALID');
    expect(await codeOf({ channel: 'room-1', timeout: '367d' })).toBe('CONTROL_INVALID');
    expect(await codeOf({ channel: 'room-1', metadata: [] })).toBe('CONTROL_INVALID');
    expect(await codeOf({ channel: 'room-1', metadata: { a: 'x'.repeat(4096) } })).toBe('CONTROL_INVALID');
  });
});

describe('a channel with a time-out', () => {
  it('expires when nobody is on it and nothing is published, by the word of one instance', async () => {
    const { first, second } = await start();
    await call(first, 'create', { channel: 'room-1', timeout: '1s' });
    expect(await listed(second, 'room-1')).toMatchObject({ state: 'open', expires: expect.any(String) });
    await poll('it to expire', async () => (await stateOf(second, 'room-1')) === 'expired');
    await poll('the other to know', async () => (await stateOf(first, 'room-1')) === 'expired');
    expect(await statusOf(first, '/events/room-1')).toBe(404);
    expect(await refusal(second, 'publish', { channel: 'room-1', data: '' })).toBe('CHANNEL_NOT_FOUND');
    const name = 'sidestream_control_channels_expired_total';
    expect(((await first.sample(name)) ?? 0) + ((await second.sample(name)) ?? 0)).toBe(1);
    expect(await call(first, 'create', { channel: 'room-1' })).toMatchObject({ isNew: true });
    expect(await statusOf(second, '/events/room-1')).toBe(200);
  });

  it('stays while somebody is on it, anywhere, or publishes to it, by whatever way', async () => {
    const { first, second, publisher } = await start();
    const names = ['room-idle', 'room-read', 'room-fed', 'room-told'];
    for (const channel of names) await call(first, 'create', { channel, timeout: '1s' });
    await second.stream('/events/room-read');
    let rounds = 0;
    // Those that nobody uses expire one after another; by then the others had as much time to do so.
    await poll('two more channels to have lived and expired', async () => {
      publisher.send('rooms.fed', 'x');
      await call(second, 'publish', { channel: 'room-told', data: 'x' });
      const probe = `room-probe-${rounds}`;
      if ((await listed(first, probe)) === undefined)
        await call(first, 'create', { channel: probe, timeout: '1s' });
      if ((await stateOf(first, probe)) === 'expired') rounds += 1;
      return rounds === 2;
    });
    const states = await Promise.all(names.map((channel) => stateOf(first, channel)));
    expect(states).toEqual(['expired', 'open', 'open', 'open']);
  });

  it('expires even where the instance that was to judge it has died', async () => {
    const { first, second } = await start();
    const names = Array.from({ length: 8 }, (_, n) => `room-${n}`);
    for (const channel of names) await call(first, 'create', { channel, timeout: '2s' });
    await second.stop();
    await acquainted([first]);
    for (const channel of names)
      await poll('it to expire', async () => (await stateOf(first, channel)) === 'expired');
  });
});

describe('a closed channel', () => {
  it('is refused for good, on every instance, until it is made anew', async () => {
    const { first, second } = await start();
    expect(await call(first, 'close', { channel: 'news-1' })).toMatchObject({ closed: 0, persisted: true });
    for (const bridge of [first, second]) {
      // To a native EventSource 204 is the word to stay away.
      expect(await statusOf(bridge, '/events/news-1')).toBe(204);
      expect(await statusOf(bridge, '/events/news-2')).toBe(200);
      expect(await refusal(bridge, 'publish', { channel: 'news-1', data: '' })).toBe('CHANNEL_CLOSED');
      expect(await stateOf(bridge, 'news-1')).toBe('closed');
    }
    await call(second, 'create', { channel: 'news-1' });
    expect(await statusOf(first, '/events/news-1')).toBe(200);
  });

  it('is left out where others are asked for as well', async () => {
    const { first } = await start();
    await call(first, 'close', { channel: 'news-1' });
    const client = await first.request('/events?channels=news-1,news-2');
    const { data } = await client.next('sidestream.open');
    expect(JSON.parse(data).channels).toMatchObject([{ channel: 'news-2' }]);
  });

  it('is open again when its time is over', async () => {
    const { first, second } = await start();
    await call(first, 'create', { channel: 'room-1', metadata: { a: 1 } });
    const answer = await call(first, 'close', { channel: 'room-1', for: '1s' });
    expect(answer).toMatchObject({ persisted: true, until: expect.any(String) });
    expect(await listed(second, 'room-1')).toMatchObject({ state: 'closed', until: answer.until });
    expect(await statusOf(second, '/events/room-1')).toBe(204);
    await poll('it to be open', async () => (await statusOf(second, '/events/room-1')) === 200);
    expect(await listed(second, 'room-1')).toMatchObject({ state: 'open', metadata: { a: 1 } });
  });

  it('is known to an instance that is started later', async () => {
    const { first, nats } = await start();
    await call(first, 'close', { channel: 'news-1' });
    const third = await startBridge({ nats, config: CONFIG });
    await poll('the closing to be known', async () => (await statusOf(third, '/events/news-1')) === 204);
  });

  it('must be one that is there', async () => {
    const { first } = await start();
    expect(await refusal(first, 'close', { channel: 'nowhere' })).toBe('CHANNEL_NOT_FOUND');
    expect(await refusal(first, 'close', { channel: 'room-1' })).toBe('CHANNEL_NOT_FOUND');
  });
});

describe('without JetStream', () => {
  it('no channel can be made, and what is closed is so on the instances that heard it', async () => {
    const nats = await startNats();
    const bridges = [
      await startBridge({ nats, config: CONFIG }),
      await startBridge({ nats, config: CONFIG }),
    ];
    const [first, second] = bridges as [TestBridge, TestBridge];
    await acquainted(bridges);
    expect(await refusal(first, 'create', { channel: 'room-1' })).toBe('CONTROL_UNAVAILABLE');
    expect(await call(first, 'close', { channel: 'news-1' })).toMatchObject({ persisted: false });
    expect(await statusOf(second, '/events/news-1')).toBe(204);
    await poll('none to be known', async () => (await statusOf(second, '/events/room-1')) === 404);
  });
});

describe('the bucket', () => {
  it('that is deleted comes back with all that the instances know', async () => {
    const { first, second, jsm } = await start();
    await call(first, 'create', { channel: 'room-1', metadata: { a: 1 } });
    await call(first, 'close', { channel: 'news-1' });
    await jsm.streams.delete('KV_sidestream_channels');
    // Asked for a value just as its stream goes, nats-server 2.9.10 panics (jsMsgGetRequest).
    const isKept = ({ message }: { message: string }) => /kept in NATS, in a key-value bucket/.test(message);
    for (const { logs } of [first, second])
      await poll('it to be read again', () => logs.filter(isKept).length === 2);
    const kv = await bucketOf({ jsm });
    for (const channel of ['room-1', 'news-1']) expect(await kv.get(keyOfChannel(channel))).not.toBeNull();
    expect(await stateOf(second, 'room-1')).toBe('open');
    expect(await statusOf(second, '/events/news-1')).toBe(204);
    await poll('it to be written to', async () => (await first.call('create', { channel: 'room-2' })).ok);
  });

  it('is there again after NATS was, and what was closed meanwhile is told to it', async () => {
    const { first, second, nats, jsm } = await start();
    await call(first, 'create', { channel: 'room-1' });
    await nats.stop();
    await poll('the loss to be noticed', () => !first.metrics.natsConnected);
    expect(await call(first, 'close', { channel: 'news-1' })).toMatchObject({ persisted: false });
    expect(await statusOf(first, '/events/news-1')).toBe(204);
    expect(await statusOf(first, '/events/room-1')).toBe(200);
    await nats.start();
    await poll('the other to know', async () => (await statusOf(second, '/events/news-1')) === 204);
    expect(await stateOf(second, 'room-1')).toBe('open');
    const kv = await bucketOf({ jsm });
    // What a client of a server that has only just begun asks may be lost.
    const entry = () => kv.get(keyOfChannel('news-1')).catch(() => null);
    await poll('the bucket to have it', async () => (await entry()) !== null);
  });

  it('tells when somebody removes a channel by hand', async () => {
    const { first, second, jsm } = await start();
    await call(first, 'create', { channel: 'room-1' });
    await (await bucketOf({ jsm })).delete(keyOfChannel('room-1'));
    await poll('it to be unknown', async () => (await statusOf(second, '/events/room-1')) === 404);
    expect(await listed(first, 'room-1')).toBeUndefined();
  });

  it('may hold what is none of ours', async () => {
    const { first, jsm } = await start();
    const kv = await bucketOf({ jsm });
    await kv.put('abc', 'no JSON');
    await kv.put(keyOfChannel('room-9'), '{"channel":"room-8"}');
    await call(first, 'create', { channel: 'room-1' });
    const { list } = await call(first, 'list');
    expect(list).toMatchObject([{ channel: 'room-1' }]);
  });
});

describe('the list', () => {
  it('goes by name, in pages, and by state', async () => {
    const { first, second } = await start();
    for (const n of [3, 1, 2]) await call(first, 'create', { channel: `room-${n}` });
    await call(first, 'close', { channel: 'room-2' });
    const page = await call(second, 'list', { limit: 2 });
    expect(page).toMatchObject({
      list: [{ channel: 'room-1' }, { channel: 'room-2', state: 'closed' }],
      total: 3,
      next: 'room-2',
    });
    const rest = await call(second, 'list', { limit: 2, after: 'room-2' });
    expect(rest.list).toMatchObject([{ channel: 'room-3' }]);
    expect(rest).not.toHaveProperty('next');
    expect((await call(second, 'list', { state: 'closed' })).list).toMatchObject([{ channel: 'room-2' }]);
    expect((await call(second, 'list', { filter: '*-3' })).list).toMatchObject([{ channel: 'room-3' }]);
    expect(await first.sample('sidestream_control_channels{state="open"}')).toBe(2);
    expect(await first.sample('sidestream_control_channels_persistent')).toBe(1);
  });
});
