import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { call } from '../integration/controlled.ts';
import { OPS_TOKEN, startPair } from '../integration/pair.ts';
import { bearer, signed } from '../integration/protected.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { PARENT, PARENT_FIELDS } from './sdk.ts';

const CHANNELS = {
  news: { channel: 'news', subject: 'news', access: 'public' },
  hidden: { channel: 'hidden', subject: 'hidden', redact: '/secret', access: 'public' },
  orders: { channel: 'orders.{x}', subject: 'orders.{x}', stream: 'ORDERS', redact: '/a', access: 'public' },
};
const TRACE = { traceparent: PARENT };

async function setUp() {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  const bridge = await startBridge({ nats, config: { channels: CHANNELS, limits: { event: '1KiB' } } });
  return { bridge, publisher, js: jetstream(publisher.connection) };
}

describe('a line about a message that was dropped', () => {
  it.each([
    ['news', 'x'.repeat(1025), /over limits.event/],
    ['hidden', 'no JSON', /cannot be redacted/],
  ])('on the core route %s has its trace', async (subject, payload, line) => {
    const { bridge, publisher } = await setUp();
    await bridge.stream(`/events/${subject}`);
    await publisher.publish(subject, payload, TRACE);
    expect(await bridge.logged(line)).toMatchObject({ route: subject, ...PARENT_FIELDS });
  });

  it.each([
    ['too large', 'x'.repeat(1025), /over limits.event/],
    ['no JSON', 'no JSON', /cannot be redacted/],
  ])('of a stream, %s, has its trace', async (_, payload, line) => {
    const { bridge, js } = await setUp();
    const fields = headers();
    fields.set('traceparent', PARENT);
    await js.publish('orders.a', payload, { headers: fields });
    expect(await bridge.logged(line)).toMatchObject({ route: 'orders', ...PARENT_FIELDS });
  });

  it('has none where the message had none, or one that is malformed', async () => {
    const { bridge, publisher } = await setUp();
    await bridge.stream('/events/news');
    await publisher.publish('news', 'x'.repeat(1025), { traceparent: `${PARENT}-evil"\\` });
    expect(await bridge.logged(/over limits.event/)).not.toHaveProperty('trace_id');
  });
});

describe('a line about a request', () => {
  it('has the trace that the request brought: opened, refused, and beside streams', async () => {
    const { bridge } = await setUp();
    await bridge.stream('/events/news', { headers: TRACE });
    expect(await bridge.logged('stream opened')).toMatchObject(PARENT_FIELDS);
    for (const target of ['/events/nowhere', '/events/news/presence']) {
      const before = bridge.logs.length;
      await bridge.request(target, { headers: { ...TRACE, tracestate: 'a=1' } });
      const line = await poll('the refusal', () =>
        bridge.logs.slice(before).find(({ message }) => message === 'request refused'),
      );
      expect(line).toMatchObject(PARENT_FIELDS);
      expect(line).not.toHaveProperty('tracestate');
    }
  });

  it.each([
    ['none', undefined],
    ['one in capitals', PARENT.toUpperCase()],
    ['one that is none', 'x'],
  ])('has none where it brought %s', async (_, traceparent) => {
    const { bridge } = await setUp();
    await bridge.stream('/events/news', { headers: { traceparent } });
    expect(await bridge.logged('stream opened')).not.toHaveProperty('trace_id');
  });
});

describe('the audit line of a call', () => {
  const audited = (
    bridge: { logs: readonly { message: string; operation?: unknown }[] },
    operation: string,
  ) =>
    poll(`the line of ${operation}`, () =>
      bridge.logs.find((line) => line.message === 'control' && line.operation === operation),
    );

  it('over HTTP has its trace, in every instance that has a part in it', async () => {
    const { bridges } = await startPair();
    const [first, second] = bridges;
    const client = await second.stream('/events/chat-lobby', bearer(await signed({ sub: '42' })));
    const body = JSON.stringify({ channel: 'chat-lobby' });
    const auth = { Authorization: `Bearer ${OPS_TOKEN}`, 'Content-Type': 'application/json' };
    const answer = await fetch(`${first.opsUrl}/api/disconnect`, {
      method: 'POST',
      headers: { ...auth, ...TRACE },
      body,
    });
    expect(answer.status).toBe(200);
    await client.next('sidestream.close');
    expect(await audited(first, 'disconnect')).toMatchObject({ via: 'http', ...PARENT_FIELDS });
    expect(await audited(second, 'disconnect')).toMatchObject({
      via: 'http',
      level: 'debug',
      ...PARENT_FIELDS,
    });
  });

  it('has none where the call had none', async () => {
    const { bridge } = await setUp();
    await call(bridge, 'publish', { channel: 'news', data: 'x' });
    expect(await audited(bridge, 'publish')).not.toHaveProperty('trace_id');
  });
});

describe('what is passed on', () => {
  it('to a message that the control plane publishes is the trace of the call, where no spans are made', async () => {
    const { bridges, nats } = await startPair();
    const publisher = await startPublisher(nats);
    const messages = publisher.connection.subscribe('chat.lobby', { max: 2 });
    await publisher.connection.flush();
    const auth = { Authorization: `Bearer ${OPS_TOKEN}`, 'Content-Type': 'application/json' };
    const publish = (headers: Record<string, string>) =>
      fetch(`${bridges[0].opsUrl}/api/publish`, {
        method: 'POST',
        headers: { ...auth, ...headers },
        body: JSON.stringify({ channel: 'chat-lobby', data: 'x' }),
      });
    await publish({ ...TRACE, tracestate: 'a=1' });
    await publish({ traceparent: 'malformed' });
    const seen: unknown[] = [];
    for await (const { headers: fields } of messages) seen.push(Object.fromEntries(fields ?? []));
    expect(seen).toEqual([{ traceparent: [PARENT], tracestate: ['a=1'] }, {}]);
  });
});
