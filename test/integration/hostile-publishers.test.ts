import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { publishRaw, startPublisher } from '../support/publisher.ts';
import { ATTENDED, attend } from './attending.ts';
import { ROUTES } from './inboxed.ts';
import { answerTo, bearer } from './protected.ts';

const MALFORMED = 'A: b\nc';
const THROWN = 'NATS client threw';

/** Of a message behind it, over the same connection. */
async function isServed(nats: NatsServer, bridge: Awaited<ReturnType<typeof startBridge>>): Promise<void> {
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  await publishRaw(nats, 'topics.a', 'Sse-Event: after', 'served');
  expect((await stream.next('after')).data).toBe('served');
  expect(bridge.logs.some(({ message }) => message.includes('lost the connection to NATS'))).toBe(false);
}

describe('a message that the NATS client itself cannot take in keeps nobody from being served', () => {
  it('as the answer to a callout', async () => {
    const nats = await startNats();
    const channels = {
      topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public' },
      rooms: { channel: 'room-{id}', subject: 'room.{id}', access: { callout: 'may.listen' } },
    };
    const config = { channels, auth: { callout: { subject: 'auth.token', timeout: '1s' } } };
    const bridge = await startBridge({ nats, config });
    const { connection } = await startPublisher(nats);
    connection.subscribe('auth.token', {
      callback: (_, { reply = '' }) => void publishRaw(nats, reply, MALFORMED, ''),
    });
    await connection.flush();
    expect(await answerTo(bridge, '/events/room-1', bearer('a'))).toMatch(/^503 /);
    expect(bridge.logs.some(({ message }) => message.includes(THROWN))).toBe(true);
    await isServed(nats, bridge);
  });

  it('as what a stream’s consumer is told by a stranger', async () => {
    const nats = await startNats({ jetStream: true });
    const publisher = await startPublisher(nats);
    const jsm = await jetstreamManager(publisher.connection);
    await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.*'] });
    const channels = {
      topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public' },
      orders: { channel: 'orders-{id}', subject: 'orders.{id}', stream: 'ORDERS', access: 'public' },
    };
    const bridge = await startBridge({ nats, config: { channels } });
    const inbox = await poll('the consumer', async () => {
      const [consumer] = await jsm.consumers.list('ORDERS').next();
      return consumer?.config.deliver_subject;
    });
    await publishRaw(nats, inbox, MALFORMED, '');
    await publisher.publish(inbox, 'no headers');
    await isServed(nats, bridge);
    const orders = await bridge.stream('/events/orders-1');
    await publisher.publish('orders.1', 'paid');
    expect((await orders.next('message')).data).toBe('paid');
  });
});

it('a message of more header lines than anybody needs counts as malformed, and is not read', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats });
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  const many = Array.from({ length: 100_000 }, (_, index) => `${index.toString(36)}:`);
  await publishRaw(nats, 'topics.a', ['Sse-Event: named', ...many].join('\r\n'), 'many');
  await publishRaw(nats, 'topics.a', ['Sse-Event: named', ...many.slice(0, 100)].join('\r\n'), 'some');
  expect(await stream.next()).toMatchObject({ event: 'message', data: 'many' });
  expect(await stream.next()).toMatchObject({ event: 'named', data: 'some' });
});

it('whatever the bridge subscribes to, what is malformed there keeps nobody from being served', async () => {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await jsm.streams.add({ name: 'NOTIFY', subjects: ['notify.>'] });
  const topic = { channel: 'topic.{name}', subject: 'topics.{name}', access: 'public' };
  const made = { ...topic, channel: 'made.{name}', dynamic: true };
  const channels = { ...ATTENDED.channels, ...ROUTES, topic, made };
  const bridge = await startBridge({ nats, config: { ...ATTENDED, channels } });
  const hall = await attend(bridge, 'hall-1', 'one');
  await attend(bridge, 'user-42', '42');
  await nats.subscribed('sidestream.api.publish');
  const subjects = new Set(
    (await nats.subscriptions()).filter((subject) => !/^(\$SYS|\$JS|_R_)/.test(subject)),
  );
  expect([...subjects].filter((subject) => subject.startsWith('_INBOX')).length).toBeGreaterThan(4);
  const places = [...subjects].map((subject) => subject.replaceAll(/[*>]/g, 'x'));
  for (const place of [...places, '$KV.sidestream_revocations.a', '$KV.sidestream_inbox.a'])
    for (const payload of ['', '{}']) {
      await publisher.publish(place, payload);
      await publishRaw(nats, place, MALFORMED, payload);
      await publishRaw(nats, place, 'Nats-Marker-Reason: MaxAge\r\nKV-Operation: a\rb', payload);
    }
  await isServed(nats, bridge);
  expect(bridge.logs.filter(({ message }) => message.includes('answers pings'))).toEqual([]);
  const answer = await publisher.connection.request('sidestream.api.stats', '', { timeout: 5000 });
  expect(answer.json()).toHaveProperty('instances');
  await publisher.publish('hall.1', 'still here');
  await hall.until(({ data }) => data === 'still here');
});
