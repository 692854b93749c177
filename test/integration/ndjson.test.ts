import { describe, expect, test } from 'vitest';
import { type FileConfig, startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { NdjsonClient } from './ndjson-client.ts';

async function setUp(config: FileConfig = {}) {
  const nats = await startNats();
  return { nats, bridge: await startBridge({ nats, config }), publisher: await startPublisher(nats) };
}
const opened = ({ objects }: NdjsonClient) => objects.find(({ event }) => event === 'sidestream.open');
const joined = (client: NdjsonClient) => client.saw('sidestream.open', () => opened(client) !== undefined);

describe('a stream as NDJSON', () => {
  test('has the events of the event stream, an object a line', async () => {
    const { bridge, publisher } = await setUp();
    const client = await NdjsonClient.open(bridge, '/events/topic.a');
    await joined(client);
    expect(client.response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(client.response.headers.get('cache-control')).toContain('no-store');
    expect(client.objects[0]?.retry).toBeGreaterThan(0);
    expect(JSON.parse(opened(client)?.data ?? '').channels).toEqual([
      { channel: 'topic.a', resume: 'live', replayed: 0 },
    ]);
    const payloads = ['{"n":12345678901234567890}', 'two\nlines\n', '', 'Größe "x" \\ \u0001', '🚀'];
    for (const payload of payloads) await publisher.publish('topics.a', payload, { 'Sse-Event': 'e' });
    await client.saw('them', ({ published }) => published.length === payloads.length);
    expect(client.published.map(({ data }) => data)).toEqual(payloads);
    for (const { id, event } of client.published)
      expect([id, event]).toEqual([expect.stringMatching(/^\w{6}\.\d+$/), 'e']);
  });

  test('has an empty line for a heartbeat', async () => {
    const { bridge } = await setUp({ sse: { heartbeat: '1s' } });
    const client = await NdjsonClient.open(bridge, '/events/topic.a');
    await joined(client);
    await client.saw('a heartbeat', ({ emptyLines }) => emptyLines > 0);
  });

  test('is of the type that was asked for', async () => {
    const { bridge } = await setUp();
    for (const accept of ['application/jsonl', 'application/ndjson']) {
      const { response } = await NdjsonClient.open(bridge, '/events/topic.a', { accept });
      expect(response.headers.get('content-type')).toBe(accept);
    }
  });

  test('has events whole that are larger than what is written at once, live and replayed', async () => {
    const { bridge, publisher } = await setUp();
    const target = '/events?channels=topic.a,topic.b';
    const first = await NdjsonClient.open(bridge, target);
    await joined(first);
    const payloads = [1, 70_000, 300_000].map((size) => 'x"\\\nä'.repeat(size / 5 + 1));
    for (const payload of payloads) await publisher.publish('topics.b', payload);
    await first.saw('them', ({ published }) => published.length === 3);
    const again = await NdjsonClient.open(bridge, target, { cursor: opened(first)?.id ?? '' });
    await again.saw('them again', ({ published }) => published.length === 3);
    for (const { published } of [first, again]) expect(published.map(({ data }) => data)).toEqual(payloads);
    expect(JSON.parse(opened(again)?.data ?? '').channels).toMatchObject([
      { resume: 'recovered', replayed: 0 },
      { resume: 'recovered', replayed: 3 },
    ]);
  });

  test('ends in good order, with the reason and when to come back', async () => {
    const { bridge } = await setUp();
    const client = await NdjsonClient.open(bridge, '/events/topic.a');
    await joined(client);
    await bridge.drain();
    await client.saw('the end', ({ hasEnded }) => hasEnded);
    const last = client.objects.at(-1);
    expect(last?.event).toBe('sidestream.close');
    expect(JSON.parse(last?.data ?? '')).toEqual({ reason: 'draining', retry: last?.retry });
  });

  test('may be compressed', async () => {
    const { bridge, publisher } = await setUp({ sse: { compression: ['gzip'] } });
    const client = await NdjsonClient.open(bridge, '/events/topic.a');
    await joined(client);
    expect(client.response.headers.get('content-encoding')).toBe('gzip');
    for (const payload of ['1', 'x'.repeat(5000)]) {
      await publisher.publish('topics.a', payload);
      await client.saw('it', ({ published }) => published.at(-1)?.data === payload);
    }
  });

  test('is refused by status', async () => {
    const bridge = await startBridge();
    const { response } = await NdjsonClient.open(bridge, '/events/topic.a');
    expect([response.status, response.headers.get('content-type')]).toEqual([503, 'application/json']);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
  });
});
