import type { JetStreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { describe, expect, it } from 'vitest';
import { type FileConfig, startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { call, refusal, startPair } from './controlled.ts';
import { AUTH, bearer, signed } from './protected.ts';

const CONFIG: FileConfig = {
  auth: AUTH,
  limits: { event: '4KiB' },
  channels: {
    chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: 'public' },
    orders: { channel: 'orders-{shop}', subject: 'orders.{shop}.>', stream: 'ORDERS', access: 'public' },
    settings: { channel: 'settings-{app}', kv: 'settings', key: 'app.{app}', access: 'public' },
    mine: { channel: 'user-{id}', subject: 'notify.{id}.*', access: { where: { id: '{claims.sub}' } } },
  },
};

async function prepare(jsm: JetStreamManager) {
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  await new Kvm(jsm.jetstream()).create('settings');
}

const start = () => startPair(CONFIG, prepare);

describe('a message for a channel', () => {
  it('reaches the browsers of every instance, by the subject of its route', async () => {
    const { first, second } = await start();
    const clients = [await first.stream('/events/chat-1'), await second.stream('/events/chat-1')];
    const answer = await call(first, 'publish', {
      channel: 'chat-1',
      data: { text: 'hi\r\nthere' },
      event: 'said',
      priority: 'high',
      ttl: '10m',
    });
    expect(answer).toEqual({ accepted: true, channel: 'chat-1', subject: 'chat.1' });
    for (const client of clients)
      expect(await client.next('said')).toMatchObject({ data: '{"text":"hi\\r\\nthere"}' });
  });

  it('of a stream tells the position that browsers see, which one can resume from', async () => {
    const { first, second } = await start();
    const client = await second.stream('/events/orders-a');
    const told = await call(first, 'publish', { channel: 'orders-a', data: 'one', event: 'made' });
    expect(told).toMatchObject({ subject: 'orders.a.api', stream: 'ORDERS', duplicate: false });
    const event = await client.next('made');
    expect(event).toMatchObject({ data: 'one', id: told.position });
    await call(second, 'publish', { channel: 'orders-a', data: 'two', event: 'made' });
    const back = await first.stream('/events/orders-a', {
      headers: { 'Last-Event-ID': String(told.position) },
    });
    expect((await back.next('made')).data).toBe('two');
  });

  it('that is sent twice with one id is stored once, and that is said with the position of the first', async () => {
    const { first, second } = await start();
    const fields = { channel: 'orders-a', data: 'one', id: 'x1' };
    const one = await call(first, 'publish', fields);
    const two = await call(second, 'publish', fields);
    expect([one.duplicate, two.duplicate]).toEqual([false, true]);
    expect(two.position).toBe(one.position);
  });

  it('of a bucket is put there', async () => {
    const { first, second } = await start();
    const told = await call(first, 'publish', { channel: 'settings-web', data: { dark: true } });
    expect(told).toMatchObject({ subject: '$KV.settings.app.web', stream: 'KV_settings' });
    const client = await second.stream('/events/settings-web');
    expect(await client.next('put')).toMatchObject({ data: '{"dark":true}', id: told.position });
  });

  it('of core NATS can be had kept only where some stream stores its subject', async () => {
    const { first, jsm } = await start();
    const fields = { channel: 'chat-1', data: 'x', persist: true };
    expect(await refusal(first, 'publish', fields)).toBe('NO_STREAM');
    await jsm.streams.add({ name: 'CHATS', subjects: ['chat.>'] });
    const told = await call(first, 'publish', fields);
    expect(told).toMatchObject({ accepted: true, stream: 'CHATS' });
    // Nobody reads this channel from that stream.
    expect(told).not.toHaveProperty('position');
  });

  it('that is binary goes out as the bytes that it stands for', async () => {
    const { first, publisher } = await start();
    const subscription = publisher.connection.subscribe('chat.1');
    await publisher.connection.flush();
    await call(first, 'publish', { channel: 'chat-1', data: 'AP8=', binary: true });
    for await (const { data } of subscription) {
      expect([...data]).toEqual([0, 255]);
      break;
    }
  });
});

describe('a message for a user', () => {
  it('goes to the channel of the route that is theirs alone', async () => {
    const { first, second } = await start();
    const client = await second.stream('/events/user-42', bearer(await signed()));
    const told = await call(first, 'publish', { user: '42', data: 'x', event: 'note' });
    expect(told).toMatchObject({ channel: 'user-42', subject: 'notify.42.api' });
    expect((await client.next('note')).data).toBe('x');
  });
});

describe('a message for a subject', () => {
  it('goes to the channel that the subject feeds', async () => {
    const { first } = await start();
    const client = await first.stream('/events/orders-a');
    const told = await call(first, 'publish', { subject: 'orders.a.paid', data: 'x' });
    expect(told).toMatchObject({ channel: 'orders-a', subject: 'orders.a.paid' });
    expect((await client.next('message')).data).toBe('x');
  });

  it('that no route takes is refused, and so are wildcards and what is not for messages', async () => {
    const config = { channels: { all: { channel: '{a}-x', subject: 'data.{a}.>', access: 'public' } } };
    const { first } = await startPair(config);
    const codeOf = (subject: string) => refusal(first, 'publish', { subject, data: '' });
    expect(await codeOf('data.a')).toBe('NOT_PERMITTED');
    expect(await codeOf('data.a.*')).toBe('CONTROL_INVALID');
    expect(await codeOf('data.a.>')).toBe('CONTROL_INVALID');
    expect(await codeOf('data.a b.c')).toBe('CONTROL_INVALID');
    expect(await codeOf('$JS.API.STREAM.DELETE.X')).toBe('NOT_PERMITTED');
    expect(await codeOf('_INBOX.x')).toBe('NOT_PERMITTED');
  });
});

describe('a message is refused', () => {
  it('where no channel is meant, or too much is', async () => {
    const { first } = await start();
    const codeOf = (fields: Record<string, unknown>) => refusal(first, 'publish', fields);
    expect(await codeOf({ channel: 'nowhere', data: '' })).toBe('CHANNEL_NOT_FOUND');
    expect(await codeOf({ channel: 'chat-1', user: '1', data: '' })).toBe('CONTROL_INVALID');
    expect(await codeOf({ data: '' })).toBe('CONTROL_INVALID');
    expect(await codeOf({ channel: 'chat-1' })).toBe('CONTROL_INVALID');
    expect(await codeOf({ channel: 'chat-1', data: '', more: 1 })).toBe('CONTROL_INVALID');
    for (const event of ['a\nb', 'a\rb', 'a\0b', 'sidestream.close', '', ' a'])
      expect(await codeOf({ channel: 'chat-1', data: '', event })).toBe('CONTROL_INVALID');
    expect(await codeOf({ channel: 'chat-1', data: 'AP8', binary: true })).toBe('CONTROL_INVALID');
    expect(await codeOf({ broadcast: true, data: '', persist: true })).toBe('NO_STREAM');
  });

  it('above limits.event, and above what NATS or the stream takes', async () => {
    const { first, jsm } = await start();
    const data = 'x'.repeat(4097);
    expect(await refusal(first, 'publish', { channel: 'chat-1', data })).toBe('MESSAGE_TOO_LARGE');
    await jsm.streams.update('ORDERS', { max_msg_size: 100 });
    const large = { channel: 'orders-a', data: 'x'.repeat(200) };
    expect(await refusal(first, 'publish', large)).toBe('MESSAGE_TOO_LARGE');
    const nats = await startNats({ config: 'max_payload: 1024' });
    const small = await startBridge({ nats });
    const fields = { channel: 'topic.a', data: 'x'.repeat(1020) };
    expect(await call(small, 'publish', fields)).toMatchObject({ accepted: true });
    expect(await refusal(small, 'publish', { ...fields, event: 'e' })).toBe('MESSAGE_TOO_LARGE');
    // To the byte: `NATS/1.0`, `Sse-Event: e`, a blank line.
    const exact = { channel: 'topic.a', data: 'x'.repeat(1024 - 26), event: 'e' };
    expect(await call(small, 'publish', exact)).toMatchObject({ accepted: true });
    const over = { ...exact, data: `${exact.data}x` };
    expect(await refusal(small, 'publish', over)).toBe('MESSAGE_TOO_LARGE');
  });

  it('where NATS does not permit its subject to Sidestream, on a core route as on a stream', async () => {
    const permissions = 'publish: { deny: ["chat.secret", "orders.secret.>"] }';
    const config = `authorization { users: [
      { user: bridge, password: p, permissions: { ${permissions} } }, { user: other, password: p } ] }`;
    const nats = await startNats({ jetStream: true, config });
    const bridge = await startBridge({
      nats,
      config: { ...CONFIG, nats: { auth: { user: 'bridge', password: 'p' } } },
    });
    const codeOf = (channel: string) => refusal(bridge, 'publish', { channel, data: 'x' });
    expect(await Promise.all([codeOf('chat-secret'), codeOf('orders-secret')])).toEqual([
      'NOT_PERMITTED',
      'NOT_PERMITTED',
    ]);
    expect(await call(bridge, 'publish', { channel: 'chat-open', data: 'x' })).toMatchObject({
      accepted: true,
    });
    await nats.reload(config.replace('"chat.secret", ', ''));
    await poll('it to be permitted', async () => {
      const outcome = await bridge.call('publish', { channel: 'chat-secret', data: 'x' });
      return outcome.ok;
    });
  });

  it('while NATS is away', async () => {
    const { first, nats } = await start();
    await nats.stop();
    await poll('the loss to be noticed', () => !first.metrics.natsConnected);
    expect(await refusal(first, 'publish', { channel: 'chat-1', data: 'x' })).toBe('CONTROL_UNAVAILABLE');
    await nats.start();
    await poll('NATS to be back', () => first.metrics.natsConnected);
    expect(await call(first, 'publish', { channel: 'chat-1', data: 'x' })).toMatchObject({ accepted: true });
  });

  it('of a stream that is not there', async () => {
    const nats = await startNats();
    const bridge = await startBridge({ nats, config: CONFIG });
    expect(await refusal(bridge, 'publish', { channel: 'orders-a', data: 'x' })).toBe('NO_STREAM');
  });
});

describe('a batch', () => {
  it('goes out in its order, each with a result of its own', async () => {
    const { first, second } = await start();
    const client = await second.stream('/events/orders-a');
    const messages = Array.from({ length: 500 }, (_, n) => ({ channel: 'orders-a', data: `${n}` }));
    const spoilt: unknown[] = [...messages];
    spoilt[7] = { channel: 'orders-a', data: 'x', event: 'a\nb' };
    spoilt[8] = 'nothing';
    spoilt[9] = { channel: 'nowhere', data: 'x' };
    const answer = await call(first, 'publishBatch', { messages: spoilt });
    expect(answer).toMatchObject({ accepted: 497, refused: 3 });
    const results = answer.results as { position?: string; error?: { code: string } }[];
    expect(results.slice(7, 10).map(({ error }) => error?.code)).toEqual([
      'CONTROL_INVALID',
      'CONTROL_INVALID',
      'CHANNEL_NOT_FOUND',
    ]);
    const received = await client.take(497);
    expect(received.map(({ data }) => data)).toEqual(
      messages.filter((_, n) => n < 7 || n > 9).map(({ data }) => data),
    );
    expect(received.map(({ id }) => id)).toEqual(results.flatMap(({ position }) => position ?? []));
  });

  it('has no more than a thousand', async () => {
    const { first } = await start();
    const messages = Array.from({ length: 1001 }, () => ({ channel: 'chat-1', data: '' }));
    expect(await refusal(first, 'publishBatch', { messages })).toBe('CONTROL_INVALID');
    expect(await refusal(first, 'publishBatch', { messages: [] })).toBe('CONTROL_INVALID');
  });

  it('of core NATS is refused message by message where NATS refuses', async () => {
    const config = `authorization { users: [
      { user: bridge, password: p, permissions: { publish: { deny: ["topics.b"] } } } ] }`;
    const nats = await startNats({ config });
    const bridge = await startBridge({ nats, config: { nats: { auth: { user: 'bridge', password: 'p' } } } });
    const messages = ['a', 'b', 'c', 'b'].map((name) => ({ channel: `topic.${name}`, data: 'x' }));
    const { results } = await call(bridge, 'publishBatch', { messages });
    expect((results as { error?: { code: string } }[]).map(({ error }) => error?.code)).toEqual([
      undefined,
      'NOT_PERMITTED',
      undefined,
      'NOT_PERMITTED',
    ]);
  });
});

describe('what was published', () => {
  it('is counted by what became of it', async () => {
    const { first } = await start();
    await call(first, 'publish', { channel: 'chat-1', data: '' });
    await refusal(first, 'publish', { channel: 'nowhere', data: '' });
    await call(first, 'publishBatch', { messages: [{ channel: 'chat-1', data: '' }] });
    const name = 'sidestream_control_messages_total';
    expect(await first.sample(`${name}{result="accepted"}`)).toBe(2);
    expect(await first.sample(`${name}{result="CHANNEL_NOT_FOUND"}`)).toBe(1);
  });

  it('can be asked for as a NATS service, by any client', async () => {
    const { nats, second } = await start();
    await nats.subscribed('sidestream.api.publish', 2);
    const { connection } = await startPublisher(nats);
    const client = await second.stream('/events/chat-1');
    const payload = JSON.stringify({ channel: 'chat-1', data: 'hello' });
    const answer = await connection.request('sidestream.api.publish', payload);
    expect(answer.json()).toMatchObject({ accepted: true, channel: 'chat-1' });
    expect((await client.next('message')).data).toBe('hello');
  });
});
