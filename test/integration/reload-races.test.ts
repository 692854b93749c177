import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { Msg } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { secretToken } from '../auth/tokens.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { AUTH, answerTo, bearer, now, SECRET, signed } from './protected.ts';

const CHAT = { channel: 'chat', subject: 'chat', access: 'public' };
const NEWS = { channel: 'news.{id}', subject: 'news.{id}', access: 'public' };
const OTHER = 'another secret of more than thirty-two bytes';

const data = (event: { readonly data: string }) => JSON.parse(event.data);

test('who was asked about while the route changed once more is on the feed of the last one', async () => {
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  const asked: Msg[] = [];
  publisher.connection.subscribe('may.read', { callback: (_, message) => void asked.push(message) });
  const config = { auth: AUTH, channels: { chat: CHAT, news: NEWS } };
  const bridge = await startBridge({ nats, config });
  const reader = await bridge.stream('/events?channels=chat,news.a', bearer(await signed()));
  const chat = (more: object) => ({
    ...config,
    channels: { ...config.channels, chat: { ...CHAT, ...more } },
  });
  await bridge.reload(chat({ subject: 'second', access: { callout: 'may.read' } }));
  await poll('the question', () => asked.length === 1);
  await bridge.reload(chat({ subject: 'third' }));
  for (const message of asked) message.respond('{"allow":true}');
  await reader.next('sidestream.subscribed');
  await reader.next('sidestream.gap');
  await publisher.publish('second', 'of a route that is gone');
  await publisher.publish('third', 'of the route that there is');
  expect((await reader.next()).data).toBe('of the route that there is');
  expect(await nats.subscriptionsTo('second')).toBe(0);
});

test('a token that was known by the issuer of all others is checked anew where its own issuer is configured', async () => {
  const all = { algorithms: ['HS256'], keys: [{ secret: SECRET }] };
  const mine = { channel: 'user-{id}', subject: 'users.{id}', access: { where: { id: '{claims.sub}' } } };
  const start = { channels: { mine }, auth: { jwt: [all] } };
  const bridge = await startBridge({ nats: await startNats(), config: start });
  const iss = 'https://id.example.com/';
  const claims = { sub: '42', iss, iat: now() - 60, exp: now() + 600 };
  const target = '/events/user-42?errors=http';
  const token = await signed(claims);
  expect(await answerTo(bridge, target, bearer(token))).toBe('200');
  const own = { issuer: iss, algorithms: ['HS256'], keys: [{ secret: OTHER }] };
  await bridge.reload({ ...start, auth: { jwt: [all, own] } });
  expect(await answerTo(bridge, target, bearer(token))).toBe('401 TOKEN_INVALID');
  expect(await answerTo(bridge, target, bearer(await secretToken(OTHER, 'HS256', { claims })))).toBe('200');
  expect(await answerTo(bridge, target, bearer(await signed()))).toBe('200');
});

test('an answer to a question that the config of now does not ask lets nobody in', async () => {
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  const asked: Msg[] = [];
  publisher.connection.subscribe('auth.old', { callback: (_, message) => void asked.push(message) });
  publisher.connection.subscribe('auth.new', {
    callback: (_, message) => void message.respond('{"refused":"no"}'),
  });
  const by = (subject: string) => ({
    channels: { chat: { ...CHAT, access: 'authenticated' } },
    auth: { callout: { subject } },
  });
  const bridge = await startBridge({ nats, config: by('auth.old') });
  const target = '/events/chat?errors=http';
  const answer = answerTo(bridge, target, bearer('opaque'));
  await poll('the question', () => asked.length === 1);
  await bridge.reload(by('auth.new'));
  asked[0]?.respond(JSON.stringify({ claims: { sub: '42', exp: now() + 600 } }));
  expect(await answer).toBe('503 AUTH_UNAVAILABLE');
  expect(await answerTo(bridge, target, bearer('opaque'))).toMatch(/^401 /);
});

test('a name that tells another parameter by another template is judged anew, by the same words', async () => {
  const nats = await startNats();
  const access = { where: { user: '{claims.sub}' } };
  const pairs = (first: string, second: string) => ({
    auth: AUTH,
    channels: {
      chat: CHAT,
      pairs: { channel: `{${first}}.{${second}}`, subject: `pairs.{${first}}.{${second}}`, access },
    },
  });
  const bridge = await startBridge({ nats, config: pairs('user', 'team') });
  const reader = await bridge.stream('/events?channels=42.red,chat', bearer(await signed({ sub: '42' })));
  await bridge.reload(pairs('team', 'user'));
  expect(data(await reader.next('sidestream.unsubscribed'))).toEqual({
    channels: ['42.red'],
    reason: 'forbidden',
  });
});

test('who is on a channel of a route that becomes dynamic stays only if somebody made it, however late that is known', async () => {
  const nats = await startNats({ jetStream: true });
  const config = { control: { api: false }, channels: { chat: CHAT, news: NEWS } };
  const bridge = await startBridge({ nats, config });
  const reader = await bridge.stream('/events?channels=chat,news.a');
  await bridge.reload({ ...config, channels: { news: NEWS, chat: { ...CHAT, dynamic: true } } });
  expect(data(await reader.next('sidestream.unsubscribed'))).toEqual({
    channels: ['chat'],
    reason: 'removed',
  });
});

test('what is left of a stream that no route reads any more counts for nobody', async () => {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  await (await jetstreamManager(publisher.connection)).streams.add({
    name: 'ORDERS',
    subjects: ['orders.*'],
  });
  const js = jetstream(publisher.connection);
  const orders = { channel: 'orders.{id}', subject: 'orders.{id}', stream: 'ORDERS', access: 'public' };
  const bridge = await startBridge({ nats, config: { channels: { chat: CHAT, orders } } });
  const reader = await bridge.stream('/events?channels=orders.1,chat');
  await js.publish('orders.1', 'one');
  expect((await reader.next()).data).toBe('one');
  await bridge.reload({ channels: { chat: CHAT } });
  await reader.next('sidestream.unsubscribed');
  const { seq } = await js.publish('orders.2', 'two');
  await poll(
    'the message',
    async () => ((await bridge.sample('sidestream_stream_offset{stream="ORDERS"}')) ?? seq) >= seq,
  );
  expect([...bridge.metrics.routes.keys()]).toEqual(['chat']);
});

test('another filter goes on where the one before was, however long ago its newest message came', async () => {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await jsm.streams.add({ name: 'ALL', subjects: ['all.>'] });
  const js = jetstream(publisher.connection);
  const orders = { channel: 'orders.{id}', subject: 'all.orders.{id}', stream: 'ALL', access: 'public' };
  const bills = { ...orders, channel: 'bills.{id}', subject: 'all.bills.{id}' };
  const bridge = await startBridge({ nats, config: { channels: { orders } } });
  const reader = await bridge.stream('/events/orders.1');
  await js.publish('all.orders.1', 'one');
  expect((await reader.next()).data).toBe('one');
  for (let n = 2; n <= 5; n += 1) await js.publish('all.bills.1', `bill ${n}`);
  const offset = () => bridge.sample('sidestream_stream_offset{stream="ALL"}');
  await poll('the others to be passed by', async () => (await offset()) === 5);
  await bridge.reload({ channels: { orders, bills } });
  await js.publish('all.orders.1', 'six');
  expect((await reader.next()).data).toBe('six');
  // The one before it began at the end, and may still be there.
  const consumers = await jsm.consumers.list('ALL').next();
  expect(consumers.flatMap(({ config }) => config.opt_start_seq ?? [])).toEqual([6]);
});

test('what was asked of a channel by a route that is gone meanwhile is not told', async () => {
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  const asked: Msg[] = [];
  publisher.connection.subscribe('may.read', { callback: (_, message) => void asked.push(message) });
  const room = { ...CHAT, presence: true, access: { callout: 'may.read' } };
  const config = { auth: AUTH, channels: { chat: room } };
  const bridge = await startBridge({ nats, config });
  const url = `http://127.0.0.1:${bridge.httpPort}/events/chat/presence`;
  const answer = fetch(url, bearer(await signed()));
  await poll('the question', () => asked.length === 1);
  await bridge.reload({ ...config, channels: { chat: { ...room, access: { claim: 'none' } } } });
  asked[0]?.respond('{"allow":true}');
  expect((await answer).status).toBe(503);
  expect((await fetch(url, bearer(await signed()))).status).toBe(403);
});

test('a key that is withdrawn while a backend is asked about the channel opens no stream', async () => {
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  const asked: Msg[] = [];
  publisher.connection.subscribe('may.read', { callback: (_, message) => void asked.push(message) });
  const channels = { chat: { ...CHAT, access: { callout: 'may.read' } } };
  const bridge = await startBridge({ nats, config: { auth: AUTH, channels } });
  const target = '/events/chat?errors=http';
  const answer = answerTo(bridge, target, bearer(await signed()));
  await poll('the question', () => asked.length === 1);
  await bridge.reload({ auth: { ...AUTH, jwt: { ...AUTH.jwt, keys: [{ secret: OTHER }] } }, channels });
  asked[0]?.respond('{"allow":true}');
  expect(await answer).toBe('503 AUTH_UNAVAILABLE');
  expect(await answerTo(bridge, target, bearer(await signed()))).toBe('401 TOKEN_INVALID');
});
