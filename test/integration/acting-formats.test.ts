import { get, type IncomingMessage } from 'node:http';
import { createGunzip } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { EventStreamParser } from '../support/event-stream.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { call } from './controlled.ts';
import { AUTH, bearer, signed } from './protected.ts';

const CONFIG: FileConfig = {
  sse: { compression: ['gzip'] },
  channels: { chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: 'public', replay: 2 } },
};
interface Received {
  readonly event?: string;
  readonly data?: string;
  readonly id?: string;
}
const WAYS = ['text/event-stream', 'application/x-ndjson'].flatMap((accept) => [
  { accept, coding: 'identity' },
  { accept, coding: 'gzip' },
]);
type Way = (typeof WAYS)[number];

/** A stream as some client has it that asks for it in this way. */
class Stream {
  hasEnded = false;
  readonly #response: IncomingMessage;
  readonly #parser = new EventStreamParser();
  readonly #isNdjson: boolean;
  #text = '';

  constructor(response: IncomingMessage, { accept }: Way) {
    this.#response = response;
    this.#isNdjson = accept !== 'text/event-stream';
    const bytes = this.coding === 'gzip' ? response.pipe(createGunzip()) : response;
    bytes.on('data', (chunk: Buffer) => {
      if (this.#isNdjson) this.#text += chunk;
      else this.#parser.push(chunk);
    });
    // A whole stream: gzip says where it ends.
    bytes.on('end', () => {
      this.hasEnded = true;
    });
  }

  get status(): number | undefined {
    return this.#response.statusCode;
  }

  get coding(): string {
    return this.#response.headers['content-encoding'] ?? 'identity';
  }

  get events(): readonly Received[] {
    if (!this.#isNdjson) return this.#parser.events;
    const lines = this.#text.split('\n').slice(0, -1);
    return lines.flatMap((line): Received[] => (line === '' ? [] : [JSON.parse(line)]));
  }

  /** Waits for the `count`th event of a name. */
  event(name: string, count = 1): Promise<Received> {
    const named = ({ event = 'message', data }: Received) => data !== undefined && event === name;
    return poll(`${name} ${count}`, () => this.events.filter(named)[count - 1]);
  }
}

function open(bridge: TestBridge, way: Way, cursor?: string): Promise<Stream> {
  const headers = {
    Accept: way.accept,
    'Accept-Encoding': way.coding,
    ...(cursor !== undefined && { 'Last-Event-ID': cursor }),
  };
  return new Promise((resolve, reject) => {
    const url = `http://127.0.0.1:${bridge.httpPort}/events/chat-1`;
    const request = get(url, { headers }, (response) => resolve(new Stream(response, way)));
    request.on('error', reject);
    onTestFinished(() => void request.destroy());
  });
}

it.each(WAYS)(
  'a stream is put on a channel, taken off it and kept away for good: $accept, $coding',
  async (way) => {
    const bridge = await startBridge({ nats: await startNats(), config: CONFIG });
    const other = await bridge.stream('/events/chat-2');
    for (const data of ['1', '2', '3']) await call(bridge, 'publish', { channel: 'chat-2', data });
    await other.take(3);
    const stream = await open(bridge, way);
    expect(stream.coding).toBe(way.coding);
    const { connection } = JSON.parse((await stream.event('sidestream.open')).data ?? '');
    await call(bridge, 'subscribe', { connection, channels: ['chat-2'] });
    expect(JSON.parse((await stream.event('sidestream.subscribed')).data ?? '')).toEqual({
      channels: [{ channel: 'chat-2', resume: 'live', replayed: 2 }],
    });
    await call(bridge, 'publish', { channel: 'chat-2', data: '4' });
    await stream.event('message', 3);
    await call(bridge, 'unsubscribe', { connection, channels: ['chat-2'] });
    await stream.event('sidestream.unsubscribed');
    await call(bridge, 'publish', { channel: 'chat-2', data: 'unheard' });
    await call(bridge, 'publish', { channel: 'chat-1', data: '5' });
    await stream.event('message', 4);
    await call(bridge, 'disconnect', { connection, reconnect: false });
    const close = await stream.event('sidestream.close');
    expect(JSON.parse(close.data ?? '')).toMatchObject({ reason: 'disconnected', reconnect: false });
    await poll('the end of a whole stream', () => stream.hasEnded);
    const messages = stream.events.filter(({ event = 'message' }) => !event.startsWith('sidestream.'));
    expect(messages.flatMap(({ data = [] }) => data)).toEqual(['2', '3', '4', '5']);
    expect((await open(bridge, way, close.id)).status).toBe(204);
  },
);

it('a stream that is told nothing is put on a channel and taken off it all the same, and stays away for good', async () => {
  const config = { ...CONFIG, auth: AUTH, sse: { control: false } };
  const bridge = await startBridge({ nats: await startNats(), config });
  const token = bearer(await signed({ sub: '42' }));
  const client = await bridge.request('/events/chat-1', token);
  await poll('it to be live', async () => {
    const put = await bridge.call('subscribe', { user: '42', channels: ['chat-3'] });
    return put.ok;
  });
  for (const data of ['1', '2']) await call(bridge, 'publish', { channel: 'chat-3', data });
  await client.take(2);
  await call(bridge, 'unsubscribe', { user: '42', channels: ['chat-3'] });
  await call(bridge, 'publish', { channel: 'chat-3', data: 'unheard' });
  await call(bridge, 'publish', { user: '42', data: '3' });
  expect((await client.next()).data).toBe('3');
  await call(bridge, 'disconnect', { user: '42', reconnect: false });
  await client.ended();
  expect(client.body).toContain('id: closed\n');
  expect(client.body).not.toContain('sidestream.');
});
