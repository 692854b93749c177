import { Kvm } from '@nats-io/kv';
import { describe, expect, it } from 'vitest';
import { keyOfChannel } from '../../src/control/channels/channel-record.ts';
import type { FileConfig } from '../support/bridge.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { call, refusal, startPair } from './controlled.ts';
import { AUTH, bearer, signed } from './protected.ts';

const CONFIG: FileConfig = {
  auth: AUTH,
  limits: { event: '4KiB' },
  channels: {
    chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: 'public' },
    rooms: { channel: 'room-{id}', subject: 'rooms.{id}', access: 'public', dynamic: true },
  },
};

const start = () => startPair(CONFIG);

/** Opens a stream; it, and its id. */
async function open(bridge: Awaited<ReturnType<typeof start>>['first'], target: string, token?: string) {
  const client = await bridge.request(target, token === undefined ? {} : bearer(token));
  const { data } = await client.next('sidestream.open');
  const { connection } = JSON.parse(data) as { connection: string };
  return { client, connection };
}

describe('a message for one stream', () => {
  it('reaches it wherever it is, without a position, and nobody else', async () => {
    const { first, second } = await start();
    const [one, other] = [await open(second, '/events/chat-1'), await open(second, '/events/chat-1')];
    const cursor = one.client.lastEventId;
    const fields = { connection: one.connection, event: 'poke', data: { n: 1 } };
    expect(await call(first, 'publish', fields)).toMatchObject({
      accepted: true,
      connections: 1,
      instances: { answered: [expect.any(String), expect.any(String)], missing: [] },
    });
    expect(await one.client.next('poke')).toMatchObject({ data: '{"n":1}', id: cursor });
    await call(first, 'publish', { channel: 'chat-1', data: 'for both' });
    expect((await one.client.next('message')).data).toBe('for both');
    expect((await other.client.next('message')).data).toBe('for both');
  });

  it('that is not there is refused', async () => {
    const { first } = await start();
    const connection = '00000000-0000-4000-8000-000000000000';
    expect(await refusal(first, 'publish', { connection, data: 'x' })).toBe('CONNECTION_NOT_FOUND');
    expect(await refusal(first, 'publish', { user: 'nobody', data: 'x' })).toBe('USER_NOT_FOUND');
    const large = { broadcast: true, data: 'x'.repeat(4097) };
    expect(await refusal(first, 'publish', large)).toBe('MESSAGE_TOO_LARGE');
  });
});

describe('a message for a user without a channel', () => {
  it('reaches all their streams, on every instance', async () => {
    const { first, second } = await start();
    const [mine, yours] = [await signed({ sub: 'me' }), await signed({ sub: 'you' })];
    const streams = [await open(first, '/events/chat-1', mine), await open(second, '/events/chat-2', mine)];
    const other = await open(second, '/events/chat-1', yours);
    expect(await call(first, 'publish', { user: 'me', data: 'hi' })).toMatchObject({ connections: 2 });
    for (const { client } of streams) expect((await client.next('message')).data).toBe('hi');
    await call(first, 'publish', { user: 'you', data: 'ho' });
    expect((await other.client.next('message')).data).toBe('ho');
  });
});

describe('a message for everybody', () => {
  it('reaches every stream of every instance, binary ones as base64', async () => {
    const { first, second } = await start();
    const streams = [
      await open(first, '/events/chat-1'),
      await open(first, '/events/chat-2'),
      await open(second, '/events/chat-1'),
    ];
    const fields = { broadcast: true, data: 'AP8=', binary: true, event: 'news', priority: 'urgent' };
    expect(await call(second, 'publish', fields)).toMatchObject({ connections: 3 });
    for (const { client } of streams) expect((await client.next('news')).data).toBe('AP8=');
  });

  it('is accepted where there is nobody', async () => {
    const { first } = await start();
    expect(await call(first, 'publish', { broadcast: true, data: 'x' })).toMatchObject({ connections: 0 });
  });

  it('comes in order with what is published before and after it', async () => {
    const { first } = await start();
    const { client } = await open(first, '/events/chat-1');
    const messages = Array.from({ length: 30 }, (_, n) =>
      n % 3 === 0 ? { broadcast: true, data: `${n}` } : { channel: 'chat-1', data: `${n}` },
    );
    for (const each of messages) await call(first, 'publish', each);
    expect((await client.take(30)).map(({ data }) => data)).toEqual(messages.map(({ data }) => data));
  });
});

describe('the streams of a channel', () => {
  it('that is closed are told on every instance, and those with no other are ended', async () => {
    const { first, second } = await start();
    const [alone, both] = [
      await open(first, '/events/chat-1'),
      await open(second, '/events?channels=chat-1,chat-2'),
    ];
    expect(await call(first, 'close', { channel: 'chat-1' })).toMatchObject({ closed: 2, persisted: true });
    const goodbye = await alone.client.until(({ event }) => event === 'sidestream.close');
    expect(JSON.parse(goodbye.at(-1)?.data ?? '')).toMatchObject({ reason: 'channel-closed' });
    await alone.client.ended();
    const told = await both.client.next('sidestream.unsubscribed');
    expect(JSON.parse(told.data)).toMatchObject({ channels: ['chat-1'], reason: 'channel-closed' });
    await call(second, 'publish', { channel: 'chat-2', data: 'still there' });
    expect((await both.client.next('message')).data).toBe('still there');
    await poll('one stream to be left', () => first.metrics.connections + second.metrics.connections === 1);
  });

  it('that is removed from the bucket by hand are ended as well', async () => {
    const { first, second, jsm } = await start();
    await call(first, 'create', { channel: 'room-1' });
    const { client } = await open(second, '/events/room-1');
    const kv = await new Kvm(jsm.jetstream()).open('sidestream_channels');
    await kv.delete(keyOfChannel('room-1'));
    await client.until(({ event }) => event === 'sidestream.close');
    await client.ended();
  });

  it('are ended by an instance that learns late that it was closed', async () => {
    const nats = await startNats({ jetStream: true });
    const first = await startBridge({ nats, config: CONFIG });
    await poll(
      'the bucket to be open',
      async () => (await first.sample('sidestream_control_channels_persistent')) === 1,
    );
    await call(first, 'close', { channel: 'chat-1' });
    const second = await startBridge({ nats, config: CONFIG });
    const client = await second.request('/events/chat-1');
    // It was let in before the bucket was read, or was not let in.
    if (client.status === 200) {
      await client.until(({ event }) => event === 'sidestream.close');
      await client.ended();
    } else expect(client.status).toBe(204);
  });
});
