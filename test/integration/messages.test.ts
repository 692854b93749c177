import { describe, expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { publishRaw, startPublisher } from '../support/publisher.ts';

const MIB = 1024 * 1024;

async function setUp(config = {}) {
  const nats = await startNats({ config: `max_payload: ${8 * MIB}` });
  const bridge = await startBridge({ nats, config });
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  return { nats, bridge, stream, publisher: await startPublisher(nats) };
}

const FIELDS_DROPPED = 'sidestream_message_fields_dropped_total{route="topic",field="event"}';

describe('an Sse-Event header that cannot be used is dropped and counted, and the event goes out without', () => {
  test.each([
    ['LF', 'Sse-Event: evil\nid: 99'],
    ['CR', 'Sse-Event: evil\rdata: forged'],
    ['NUL', 'Sse-Event: ev\0il'],
    ['NUL at its end', 'Sse-Event: evil\0'],
    ['a name of ours', 'Sse-Event: sidestream.close'],
    ['a name that begins like ours', 'Sse-Event: sidestream.anything'],
    ['more than 256 characters', `Sse-Event: ${'x'.repeat(257)}`],
  ])('%s', async (_, lines) => {
    const { nats, bridge, stream } = await setUp();
    await publishRaw(nats, 'topics.a', lines, 'payload');
    await publishRaw(nats, 'topics.a', 'Sse-Event: good', 'after');
    expect(await stream.next('message')).toMatchObject({ data: 'payload' });
    expect(await stream.next('good')).toMatchObject({ data: 'after' });
    expect(await bridge.sample(FIELDS_DROPPED)).toBe(1);
  });
});

test('a header of any name that is malformed takes no event with it', async () => {
  const { nats, bridge, stream } = await setUp();
  for (const lines of ['X-Other: a\nb', 'X-Other: a\rb', 'Bad Name: x', ': x', 'no colon', 'X: \u00e9\u0000'])
    await publishRaw(nats, 'topics.a', Buffer.from(lines, 'latin1'), lines);
  await publishRaw(nats, 'topics.a', 'X-Other: fine', 'last');
  const received = await stream.until(({ data }) => data === 'last');
  expect(received).toHaveLength(7);
  expect(await bridge.sample('sidestream_publications_dropped_total{route="topic",reason="error"}')).toBe(0);
});

test('a route’s event template cannot be led to a forged field by a header either', async () => {
  const channels = {
    topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', event: '{header.X-Kind}' },
  };
  const { nats, bridge, stream } = await setUp({ channels });
  await publishRaw(nats, 'topics.a', 'X-Kind: evil\0', '1');
  await publishRaw(nats, 'topics.a', 'X-Kind: sidestream.close', '2');
  await publishRaw(nats, 'topics.a', 'X-Kind: good', '3');
  expect((await stream.take(3)).map(({ event, data }) => [event, data])).toEqual([
    ['message', '1'],
    ['message', '2'],
    ['good', '3'],
  ]);
  expect(await bridge.sample(FIELDS_DROPPED)).toBe(2);
});

describe('a payload', () => {
  test.each([
    ['with a bare CR becomes two lines', 'a\rdata: b', 'a\ndata: b'],
    ['that ends in CR keeps its line end', 'a\r', 'a\n'],
    ['of line ends alone keeps them', '\r\n\r\n\n', '\n\n\n'],
    ['that is empty arrives as an empty event', '', ''],
    ['of one space keeps it', ' ', ' '],
    ['with a BOM keeps it', '\ufeffa', '\ufeffa'],
    ['with NUL keeps it', 'a\0b', 'a\0b'],
    ['with U+2028, which ends lines elsewhere, is one line', 'a\u2028b', 'a\u2028b'],
  ])('%s', async (_, payload, expected) => {
    const { stream, publisher } = await setUp();
    await publisher.publish('topics.a', payload);
    await publisher.publish('topics.a', 'after');
    expect(await stream.next('message')).toMatchObject({ data: expected });
    expect(await stream.next('message')).toMatchObject({ data: 'after' });
  });

  test('that is not UTF-8 is repaired and counted', async () => {
    const { bridge, stream, publisher } = await setUp();
    await publisher.publish('topics.a', Buffer.from([0x61, 0xff, 0x62, 0xc3]));
    expect((await stream.next()).data).toBe('a\ufffdb\ufffd');
    expect(await bridge.sample('sidestream_payloads_repaired_total{route="topic"}')).toBe(1);
  });

  test('of 1 MiB arrives whole, and one of limits.event exactly', async () => {
    const { stream, publisher } = await setUp({ limits: { event: '4MiB' } });
    for (const size of [MIB, 4 * MIB]) {
      const payload = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz\n');
      await publisher.publish('topics.a', payload);
      expect(Buffer.from((await stream.next()).data).equals(payload)).toBe(true);
    }
  });
});

test('whatever comes, the feed goes on and nothing reaches a stream that is not an event', async () => {
  const { nats, bridge, stream, publisher } = await setUp({ limits: { event: '64KiB' } });
  const random = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  for (const lines of [
    'Sse-Event: \u0000',
    'Sse-Event:',
    '::::',
    '\r\nSse-Event: x',
    'Sse-Event: x\r\nSse-Event: y',
  ])
    await publishRaw(nats, 'topics.a', lines, 'payload');
  await publisher.publish('topics.a', Buffer.alloc(64 * 1024 + 1));
  await publisher.publish('topics.a', random);
  await publisher.publish('topics.a', 'last', { 'Sse-Event': 'end' });
  const received = await stream.until(({ event }) => event === 'end');
  expect(received).toHaveLength(8);
  expect(await bridge.sample('sidestream_publications_total{route="topic"}')).toBe(7);
  expect(bridge.metrics.connections).toBe(1);
});
