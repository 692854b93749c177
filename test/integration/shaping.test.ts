import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { describe, expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';

const SECRET = '4111111111111111';

/** A bridge whose time stands still until it is moved, with these routes, each public and fed by the one subject `s.>`. */
async function setUp(routes: Record<string, Record<string, unknown>>, config: Record<string, unknown> = {}) {
  const nats = await startNats();
  const clock = new ManualClock();
  const channels = Object.fromEntries(
    Object.entries(routes).map(([name, policy]) => [
      name,
      { channel: name, subject: 's.>', access: 'public', ...policy },
    ]),
  );
  const bridge = await startBridge({ nats, clock, config: { channels, sse: { heartbeat: 0 }, ...config } });
  const streams = new Map<string, StreamClient>();
  for (const name of Object.keys(routes)) streams.set(name, await bridge.stream(`/events/${name}`));
  const { publish } = await startPublisher(nats).then((publisher) => ({
    publish: (...message: Parameters<typeof publisher.publish>) => publisher.publish(...message),
  }));
  const stream = (name: string) => streams.get(name) ?? expect.fail(`there is no stream ${name}`);
  return {
    bridge,
    clock,
    publish,
    stream,
    take: async (name: string, count: number) => (await stream(name).take(count)).map(({ data }) => data),
  };
}

test('a throttled channel shows the latest of each subject, beside a raw one that shows all', async () => {
  const { clock, publish, take, bridge } = await setUp({ raw: {}, slow: { throttle: '1s' } });
  for (const [subject, value] of ['s.a 1', 's.a 2', 's.b 3', 's.a 4'].map((text) => text.split(' ')))
    await publish(String(subject), value);
  expect(await take('raw', 4)).toEqual(['1', '2', '3', '4']);
  expect(await take('slow', 1)).toEqual(['1']);
  clock.advance(1000);
  expect(await take('slow', 2)).toEqual(['3', '4']);
  await publish('s.a', '5');
  expect(await take('raw', 1)).toEqual(['5']);
  clock.advance(1000);
  expect(await take('slow', 1)).toEqual(['5']);
  const of = (name: string) => bridge.sample(name.replace('slow', 'route="slow"'));
  expect(await of('sidestream_publications_shaped_total{slow,reason="throttled"}')).toBe(1);
  expect(await of('sidestream_publications_total{slow}')).toBe(5);
});

test('what is held back comes before a gap, and is told to nobody twice', async () => {
  const { clock, publish, stream } = await setUp({ slow: { throttle: '1h' } }, { limits: { event: '64B' } });
  await publish('s.a', 'first');
  await publish('s.a', 'held');
  await publish('s.a', 'x'.repeat(100));
  const events = await stream('slow').take(3);
  expect(events.map(({ event, data }) => (event === 'message' ? data : event))).toEqual([
    'first',
    'held',
    'sidestream.gap',
  ]);
  clock.advance(3_600_000);
  await publish('s.a', 'last');
  expect((await stream('slow').next()).data).toBe('last');
});

test('a rate limit drops and counts what is over it', async () => {
  const { clock, publish, take, bridge } = await setUp({ a: { rateLimit: { rate: '1/s', burst: 2 } } });
  for (const value of ['1', '2', '3', '4']) await publish('s.a', value);
  expect(await take('a', 2)).toEqual(['1', '2']);
  const dropped = () =>
    bridge.sample('sidestream_publications_shaped_total{route="a",reason="rate-limited"}');
  // NATS having a message is not the bridge having it: none may come only after the second.
  await poll('two to be dropped', async () => (await dropped()) === 2);
  clock.advance(1000);
  await publish('s.a', '5');
  expect(await take('a', 1)).toEqual(['5']);
  expect(await dropped()).toBe(2);
});

test('a batch arrives as one event with an array, or as events in one go', async () => {
  const { clock, publish, stream, take, bridge } = await setUp({
    raw: {},
    array: { batch: { window: '500ms', as: 'array' } },
    events: { batch: '500ms' },
  });
  await publish('s.a', '{"n":1}', { 'Sse-Event': 'one' });
  await publish('s.b', 'two\nlines');
  await take('raw', 2);
  clock.advance(500);
  const { event, data } = await stream('array').next();
  expect([event, JSON.parse(data)]).toEqual([
    'batch',
    [
      { event: 'one', data: { n: 1 } },
      { event: 'message', data: 'two\nlines' },
    ],
  ]);
  expect(await take('events', 2)).toEqual(['{"n":1}', 'two\nlines']);
  expect(await bridge.sample('sidestream_publications_total{route="array"}')).toBe(2);
});

test('name and id of an event are found in its payload', async () => {
  const map = { event: '/type', id: '/id' };
  const { publish, stream, bridge } = await setUp({ mapped: { map, envelope: true, event: 'other' } });
  for (const payload of ['{"type":"paid","id":7}', '{"type":"paid","id":7}', '{"id":8}', 'text'])
    await publish('s.a', payload);
  const events = await stream('mapped').take(3);
  expect(events.map(({ event, data }) => [event, JSON.parse(data).id])).toEqual([
    ['paid', '7'],
    ['other', '8'],
    ['other', undefined],
  ]);
  const dropped = (labels: string) => bridge.sample(`sidestream_${labels}`);
  expect(await dropped('publications_dropped_total{route="mapped",reason="duplicate"}')).toBe(1);
  expect(await dropped('message_fields_dropped_total{route="mapped",field="event"}')).toBe(1);
});

test('what is redacted is nowhere on the wire, and what cannot be is dropped and counted', async () => {
  const redact = ['/user/*', { pattern: '\\d{16}', with: 'CARD' }];
  const { publish, stream, bridge } = await setUp({ a: { redact } });
  await publish(
    's.a',
    `{"user":{"card":"${SECRET}"},"note":"paid by \\u0034${SECRET.slice(1)}","n":${SECRET}}`,
  );
  await publish('s.a', `not JSON: ${SECRET}`);
  await publish('s.a', '{"last":true}');
  const events = await stream('a').take(3);
  expect(events.map(({ data }) => data)).toEqual([
    '{"user":{"card":"[redacted]"},"note":"paid by CARD","n":"CARD"}',
    '{"channel":"a","reason":"error"}',
    '{"last":true}',
  ]);
  expect(stream('a').body).not.toContain(SECRET.slice(1));
  expect(await bridge.sample('sidestream_publications_dropped_total{route="a",reason="unredactable"}')).toBe(
    1,
  );
});

describe('of a stream', () => {
  async function setUpStream(policy: Record<string, unknown>) {
    const nats = await startNats({ jetStream: true });
    const { connection } = await startPublisher(nats);
    const jsm = await jetstreamManager(connection);
    await jsm.streams.add({ name: 'S', subjects: ['s.>'] });
    const js = jetstream(connection);
    const clock = new ManualClock();
    const route = { channel: 'a', subject: 's.>', stream: 'S', access: 'public', ...policy };
    const config = { channels: { a: route, raw: { ...route, channel: 'raw', throttle: 0 } } };
    return {
      clock,
      start: (config_ = config) => startBridge({ nats, clock, config: config_ }),
      config,
      publish: async (...values: string[]) => {
        for (const value of values) await js.publish('s.a', value);
      },
    };
  }

  test('nobody who leaves while events are held back misses the last one, or has it twice', async () => {
    const { clock, start, publish } = await setUpStream({ throttle: '1s' });
    const bridge = await start();
    const [leaver, raw] = [await bridge.stream('/events/a'), await bridge.stream('/events/raw')];
    const stayer = await bridge.stream('/events/a');
    await publish('1', '2', '3');
    await raw.take(3);
    expect((await leaver.next()).data).toBe('1');
    const cursor = leaver.lastEventId;
    leaver.destroy();
    const back = await bridge.request('/events/a', { headers: { 'Last-Event-ID': cursor } });
    expect(JSON.parse((await back.next('sidestream.open')).data).channels).toMatchObject([
      { resume: 'recovered', replayed: 0 },
    ]);
    clock.advance(1000);
    const data = async (client: StreamClient, count: number) =>
      (await client.take(count)).map(({ data }) => data);
    expect([await data(back, 1), await data(stayer, 2)]).toEqual([['3'], ['1', '3']]);
    await publish('4');
    await raw.take(1);
    clock.advance(1000);
    expect([await data(back, 1), await data(stayer, 1)]).toEqual([['4'], ['4']]);
    expect(back.lastEventId).toMatch(/\.4$/);
  });

  test('what is read again, or kept while nobody reads, is redacted, and not throttled', async () => {
    const { start, publish } = await setUpStream({ throttle: '1s', redact: '/card', replay: 'all' });
    const messages = [1, 2, 3].map((n) => `{"card":"${SECRET}","n":${n}}`);
    const shown = [1, 2, 3].map((n) => `{"card":"[redacted]","n":${n}}`);
    await publish(...messages);
    const bridge = await start();
    const joining = await bridge.stream('/events/a');
    expect((await joining.take(3)).map(({ data }) => data)).toEqual(shown);
    expect(joining.body).not.toContain(SECRET);
  });
});

test('of a bucket, the latest value of each key is passed on, a deletion too', async () => {
  const nats = await startNats({ jetStream: true });
  const { connection } = await startPublisher(nats);
  const bucket = await new Kvm(connection).create('b');
  const clock = new ManualClock();
  const route = { channel: 'a', kv: 'b', key: '>', access: 'public', envelope: true };
  const channels = { a: { ...route, throttle: '1s' }, raw: { ...route, channel: 'raw' } };
  const bridge = await startBridge({ nats, clock, config: { channels } });
  const [throttled, raw] = [await bridge.stream('/events/a'), await bridge.stream('/events/raw')];
  await bucket.put('x', '1');
  await bucket.put('x', '2');
  await bucket.put('y', '3');
  await bucket.delete('x');
  await raw.take(4);
  clock.advance(1000);
  const events = (await throttled.take(3)).map(({ event, data }) => [event, JSON.parse(data).key]);
  expect(events).toEqual([
    ['put', 'x'],
    ['put', 'y'],
    ['delete', 'x'],
  ]);
});
