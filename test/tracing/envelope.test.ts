import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { NdjsonClient } from '../integration/ndjson-client.ts';
import { longPoll } from '../integration/polling.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { publishRaw, startPublisher } from '../support/publisher.ts';
import { PARENT } from './sdk.ts';

const TRACED = { access: 'public', envelope: true, trace: true };
const CHANNELS = {
  news: { channel: 'news.{x}', subject: 'news.{x}', ...TRACED },
  orders: { channel: 'orders.{x}', subject: 'orders.{x}', stream: 'ORDERS', ...TRACED },
  batched: {
    channel: 'batched',
    subject: 'batched',
    batch: { window: '100ms', as: 'array' },
    ...TRACED,
  },
  plain: { channel: 'plain', subject: 'news.a', access: 'public', envelope: true },
};
const TRACE = { traceparent: PARENT, tracestate: 'a=1,b=2' };
const DROPPED = 'sidestream_message_fields_dropped_total{route="news",field="trace"}';

async function setUp() {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  const config = { channels: CHANNELS, limits: { history: '1MiB' } };
  return { nats, publisher, start: () => startBridge({ nats, config }) };
}

const shown = ({ data = '' }: { readonly data?: string }) => JSON.parse(data);

describe('the envelope of a route with trace', () => {
  it('has what the message said of its trace, in every form of stream, and no other route has', async () => {
    const { publisher, start } = await setUp();
    const bridge = await start();
    const sse = await bridge.stream('/events?channels=news.a,plain');
    const lines = await NdjsonClient.open(bridge, '/events/news.a');
    const polled = await longPoll(bridge, '/events/news.a');
    await publisher.publish('news.a', '{"n":1}', TRACE);
    const [news, plain] = await sse.take(2);
    expect(shown(news ?? {})).toMatchObject({ channel: 'news.a', data: { n: 1 }, ...TRACE });
    expect(plain?.data).not.toContain('trace');
    const { body } = await longPoll(bridge, '/events/news.a', polled.body.cursor);
    expect(body.events.map(shown)).toEqual([shown(news ?? {})]);
    expect((await poll('a line', () => lines.published[0] && lines.published)).map(shown)).toEqual([
      shown(news ?? {}),
    ]);
  });

  it('has it in replay too, from memory and, in another process, from the stream, byte by byte the same', async () => {
    const { publisher, start } = await setUp();
    const js = jetstream(publisher.connection);
    const first = await start();
    const live = await first.stream('/events/orders.a');
    const cursor = live.lastEventId;
    const fields = headers();
    fields.set('Traceparent', PARENT);
    await js.publish('orders.a', 'x', { headers: fields });
    const { data } = await live.next();
    expect(JSON.parse(data).traceparent).toBe(PARENT);
    const again = { headers: { 'Last-Event-ID': cursor } };
    expect((await (await first.stream('/events/orders.a', again)).next()).data).toBe(data);
    const second = await start();
    expect((await (await second.stream('/events/orders.a', again)).next()).data).toBe(data);
  });

  it('stays with each event of a batch', async () => {
    const { nats, publisher, start } = await setUp();
    const bridge = await start();
    const stream = await bridge.stream('/events/batched');
    await nats.subscribed('batched');
    publisher.send('batched', '1', TRACE);
    await publisher.publish('batched', '2');
    const { data } = await stream.next();
    expect(JSON.parse(data)).toMatchObject([{ data: { data: 1, ...TRACE } }, { data: { data: 2 } }]);
    expect(data.match(/traceparent/g)).toHaveLength(1);
  });

  it('is without what cannot be used of it, which is counted, and nothing is forged', async () => {
    const { nats, start } = await setUp();
    const bridge = await start();
    const stream = await bridge.stream('/events/news.a');
    await nats.subscribed('news.a');
    const good = `traceparent: ${PARENT}`;
    for (const lines of [
      'traceparent: 00-0-0-00',
      `${good}\0`,
      `${good}\r\ntracestate: a="b`,
      `${good}\r\ntracestate: a=1\0`,
      `${good}\r\ntracestate: ${'a=1,'.repeat(200)}`,
      'tracestate: a=1',
      good,
    ])
      await publishRaw(nats, 'news.a', lines, '1');
    const traces = (await stream.take(7))
      .map(shown)
      .map(({ traceparent, tracestate }) => [traceparent, tracestate]);
    const [none, parent] = [
      [undefined, undefined],
      [PARENT, undefined],
    ];
    expect(traces).toEqual([none, none, [PARENT, 'a="b'], parent, parent, none, parent]);
    expect(await bridge.sample(DROPPED)).toBe(4);
  });

  it('takes no event with it where a line break is in a header', async () => {
    const { nats, start } = await setUp();
    const bridge = await start();
    const stream = await bridge.stream('/events/news.a');
    await nats.subscribed('news.a');
    await publishRaw(nats, 'news.a', `traceparent: ${PARENT}\nid: 99`, '1');
    const { data } = await stream.next('message');
    expect(JSON.parse(data)).toMatchObject({ data: 1 });
    expect(data).not.toContain('trace');
  });
});
