import { describe, expect, it } from 'vitest';
import type { FileConfig, TestBridge } from '../support/bridge.ts';
import { poll as until } from '../support/poll.ts';
import { call, refusal, startPair } from './controlled.ts';
import { AUTH, bearer, signed } from './protected.ts';

const CONFIG: FileConfig = {
  auth: AUTH,
  limits: { channelsPerConnection: 3 },
  channels: {
    chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: 'public', replay: 2 },
    own: { channel: 'own-{id}', subject: 'own.{id}', access: { where: { id: '{claims.sub}' } } },
    orders: { channel: 'orders-{id}', subject: 'orders.{id}', access: 'public', stream: 'ORDERS', replay: 2 },
  },
};

const start = () => startPair(CONFIG, (jsm) => jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] }));

async function open(bridge: TestBridge, target: string, options: Parameters<TestBridge['request']>[1] = {}) {
  const client = await bridge.request(target, options);
  const { connection } = JSON.parse((await client.next('sidestream.open')).data) as { connection: string };
  return { client, connection };
}

describe('a live stream that is put on another channel', () => {
  it('is told, is replayed what the route replays, and goes on live there, with a cursor over all its logs', async () => {
    const { first, second, publisher } = await start();
    for (const data of ['1', '2', '3']) await publisher.publish('orders.9', data);
    const { client, connection } = await open(second, '/events/chat-1');
    const answer = await call(first, 'subscribe', { connection, channels: ['orders-9'] });
    expect(answer).toMatchObject({ streams: 1, channels: [{ channel: 'orders-9', done: 1, refused: [] }] });
    const told = await client.next('sidestream.subscribed');
    expect(JSON.parse(told.data)).toEqual({
      channels: [{ channel: 'orders-9', resume: 'live', replayed: 2 }],
    });
    expect((await client.next('message')).data).toBe('2');
    const last = await client.next('message');
    expect(last.data).toBe('3');
    expect(last.id).toMatch(/^[^_]+_[^_]+$/);
    await publisher.publish('orders.9', '4');
    await publisher.publish('chat.1', 'c');
    const ids = [];
    for (const data of ['4', 'c'].sort()) {
      const event = await client.next('message');
      ids.push(event.id);
      expect(['4', 'c'], data).toContain(event.data);
    }
    const again = await second.request('/events?channels=chat-1,orders-9', {
      headers: { 'Last-Event-ID': ids.at(-1) ?? '' },
    });
    expect(JSON.parse((await again.next('sidestream.open')).data).channels).toEqual([
      { channel: 'chat-1', resume: 'recovered', replayed: 0 },
      { channel: 'orders-9', resume: 'recovered', replayed: 0 },
    ]);
  });

  it('must have the right to it, unless who calls vouches for it', async () => {
    const { first, second } = await start();
    const { client, connection } = await open(second, '/events/chat-1', bearer(await signed({ sub: 'me' })));
    const channels = ['own-you'];
    expect(await refusal(first, 'subscribe', { connection, channels })).toBe('NOT_PERMITTED');
    await call(first, 'subscribe', { connection, channels, vouched: true });
    await call(first, 'subscribe', { user: 'me', channels: ['own-me'] });
    for (const channel of ['own-you', 'own-me'])
      expect(JSON.parse((await client.next('sidestream.subscribed')).data).channels[0]).toMatchObject({
        channel,
      });
    expect(await refusal(first, 'subscribe', { connection, channels: ['chat-2'] })).toBe('CONFLICT');
    expect(await refusal(first, 'subscribe', { connection, channels: ['none'] })).toBe('CHANNEL_NOT_FOUND');
    expect(await refusal(first, 'subscribe', { connection: 'x', channels })).toBe('CONNECTION_NOT_FOUND');
    expect(await refusal(first, 'subscribe', { user: 'you', channels })).toBe('USER_NOT_FOUND');
  });

  it('by several acts at once, is on it once; and off it gets nothing of it any more', async () => {
    const { first, second, publisher } = await start();
    const { client, connection } = await open(first, '/events/chat-1');
    const fields = { connection, channels: ['chat-2'] };
    await Promise.all([call(first, 'subscribe', fields), call(second, 'subscribe', fields)]);
    await client.next('sidestream.subscribed');
    await call(second, 'unsubscribe', { connection, channels: ['chat-1', 'chat-2'] });
    const off = JSON.parse((await client.next('sidestream.unsubscribed')).data);
    expect(off).toEqual({ channels: ['chat-1', 'chat-2'], reason: 'unsubscribed' });
    await publisher.publish('chat.2', 'unheard');
    await call(second, 'publish', { connection, data: 'still there' });
    expect((await client.next('message')).data).toBe('still there');
    await call(second, 'subscribe', fields);
    expect(JSON.parse((await client.next('sidestream.subscribed')).data).channels).toHaveLength(1);
  });

  it('while others take it off, write to it and end it, from either side, ends once, and nothing of it is left', async () => {
    const { first, second } = await start();
    const { client, connection } = await open(first, '/events/chat-1');
    const acts = [
      ['subscribe', { connection, channels: ['chat-2', 'orders-9'] }],
      ['unsubscribe', { connection, channels: ['chat-1', 'chat-2'] }],
      ['publish', { connection, data: 'x' }],
      ['disconnect', { connection }],
    ] as const;
    const outcomes = await Promise.all(
      acts.flatMap(([operation, fields]) =>
        [first, second, first].map((bridge) => bridge.call(operation, fields)),
      ),
    );
    const codes = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error.code]));
    // Those that came too late, and those that found it ending.
    expect(codes.filter((code) => !['CONNECTION_NOT_FOUND', 'CONFLICT'].includes(code))).toEqual([]);
    const ended = outcomes.slice(-3).map((outcome) => (outcome.ok ? Number(outcome.answer.closed) : 0));
    expect(ended.reduce((sum, closed) => sum + closed, 0)).toBe(1);
    await client.until(({ event }) => event === 'sidestream.close');
    await client.ended();
    await until('it to be gone', () => first.metrics.connections === 0);
    for (const bridge of [first, second]) {
      expect(await call(bridge, 'channels', { active: true })).toMatchObject({ list: [] });
      for (const [operation, fields] of acts)
        expect(await refusal(bridge, operation, fields)).toBe('CONNECTION_NOT_FOUND');
    }
  });
});

describe('whoever is not a stream of events', () => {
  it('as a long poll is put on no channel, is sent what comes while it waits, and is told to stay away', async () => {
    const { first, second } = await start();
    const stream = await open(first, '/events/chat-1', bearer(await signed({ sub: 'me' })));
    const accept = { Accept: 'application/json', ...bearer(await signed({ sub: 'you' })).headers };
    const poll = await fetch(`http://127.0.0.1:${second.httpPort}/events/chat-1?wait=0s`, {
      headers: accept,
    });
    const { cursor } = (await poll.json()) as { cursor: string };
    const ask = async () => {
      const held = fetch(`http://127.0.0.1:${second.httpPort}/events/chat-1?lastEventId=${cursor}`, {
        headers: accept,
      });
      await until('the poll to be there', () => second.metrics.connections === 1);
      return held;
    };
    let held = ask();
    await until('the poll to be there', () => second.metrics.connections === 1);
    expect(await refusal(first, 'subscribe', { user: 'you', channels: ['chat-2'] })).toBe('CONFLICT');
    expect(await call(first, 'publish', { broadcast: true, data: 'hi' })).toMatchObject({ connections: 2 });
    expect(await (await held).json()).toMatchObject({ events: [{ data: 'hi' }] });
    expect((await stream.client.next('message')).data).toBe('hi');
    held = ask();
    await until('the poll to be there again', () => second.metrics.connections === 1);
    await call(first, 'disconnect', { user: 'you', reconnect: false });
    expect(await (await held).json()).toMatchObject({
      cursor: 'closed',
      close: { reason: 'disconnected', reconnect: false },
    });
    const again = await fetch(`http://127.0.0.1:${first.httpPort}/events/chat-1?lastEventId=closed`, {
      headers: accept,
    });
    expect(again.status).toBe(204);
  });
});

describe('a stream that is ended', () => {
  it('for good is given an id with which nobody is let in any more, on any instance', async () => {
    const { first, second } = await start();
    const { client, connection } = await open(second, '/events/chat-1');
    expect(await call(first, 'disconnect', { connection, reconnect: false })).toMatchObject({ closed: 1 });
    const close = await client.next('sidestream.close');
    expect(JSON.parse(close.data)).toMatchObject({ reason: 'disconnected', reconnect: false });
    await client.ended();
    for (const bridge of [first, second]) {
      const answer = await bridge.request('/events/chat-1', { headers: { 'Last-Event-ID': close.id } });
      expect(answer.status).toBe(204);
    }
    await open(first, '/events/chat-1');
  });

  it('by its channel ends wherever it is, and is told when to come back', async () => {
    const { first, second } = await start();
    const streams = [
      await open(first, '/events/chat-1'),
      await open(second, '/events?channels=chat-1,chat-2'),
    ];
    const other = await open(second, '/events/chat-2');
    expect(await call(first, 'disconnect', { channel: 'chat-1', retry: '1234ms' })).toMatchObject({
      closed: 2,
    });
    for (const { client } of streams) {
      const told = JSON.parse((await client.next('sidestream.close')).data);
      expect(told).toEqual({ reason: 'disconnected', retry: 1234 });
    }
    await call(first, 'publish', { connection: other.connection, data: 'still there' });
    expect((await other.client.next('message')).data).toBe('still there');
  });

  it('because its last channel was closed is not to come back; one with others goes on', async () => {
    const { first, second } = await start();
    const only = await open(first, '/events/chat-1');
    const more = await open(second, '/events?channels=chat-1,chat-2');
    await call(first, 'close', { channel: 'chat-1' });
    expect(JSON.parse((await only.client.next('sidestream.close')).data)).toMatchObject({
      reason: 'channel-closed',
      reconnect: false,
    });
    expect(JSON.parse((await more.client.next('sidestream.unsubscribed')).data)).toEqual({
      channels: ['chat-1'],
      reason: 'channel-closed',
    });
  });
});
