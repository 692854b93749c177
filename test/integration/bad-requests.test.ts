import { describe, expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { RawClient } from '../support/raw-client.ts';
import type { StreamClient } from '../support/stream-client.ts';

interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string };
}

/** The code in the JSON body of a refusal. */
async function refusalCode(client: StreamClient): Promise<string> {
  await client.ended();
  expect(client.header('content-type')).toBe('application/json');
  const { error }: ErrorBody = JSON.parse(client.body);
  expect(error.message).toMatch(/\.|\)$/);
  return error.code;
}

const LONGEST = `topic.${'a'.repeat(250)}`;

describe('a request that cannot be granted is refused with a code, counted, and leaves nothing behind', () => {
  test.each([
    ['a name with a wildcard for one token', '/events/topic.*', 400, 'CHANNEL_MALFORMED'],
    ['a name with a wildcard for the rest', '/events/topic.%3E', 400, 'CHANNEL_MALFORMED'],
    ['a wildcard in the list', '/events?channels=topic.a,topic.%3E', 400, 'CHANNEL_MALFORMED'],
    ['a name in place of which a wildcard would match', '/events/%3E', 400, 'CHANNEL_MALFORMED'],
    ['a name that would be two tokens', '/events/topic.a.b', 404, 'CHANNEL_UNKNOWN'],
    ['an empty parameter', '/events/topic.', 404, 'CHANNEL_UNKNOWN'],
    ['a parameter that begins with a dot', '/events/topic..a', 404, 'CHANNEL_UNKNOWN'],
    ['dots alone', '/events/..', 404, 'CHANNEL_UNKNOWN'],
    ['encoded dots', '/events/%2e%2e', 404, 'CHANNEL_UNKNOWN'],
    ['an encoded dot that would make two tokens', '/events/topic.a%2eb', 404, 'CHANNEL_UNKNOWN'],
    ['an encoded slash', '/events/topic.a%2f..', 400, 'CHANNEL_MALFORMED'],
    ['an encoded NUL', '/events/topic.a%00', 400, 'CHANNEL_MALFORMED'],
    ['encoded line breaks', '/events/topic.a%0d%0aSUB%20x', 400, 'CHANNEL_MALFORMED'],
    ['encoded line breaks in the list', '/events?channels=topic.a%0d%0a', 400, 'CHANNEL_MALFORMED'],
    ['white space', '/events/topic.a%20b', 400, 'CHANNEL_MALFORMED'],
    ['a plus sign, which means white space', '/events?channels=topic.a+b', 400, 'CHANNEL_MALFORMED'],
    ['twice encoded characters', '/events/topic.%252a', 400, 'CHANNEL_MALFORMED'],
    ['broken encoding', '/events/topic.%zz', 400, 'CHANNEL_MALFORMED'],
    ['half an encoding', '/events/topic.%', 400, 'CHANNEL_MALFORMED'],
    ['characters beyond ASCII', '/events/topic.%C3%A4', 400, 'CHANNEL_MALFORMED'],
    ['bytes that are not UTF-8', '/events/topic.%ff', 400, 'CHANNEL_MALFORMED'],
    ['a system subject', '/events/$SYS.REQ', 400, 'CHANNEL_MALFORMED'],
    ['an inbox', '/events/_INBOX.x', 404, 'CHANNEL_UNKNOWN'],
    ['a name that is too long', `/events/${LONGEST}a`, 400, 'CHANNEL_MALFORMED'],
    ['an unknown channel', '/events/other', 404, 'CHANNEL_UNKNOWN'],
    ['an unknown channel among known ones', '/events?channels=topic.a,other', 404, 'CHANNEL_UNKNOWN'],
    ['no channel', '/events', 400, 'CHANNELS_MISSING'],
    ['an empty list', '/events?channels=', 400, 'CHANNELS_MISSING'],
    ['a hole in the list', '/events?channels=topic.a,,topic.b', 400, 'CHANNEL_MALFORMED'],
    ['a comma at the end of the list', '/events?channels=topic.a,', 400, 'CHANNEL_MALFORMED'],
    [
      'too many channels',
      `/events?channels=${[...'abcd'].map((name) => `topic.${name}`)}`,
      400,
      'CHANNELS_TOO_MANY',
    ],
    [
      'too many channels by path and list',
      '/events/topic.a?channels=topic.b,topic.c,topic.d',
      400,
      'CHANNELS_TOO_MANY',
    ],
    ['a cursor that is none', '/events/topic.a?lastEventId=x', 400, 'CURSOR_MALFORMED'],
    ['a cursor with a negative offset', '/events/topic.a?lastEventId=x.-1', 400, 'CURSOR_MALFORMED'],
    [
      'a cursor beyond all numbers',
      '/events/topic.a?lastEventId=x.99999999999999999',
      400,
      'CURSOR_MALFORMED',
    ],
    ['a cursor with a line break', '/events/topic.a?lastEventId=x.1%0a', 400, 'CURSOR_MALFORMED'],
    [
      'a cursor that is too long',
      `/events/topic.a?lastEventId=${'x.1_'.repeat(32)}x.1`,
      400,
      'CURSOR_MALFORMED',
    ],
    ['another path', '/', 404, 'NOT_FOUND'],
    ['a path that begins like ours', '/eventsource/topic.a', 404, 'NOT_FOUND'],
    ['a path below a channel', '/events/topic.a/b', 404, 'NOT_FOUND'],
    ['an empty name in the path', '/events/', 404, 'NOT_FOUND'],
  ])('%s', async (_, target, status, code) => {
    const bridge = await startBridge({
      nats: await startNats(),
      config: { limits: { channelsPerConnection: 3 } },
    });
    const client = await bridge.request(target);
    expect(client.status).toBe(status);
    expect(await refusalCode(client)).toBe(code);
    expect(await bridge.sample(`sidestream_requests_refused_total{reason="${code}"}`)).toBe(1);
    expect(await bridge.sample('sidestream_connections')).toBe(0);
    expect(await bridge.sample('sidestream_channels')).toBe(0);
    await bridge.stream('/events/topic.a');
  });
});

test.each([
  ['POST', 405, 'METHOD_NOT_ALLOWED'],
  ['PUT', 405, 'METHOD_NOT_ALLOWED'],
  ['DELETE', 405, 'METHOD_NOT_ALLOWED'],
  ['PATCH', 405, 'METHOD_NOT_ALLOWED'],
  ['BREW', 405, 'METHOD_NOT_ALLOWED'],
])('the method %s is refused and told which ones are not', async (method, status, code) => {
  const bridge = await startBridge();
  const client = await bridge.request('/events/topic.a', { method });
  expect(client.status).toBe(status);
  expect(client.header('allow')).toBe('GET, OPTIONS');
  expect(await refusalCode(client)).toBe(code);
});

test('HEAD is refused without a body, so that the connection can be used again', async () => {
  const bridge = await startBridge({ nats: await startNats() });
  const raw = await RawClient.connect(bridge.httpPort);
  raw.send('HEAD /events/topic.a HTTP/1.1\r\nHost: x\r\n\r\n');
  await raw.received(/\r\n\r\n/);
  raw.send('GET /events/topic.a HTTP/1.1\r\nHost: x\r\n\r\n');
  await raw.received(/sidestream\.open/);
  expect(raw.text).toMatch(/^HTTP\/1\.1 405 [^\r]+\r\n(?:[^\r]+\r\n)+\r\nHTTP\/1\.1 200 OK\r\n/);
});

test.each([
  ['of a known length', 'Content-Length: 5\r\n\r\nhello'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
])('a GET with a body %s is refused', async (_, rest) => {
  const bridge = await startBridge({ nats: await startNats() });
  const raw = await RawClient.connect(bridge.httpPort);
  raw.send(`GET /events/topic.a HTTP/1.1\r\nHost: x\r\n${rest}`);
  await raw.received(/BODY_NOT_ALLOWED/);
  expect(raw.text).toMatch(/^HTTP\/1\.1 400 /);
  await bridge.stream('/events/topic.a');
});

// A proxy may pass trailers on, and uWebSockets.js takes them for a request: its answer is not to be there for whoever comes next.
test.each(['POST', 'GET', 'HEAD', 'OPTIONS'])(
  'after the answer to a %s with a body in chunks the connection is not used again, whatever stands in the trailers',
  async (method) => {
    const bridge = await startBridge({ nats: await startNats() });
    const raw = await RawClient.connect(bridge.httpPort);
    raw.send(`${method} /events/topic.a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    raw.send('2\r\n{}\r\n0\r\nXXGET: /events/topic.a HTTP/1.1\r\nHost: x\r\n\r\n');
    await raw.received(/\r\n\r\n/);
    expect(raw.text).toMatch(/^HTTP\/1\.1 \d+ [^\r]+\r\n(?:[^\r]+\r\n)*connection: close\r\n/i);
  },
);

test.each([['application/xml'], ['text/html,application/xhtml+xml'], ['text/event-stream;q=0'], ['*/*;q=0']])(
  'a client that accepts only %s is refused by status, not in-band',
  async (accept) => {
    const bridge = await startBridge({ nats: await startNats() });
    const client = await bridge.request('/events/topic.a', { headers: { Accept: accept } });
    expect(client.status).toBe(406);
    expect(await refusalCode(client)).toBe('NOT_ACCEPTABLE');
  },
);

test.each([[undefined], ['*/*'], ['text/*'], ['text/html, text/event-stream;q=0.1'], ['TEXT/EVENT-STREAM']])(
  'a client that accepts %s gets a stream',
  async (accept) => {
    const bridge = await startBridge({ nats: await startNats() });
    await bridge.stream('/events/topic.a', { headers: { Accept: accept } });
  },
);

test.each([
  ['in the header', { 'Last-Event-ID': 'no cursor' }],
  ['in the header, though the query has a good one', { 'Last-Event-ID': 'x' }],
])('a malformed cursor %s is refused', async (_, headers) => {
  const bridge = await startBridge({ nats: await startNats() });
  const client = await bridge.request('/events/topic.a?lastEventId=x.1', { headers });
  expect(client.status).toBe(400);
  expect(await refusalCode(client)).toBe('CURSOR_MALFORMED');
});

test('the same channel asked for twice is joined once, and each event comes once', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats, config: { limits: { channelsPerConnection: 1 } } });
  const publisher = await startPublisher(nats);
  const stream = await bridge.request('/events/topic.a?channels=topic.a,topic.a&channels=topic.a');
  const { channels } = JSON.parse((await stream.next('sidestream.open')).data);
  expect(channels).toHaveLength(1);
  expect(await bridge.sample('sidestream_channels')).toBe(1);
  await nats.subscribed('topics.a', 1);
  for (const payload of ['1', '2']) await publisher.publish('topics.a', payload);
  expect((await stream.take(2)).map(({ data }) => data)).toEqual(['1', '2']);
});

test('the longest name is served', async () => {
  const bridge = await startBridge({ nats: await startNats() });
  expect(LONGEST).toHaveLength(256);
  await bridge.stream(`/events/${LONGEST}`);
});

test('a template whose first token is a parameter reaches no inbox and no system subject', async () => {
  const channels = { all: { channel: '{space}.{name}', subject: '{space}.{name}', access: 'public' } };
  const bridge = await startBridge({ nats: await startNats(), config: { channels } });
  const inbox = await bridge.request('/events/_INBOX.abc');
  expect(inbox.status).toBe(404);
  const system = await bridge.request('/events/$SYS.abc');
  expect(system.status).toBe(400);
});

describe('the header block', () => {
  test('may hold large cookies', async () => {
    const bridge = await startBridge({ nats: await startNats() });
    await bridge.stream('/events/topic.a', { headers: { Cookie: `session=${'x'.repeat(6 * 1024)}` } });
  });

  test('over the limit is refused by status and closed', async () => {
    const bridge = await startBridge({ nats: await startNats() });
    const raw = await RawClient.connect(bridge.httpPort);
    raw.send(`GET /events/topic.a HTTP/1.1\r\nHost: x\r\nCookie: ${'x'.repeat(20 * 1024)}\r\n\r\n`);
    await raw.closed();
    expect(raw.text).toMatch(/^HTTP\/1\.1 4\d\d /);
    await bridge.stream('/events/topic.a');
  });

  test.each([
    ['garbage', 'hello\r\n\r\n'],
    ['a TLS greeting', '\u0016\u0003\u0001\u0002\u0000\u0001'],
    ['no Host', 'GET /events/topic.a HTTP/1.1\r\n\r\n'],
    ['another version', 'GET /events/topic.a HTTP/3.7\r\nHost: x\r\n\r\n'],
    ['a header without a colon', 'GET /events/topic.a HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n'],
    [
      'two lengths',
      'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['an absurd length', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n'],
  ])('that is not HTTP (%s) ends that connection only', async (_, bytes) => {
    const bridge = await startBridge({ nats: await startNats() });
    const raw = await RawClient.connect(bridge.httpPort);
    raw.send(bytes);
    raw.halfClose();
    await raw.closed();
    expect(raw.text).not.toContain('sidestream.open');
    await bridge.stream('/events/topic.a');
    expect(await bridge.sample('sidestream_connections')).toBe(1);
  });
});
