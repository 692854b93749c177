import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';

async function get(bridge: TestBridge, path: string, method = 'GET') {
  const response = await fetch(`${bridge.opsUrl}${path}`, { method });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** Every sample of `/metrics`: its name, labels and value. */
async function samples(bridge: TestBridge): Promise<{ name: string; labels: string; value: number }[]> {
  const { text } = await get(bridge, '/metrics');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name = '', labels = '', value] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    expect(line).toBe(`${name}${labels === '' ? '' : `{${labels}}`} ${value}`);
    return { name, labels, value: Number(value) };
  });
}

/** A bridge that has had a bit of everything: streams, events, a gap, a refusal. */
async function used() {
  const nats = await startNats();
  const bridge = await startBridge({ nats, config: { limits: { event: '64B' } } });
  const publisher = await startPublisher(nats);
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  for (const payload of ['1', '2', '3', 'x'.repeat(100)]) await publisher.publish('topics.a', payload);
  await stream.take(4);
  await bridge.request('/events/unknown');
  return { nats, bridge, stream, publisher };
}

test('/metrics shows what happened', async () => {
  const { bridge } = await used();
  const { headers } = await get(bridge, '/metrics');
  expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const shown = new Map(
    (await samples(bridge)).map(({ name, labels, value }) => [`${name}{${labels}}`, value]),
  );
  const expected = {
    'sidestream_connections{}': 1,
    'sidestream_connections_opened_total{}': 1,
    'sidestream_channels{}': 1,
    'sidestream_channels_lingering{}': 0,
    'sidestream_nats_subscriptions{}': 1,
    'sidestream_nats_connected{}': 1,
    'sidestream_draining{}': 0,
    'sidestream_publications_total{route="topic"}': 3,
    'sidestream_deliveries_total{route="topic"}': 4,
    'sidestream_publications_dropped_total{route="topic",reason="too-large"}': 1,
    'sidestream_gaps_total{reason="too-large"}': 1,
    'sidestream_resumes_total{verdict="live"}': 1,
    'sidestream_requests_refused_total{reason="CHANNEL_UNKNOWN"}': 1,
    'sidestream_publish_to_flush_seconds_count{}': 3,
  };
  expect(Object.fromEntries(Object.keys(expected).map((key) => [key, shown.get(key)]))).toEqual(expected);
  expect([...shown.keys()].find((key) => key.startsWith('sidestream_build_info'))).toContain(
    'version="0.0.0-test"',
  );
});

test('/metrics holds every metric that docs/metrics.md names, each with its type and a line of help', async () => {
  const { bridge } = await used();
  const { text } = await get(bridge, '/metrics');
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `(sidestream_\w+)` \| (\w+) \|/gm)];
  expect(documented.length).toBeGreaterThan(20);
  for (const [, name, type] of documented) {
    expect(text).toContain(`# TYPE ${name} ${type}\n`);
    expect(text).toContain(`# HELP ${name} `);
  }
});

test('bytes are counted as they are sent', async () => {
  const { bridge, stream } = await used();
  expect(await bridge.sample('sidestream_sent_bytes_total')).toBe(Buffer.byteLength(stream.body));
});

test('the histogram’s buckets are cumulative, and end with everything', async () => {
  const { bridge } = await used();
  const all = await samples(bridge);
  const buckets = all.filter(({ name }) => name === 'sidestream_publish_to_flush_seconds_bucket');
  const bounds = buckets.map(({ labels }) =>
    Number(/le="([^"]+)"/.exec(labels)?.[1]?.replace('+Inf', 'Infinity')),
  );
  const counts = buckets.map(({ value }) => value);
  expect(bounds[0]).toBe(0.00025);
  expect(bounds.at(-1)).toBe(Number.POSITIVE_INFINITY);
  expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(counts.at(-1)).toBe(3);
  const sum = all.find(({ name }) => name === 'sidestream_publish_to_flush_seconds_sum');
  expect(sum?.value).toBeGreaterThan(0);
});

test('labels are bounded: no channel, address or connection is one', async () => {
  const { bridge } = await used();
  const { text } = await get(bridge, '/metrics');
  for (const unbounded of ['topic.a', 'topics.a', '127.0.0.1']) expect(text).not.toContain(unbounded);
});

test('counters return to zero when everybody has left', async () => {
  const nats = await startNats();
  const channels = {
    topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public', linger: '0s' },
  };
  const bridge = await startBridge({ nats, config: { channels } });
  const streams = await Promise.all(
    Array.from({ length: 50 }, (_, n) => bridge.stream(`/events/topic.${n % 7}`)),
  );
  expect(await bridge.sample('sidestream_channels')).toBe(7);
  for (const stream of streams) stream.destroy();
  await poll('everything to be released', async () => (await bridge.sample('sidestream_channels')) === 0);
  for (const name of [
    'connections',
    'nats_subscriptions',
    'channels_lingering',
    'slow_connections',
    'pending_bytes',
  ])
    expect([name, await bridge.sample(`sidestream_${name}`)]).toEqual([name, 0]);
});

test('/livez and /readyz answer without NATS', async () => {
  const bridge = await startBridge();
  for (const path of ['/livez', '/readyz', '/readyz?verbose']) {
    expect(await get(bridge, path)).toMatchObject({ status: 200, text: 'ok\n' });
    expect(await get(bridge, path, 'HEAD')).toMatchObject({ status: 200, text: '' });
  }
});

test('/readyz waits for NATS, and fails when it goes away, where the config says so', async () => {
  const nats = await startNats();
  await nats.stop();
  const bridge = await startBridge({ nats, config: { ops: { readyNeedsNats: true } }, connected: false });
  expect(await get(bridge, '/readyz')).toMatchObject({ status: 503, text: 'not connected to NATS\n' });
  expect((await get(bridge, '/livez')).status).toBe(200);
  await nats.start();
  await bridge.connected();
  expect((await get(bridge, '/readyz')).status).toBe(200);
  await nats.kill();
  await poll('/readyz to fail', async () => (await get(bridge, '/readyz')).status === 503);
});

test('other paths and methods get 404 and 405', async () => {
  const bridge = await startBridge();
  for (const path of ['/', '/metrics/', '/events/topic.a', '/api'])
    expect((await get(bridge, path)).status).toBe(404);
  expect((await get(bridge, '/api/stats')).status).toBe(403);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const answer = await get(bridge, '/metrics', method);
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
  }
});

test('nothing of it is on the public port', async () => {
  const bridge = await startBridge();
  for (const path of ['/metrics', '/livez', '/readyz', '/api/', '/events/../metrics']) {
    const client = await bridge.request(path);
    await client.ended();
    expect([path, client.status]).toEqual([path, 404]);
    expect(client.body).not.toContain('sidestream_');
  }
});

test('the log tells of lives, and holds no payload, query string, token or header', async () => {
  const { nats, bridge, publisher, stream } = await used();
  const secret = 'sesame-open';
  const second = await bridge.stream(`/events/topic.a?token=${secret}`, {
    headers: {
      Authorization: `Bearer ${secret}`,
      Cookie: `session=${secret}`,
      'User-Agent': secret,
      Referer: secret,
    },
  });
  await publisher.publish('topics.a', secret, { 'Sse-Event': secret, 'X-Other': secret });
  await publisher.publish('topics.a', secret.repeat(20));
  await second.take(2);
  for (const target of [`/events/topic.*?token=${secret}`, `/events/${secret}/x?${secret}`, `/${secret}`])
    await bridge.request(target, { headers: { Origin: secret, 'Last-Event-ID': secret } });
  second.destroy();
  stream.destroy();
  await poll('the streams to end', () => bridge.metrics.connections === 0);
  await nats.kill();
  await bridge.logged('lost the connection to NATS; streams stay open');

  expect(JSON.stringify(bridge.logs)).not.toContain(secret);
  const messages = bridge.logs.map(({ message }) => message);
  for (const life of ['listening', 'connected to NATS', 'stream opened', 'stream ended', 'request refused'])
    expect(messages).toContain(life);
  const opened = bridge.logs
    .filter(({ message }) => message === 'stream opened')
    .map(({ connection }) => connection);
  const ended = bridge.logs
    .filter(({ message }) => message === 'stream ended')
    .map(({ connection }) => connection);
  expect([...ended].sort()).toEqual([...opened].sort());
});
