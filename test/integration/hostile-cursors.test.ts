import { jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import type { Opened } from '../../src/hub/recovery.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { RawClient } from '../support/raw-client.ts';

const MAX_REPLAY = 5;
const EVENTS = 20;

/** A bridge with a core and a stream route, each with more events than anybody may be sent at once; and true cursors. */
async function setUp() {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.*'] });
  const bridge = await startBridge({
    nats,
    config: {
      limits: { replay: MAX_REPLAY },
      channels: {
        topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public' },
        orders: { channel: 'orders.{name}', subject: 'orders.{name}', access: 'public', stream: 'ORDERS' },
      },
    },
  });
  const held = await bridge.stream('/events?channels=topic.a,orders.a');
  for (let n = 1; n <= EVENTS; n += 1) {
    await publisher.publish('topics.a', `${n}`);
    await publisher.publish('orders.a', `${n}`);
  }
  const events = await held.take(2 * EVENTS);
  const cursor = events.at(-1)?.id ?? '';
  const epochs = cursor.split('_').map((position) => position.split('.')[0] ?? '');
  return { bridge, cursor, epochs };
}

/** What a raw request is answered: its status, and of a stream what it is told of each channel. */
async function ask(
  port: number,
  cursor: string,
  as: 'header' | 'query',
): Promise<{ readonly status: string; readonly channels: readonly Opened[] }> {
  const client = await RawClient.connect(port);
  const inQuery = as === 'query' ? `&lastEventId=${encodeURIComponent(cursor)}` : '';
  const inHeader = as === 'header' ? `Last-Event-ID: ${cursor}\r\n` : '';
  const target = `/events?channels=topic.a,orders.a&errors=http${inQuery}`;
  client.send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n${inHeader}\r\n`);
  await client.received(/^HTTP\/1\.1 (?!200)\d+|sidestream\.open\ndata: .*\n\n/);
  const [, status = ''] = /^HTTP\/1\.1 (\d+)/.exec(client.text) ?? [];
  const [, data] = /sidestream\.open\ndata: (.*)\n\n/.exec(client.text) ?? [];
  client.destroy();
  return { status, channels: data === undefined ? [] : JSON.parse(data).channels };
}

const MALFORMED: readonly [string, string][] = [
  ['no offset', 'abc'],
  ['a truncated one', 'abcdef.'],
  ['no epoch', '.1'],
  ['a negative offset', 'abcdef.-1'],
  ['a leading zero', 'abcdef.01'],
  ['an exponent', 'abcdef.1e3'],
  ['a number that nothing can hold', 'abcdef.9007199254740993'],
  ['a fraction', 'abcdef.1.5'],
  ['an empty position', 'abcdef.1__abcdef.2'],
  ['200 positions', Array.from({ length: 200 }, (_, i) => `a.${i}`).join('_')],
  ['a huge one', 'a'.repeat(8000)],
  // Not at the end: uWebSockets.js takes them off there, as if they were white space.
  ['bytes that are no text', 'abc\u00ffdef.1'],
  ['a pattern of a subject', '>.1'],
];

test.each(MALFORMED)('is refused, by header and by query: %s', async (_, cursor) => {
  const { bridge, cursor: own } = await setUp();
  expect((await ask(bridge.httpPort, cursor, 'header')).status).toBe('400');
  expect((await ask(bridge.httpPort, cursor, 'query')).status).toBe('400');
  expect((await ask(bridge.httpPort, own, 'header')).status).toBe('200');
});

test.each([
  ['NUL', '\0'],
  ['CR', '\r'],
  ['LF', '\n'],
  ['CR LF', '\r\n'],
])('is never taken for two, nor cut off and then believed: one with %s in it', async (_, breaking) => {
  const { bridge, epochs } = await setUp();
  const cursor = `${epochs[0]}.${breaking}1`;
  // To a bare CR in a header uWebSockets.js says nothing at all, until it gives the socket up.
  if (breaking !== '\r') expect((await ask(bridge.httpPort, cursor, 'header')).status).toBe('400');
  expect((await ask(bridge.httpPort, cursor, 'query')).status).toBe('400');
  expect(await bridge.sample('sidestream_connections')).toBe(1);
});

test('of our syntax but forged is a reset or a gap that is said, and never more than limits.replay', async () => {
  const { bridge, cursor: own, epochs } = await setUp();
  const [core = '', stream = ''] = epochs;
  const far = Number.MAX_SAFE_INTEGER;
  const forged: readonly [string, string, string][] = [
    ['Foreign.5', 'reset epoch', 'reset epoch'],
    [`${core}.${far}`, 'reset epoch', 'reset epoch'],
    [`${core}.${far}_${stream}.${far}`, 'reset epoch', 'reset epoch'],
    [`${core}.0_${stream}.0`, 'gap evicted', 'gap too-many'],
    [`${stream}.0`, 'reset epoch', 'gap too-many'],
    [`${stream}.1_${stream}.${EVENTS}`, 'reset epoch', 'gap too-many'],
    [`${stream}.${EVENTS + 1}`, 'reset epoch', 'reset epoch'],
    [`${core.toLowerCase()}x.1`, 'reset epoch', 'reset epoch'],
    [
      Array.from({ length: 32 }, (_, i) => `${'abcdefghijklmnopqrstuvwxyzABCDEF'.charAt(i)}.1`).join('_'),
      'reset epoch',
      'reset epoch',
    ],
  ];
  for (const [cursor, topic, orders] of forged) {
    const { status, channels } = await ask(bridge.httpPort, cursor, 'header');
    expect([status, ...channels.map(({ resume, reason }) => `${resume} ${reason}`)], cursor).toEqual([
      '200',
      topic,
      orders,
    ]);
    for (const { replayed } of channels) expect(replayed).toBeLessThanOrEqual(MAX_REPLAY);
  }
  const { channels } = await ask(bridge.httpPort, own, 'header');
  expect(channels.map(({ resume }) => resume)).toEqual(['recovered', 'recovered']);
});
