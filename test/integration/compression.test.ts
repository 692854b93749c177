import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { describe, expect, it, test } from 'vitest';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { zstd } from '../../src/protocol/zstd.ts';
import {
  type CompressedStream,
  ONE_CHANNEL,
  startCompressed,
  TWO_LOGS,
} from '../support/compressed-stream.ts';
import type { DecodingClient } from '../support/decoding-client.ts';
import { DATA, PROGRAMS } from '../support/decoding-programs.ts';
import { parseEventStream } from '../support/event-stream.ts';
import { temporaryFolder } from '../support/folder.ts';
import { noNginx, startNginx } from '../support/nginx.ts';
import { poll } from '../support/poll.ts';

/** Each event must be there before the next one is sent, as another client has it that takes nothing compressed. */
async function followEvents(client: DecodingClient, stream: CompressedStream, coding: 'gzip' | 'zstd') {
  await client.event('sidestream.open');
  expect(await stream.compressed(coding)).toBe(1);
  for (const [i, data] of DATA.entries()) {
    const { event, id } = await stream.publish(data);
    expect(await client.event('price', i + 1)).toMatchObject({ event, id, data });
  }
}

const WAYS = [ONE_CHANNEL, TWO_LOGS].flatMap((path) => [
  { path, type: 'text/event-stream' } as const,
  { path, type: 'application/x-ndjson' } as const,
]);

describe.each(PROGRAMS)('$name', ({ coding, start }) => {
  it.each(WAYS)(
    'gets each event of $path as it is sent, heartbeats too, and at the end a whole stream: $type',
    async ({ path, type }) => {
      const stream = await startCompressed({ compression: [coding], path });
      const client = start({ ...stream, port: stream.port, type });
      await followEvents(client, stream, coding);
      await client.heartbeats(1);
      await stream.end();
      expect(JSON.parse((await client.event('sidestream.close')).data)).toMatchObject({ reason: 'draining' });
      expect(await client.ended()).toEqual({ code: 0, complaint: '' });
      expect(await stream.compressed(coding)).toBe(0);
    },
    120_000,
  );

  it.each([ONE_CHANNEL, TWO_LOGS])(
    'is told where the stream of %s was cut off, and is replayed what it missed',
    async (path) => {
      const stream = await startCompressed({ compression: [coding], path });
      const client = start({ path, port: stream.port });
      await followEvents(client, stream, coding);
      const { id: cursor } = await client.event('price', DATA.length);
      stream.cut();
      expect((await client.ended()).code).not.toBe(0);
      for (const data of DATA) await stream.publish(data);

      const again = start({ path, port: stream.port, cursor });
      const plain = await stream.bridge.request(path, { headers: { 'Last-Event-ID': cursor } });
      const verdicts = (data: string) => JSON.parse(data).channels;
      const expected = await plain.next('sidestream.open');
      expect(verdicts((await again.event('sidestream.open')).data)).toEqual(verdicts(expected.data));
      for (const i of DATA.keys()) {
        const { event, id, data } = await plain.next('price');
        expect(await again.event('price', i + 1)).toMatchObject({ event, id, data });
      }
      const { data } = await stream.publish('live');
      expect(await again.event('price', DATA.length + 1)).toMatchObject({ data });
    },
    120_000,
  );
});

// As if nothing were asked of nginx: the bridge does ask it not to buffer.
const UNASKED = 'proxy_ignore_headers X-Accel-Buffering;';
const PROXIES = ['gzip off;', 'gzip on; gzip_types text/event-stream;', 'gunzip on;'].flatMap(
  (compressing) => [compressing, `${compressing} proxy_buffering off; ${UNASKED}`],
);

describe.skipIf(noNginx !== undefined).each(PROGRAMS)('$name, behind nginx', ({ coding, start }) => {
  it.each(PROXIES)(
    'gets each event as it is sent, and a whole stream: %s',
    async (directives) => {
      const stream = await startCompressed({ compression: [coding], path: TWO_LOGS });
      const client = start({ path: TWO_LOGS, port: await startNginx(stream.port, directives) });
      await followEvents(client, stream, coding);
      await stream.end();
      expect(await client.ended()).toEqual({ code: 0, complaint: '' });
    },
    120_000,
  );
});

describe('a response that came to its end in good order', () => {
  const CHECKS = [
    ['gzip', 'gunzip'],
    ['zstd', 'zstd'],
  ] as const;
  const usable = CHECKS.filter(
    ([coding, program]) =>
      (coding === 'gzip' || zstd !== undefined) && spawnSync(program, ['--version']).status === 0,
  );

  test.each(usable)('is a whole file to whoever wrote it down: %s, %s', async (coding, program) => {
    const stream = await startCompressed({ compression: [coding] });
    const response = await rawBody(stream, { 'Accept-Encoding': coding });
    for (const data of DATA) await stream.publish(data);
    await stream.end();
    const file = join(temporaryFolder(), 'stream');
    writeFileSync(file, await response.body);
    const decoded = execFileSync(program, ['-d', '-c'], { input: readFileSync(file), maxBuffer: 1 << 24 });
    const events = parseEventStream(decoded);
    expect(events.filter(({ event }) => event === 'price').map(({ data }) => data)).toEqual(DATA);
    expect(events.at(-1)?.event).toBe('sidestream.close');
  });

  test('has a checksum that tells of a byte that was changed on the way', async () => {
    const stream = await startCompressed({ compression: ['gzip'] });
    const response = await rawBody(stream, { 'Accept-Encoding': 'gzip' });
    for (const data of DATA) await stream.publish(data);
    await stream.end();
    const body = await response.body;
    await expect(promisify(gunzip)(body)).resolves.toBeDefined();
    const at = body.indexOf('{"price":1}');
    body[at] = '['.charCodeAt(0);
    await expect(promisify(gunzip)(body)).rejects.toThrow('incorrect data check');
  });
});

describe('a client', () => {
  test.each(['gzip;q=0', 'identity', 'br, deflate', 'gzip;q=0.5, identity'])(
    'that sends “Accept-Encoding: %s” gets the stream as it is, and caches are told',
    async (header) => {
      const { bridge } = await startCompressed({ compression: ['gzip'] });
      const client = await bridge.stream(ONE_CHANNEL, { headers: { 'Accept-Encoding': header } });
      expect(client.header('content-encoding')).toBeUndefined();
      expect(client.header('vary')).toContain('Accept-Encoding');
    },
  );

  test('gets a refusal that is not compressed', async () => {
    const { bridge } = await startCompressed({ compression: ['gzip'] });
    const client = await bridge.request('/events/nobody', { headers: { 'Accept-Encoding': 'gzip' } });
    expect(client.status).toBe(404);
    expect(client.header('content-encoding')).toBeUndefined();
  });

  test('brings the same cursors whether it takes compression or not', async () => {
    const stream = await startCompressed({ compression: ['gzip'], path: TWO_LOGS });
    const { id } = await stream.publish('1');
    expect(parseCursor(id)).toHaveLength(2);
  });
});

test('what compression saves is counted', async () => {
  const stream = await startCompressed({ compression: ['gzip'] });
  const response = await rawBody(stream, { 'Accept-Encoding': 'gzip' });
  const bytes = async () => [
    (await stream.bridge.sample('sidestream_plain_bytes_total')) ?? 0,
    (await stream.bridge.sample('sidestream_sent_bytes_total')) ?? 0,
  ];
  const [plainBefore = 0, sentBefore = 0] = await bytes();
  await stream.publish('again and again, '.repeat(1000));
  const [plainAfter = 0, sentAfter = 0] = await bytes();
  // To two clients, one of which takes it compressed.
  expect(plainAfter - plainBefore).toBeGreaterThan(2 * 17_000);
  expect(sentAfter - sentBefore).toBeLessThan(17_000 + 1000);
  await stream.end();
  await response.body;
});

test('a reader that stopped reads on where it was, and has every event once and in order', async () => {
  const limits = { pending: '64MiB', pendingTotal: '128MiB', stalled: '1h' };
  const stream = await startCompressed({ compression: ['gzip'], limits });
  const { metrics } = stream.bridge;
  const response = await rawBody(stream, { 'Accept-Encoding': 'gzip' });
  response.pause();
  const sent: string[] = [];
  const publish = async () => {
    // Does not get much smaller: the kernel takes some megabytes before the server notices.
    sent.push(randomBytes(48 * 1024).toString('base64'));
    await stream.publish(sent.at(-1) ?? '');
  };
  while (metrics.slowConnections === 0) await publish();
  for (let more = 0; more < 20; more += 1) await publish();
  expect(await stream.bridge.sample('sidestream_pending_bytes')).toBeGreaterThan(0);
  response.resume();
  await poll('the reader to have caught up', () => metrics.slowConnections === 0);
  await stream.end();
  const events = parseEventStream(await promisify(gunzip)(await response.body));
  expect(events.filter(({ event }) => event === 'price').map(({ data }) => data)).toEqual(sent);
  expect(metrics.pendingBytes).toBe(0);
});

/** The body as it came, once the response is over; resolves when its first bytes are there. */
async function rawBody(stream: CompressedStream, headers: Readonly<Record<string, string>>) {
  return new Promise<{ readonly body: Promise<Buffer>; pause(): void; resume(): void }>((resolve, reject) => {
    get({ host: '127.0.0.1', port: stream.bridge.httpPort, path: stream.path, headers }, (response) => {
      const chunks: Buffer[] = [];
      const body = new Promise<Buffer>((done, failed) => {
        response.on('end', () => done(Buffer.concat(chunks)));
        response.on('error', failed);
      });
      const [pause, resume] = [() => void response.pause(), () => void response.resume()];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (chunks.length === 1) resolve({ body, pause, resume });
      });
    }).on('error', reject);
  });
}
