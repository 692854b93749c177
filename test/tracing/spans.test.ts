import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { describe, expect, it } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { LoadedSdk, PARENT, PARENT_FIELDS, SPAN_ID, TRACE_ID } from './sdk.ts';

const CHANNELS = {
  news: { channel: 'news.{x}', subject: 'news.{x}', access: 'public' },
  echo: { channel: 'echo.{x}', subject: 'news.{x}', access: 'public' },
  orders: { channel: 'orders.{x}', subject: 'orders.{x}.>', stream: 'ORDERS', access: 'public' },
  unkept: {
    channel: 'unkept.{x}',
    subject: 'orders.unkept.{x}',
    stream: 'OTHERS',
    history: { size: 0 },
    access: 'public',
  },
  hidden: { channel: 'hidden', subject: 'hidden', redact: '/secret', access: 'public' },
};
const NO_SAMPLES = new ParentBasedSampler({ root: new AlwaysOffSampler() });

async function setUp(options: ConstructorParameters<typeof LoadedSdk>[0] = {}) {
  const sdk = new LoadedSdk(options);
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.a.>'] });
  await jsm.streams.add({ name: 'OTHERS', subjects: ['orders.unkept.>'] });
  const start = () => startBridge({ nats, config: { channels: CHANNELS, limits: { event: '1KiB' } } });
  return { sdk, nats, publisher, js: jetstream(publisher.connection), start };
}

function traceHeader() {
  const made = headers();
  made.set('traceparent', PARENT);
  return made;
}

const tell = ({ kind, parentSpanContext, links, spanContext, ...span }: ReadableSpan) => ({
  name: span.name,
  kind,
  parent: parentSpanContext?.spanId,
  links: links.map(({ context }) => context.spanId),
  attributes: span.attributes,
});

describe('with an SDK, a message', () => {
  it('has one span for all its channels and readers, below the one that it names', async () => {
    const { sdk, publisher, start } = await setUp();
    const bridge = await start();
    const streams = [
      await bridge.stream('/events/news.a'),
      await bridge.stream('/events/news.a'),
      await bridge.stream('/events/echo.a'),
    ];
    await publisher.publish('news.a', 'hello', {
      traceparent: PARENT,
      tracestate: 'v=1',
      'Nats-Msg-Id': 'i1',
    });
    for (const stream of streams) await stream.next();
    const [span, ...others] = await sdk.ended(1);
    expect(others).toEqual([]);
    expect(span?.spanContext()).toMatchObject({ traceId: TRACE_ID, traceFlags: 1 });
    expect(span?.spanContext().traceState?.serialize()).toBe('v=1');
    expect(span?.parentSpanContext?.isRemote).toBe(true);
    expect(span && tell(span)).toEqual({
      name: 'process news.{x}',
      kind: SpanKind.CONSUMER,
      parent: SPAN_ID,
      links: [SPAN_ID],
      attributes: {
        'messaging.system': 'nats',
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': 'news.a',
        'messaging.destination.template': 'news.{x}',
        'messaging.message.body.size': 5,
        'messaging.message.id': 'i1',
        'sidestream.routes': ['news', 'echo'],
        'sidestream.channels': ['news.a', 'echo.a'],
        'sidestream.subscriptions': 3,
      },
    });
  });

  it('of a stream is known by its sequence, though nobody reads it, and what was there before has no span', async () => {
    const { sdk, js, start } = await setUp();
    await js.publish('orders.a.old', 'before');
    const bridge = await start();
    await bridge.stream('/events/unkept.a');
    await js.publish('orders.unkept.nobody', 'neither read nor kept');
    await js.publish('orders.a.new', 'x', { msgID: 'm2' });
    const [span] = await sdk.ended(1);
    expect(span?.attributes).toMatchObject({
      'messaging.destination.name': 'orders.a.new',
      'messaging.destination.template': 'orders.{x}.>',
      'messaging.message.id': 'm2',
      'sidestream.stream': 'ORDERS',
      'sidestream.offset': 2,
      'sidestream.subscriptions': 0,
    });
    expect(span?.parentSpanContext).toBeUndefined();
    await js.publish('orders.unkept.a', 'read, though not kept');
    const spans = await sdk.ended(2);
    expect(spans.map(({ attributes }) => attributes['sidestream.channels'])).toEqual([
      ['orders.a'],
      ['unkept.a'],
    ]);
    await bridge.stream('/events/orders.a', { headers: { 'Last-Event-ID': 'abcdefghij.0' } });
    expect(sdk.spans).toHaveLength(2);
  });

  it('that a channel does not get says so in its span and, by that, in the log', async () => {
    const { sdk, publisher, start } = await setUp();
    const bridge = await start();
    await bridge.stream('/events?channels=news.a,hidden');
    await publisher.publish('news.a', 'x'.repeat(1025), { traceparent: PARENT });
    await publisher.publish('hidden', 'no JSON');
    for (let n = 0; n < 2; n += 1) await publisher.publish('news.a', 'x', { 'Nats-Msg-Id': 'twice' });
    const [large, hidden, good, twice] = await sdk.ended(4);
    const failed = (reason: string) => ({
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': reason, 'sidestream.channels': [] },
    });
    expect(large).toMatchObject(failed('too-large'));
    expect(hidden).toMatchObject(failed('unredactable'));
    expect(good?.events).toEqual([]);
    expect(twice?.status.code).toBe(SpanStatusCode.UNSET);
    expect(twice?.events).toMatchObject([
      { name: 'dropped', attributes: { 'sidestream.route': 'news', 'sidestream.reason': 'duplicate' } },
    ]);
    const idOf = (span: ReadableSpan | undefined) => span?.spanContext().spanId;
    expect(await bridge.logged(/over limits.event/)).toMatchObject({
      ...PARENT_FIELDS,
      span_id: idOf(large),
    });
    expect(await bridge.logged(/cannot be redacted/)).toMatchObject({ span_id: idOf(hidden) });
  });

  it('is recorded by the word of the sampler, so by default where its publisher recorded it', async () => {
    const { sdk, publisher, start } = await setUp({ sampler: NO_SAMPLES });
    const bridge = await start();
    const stream = await bridge.stream('/events/news.a');
    await publisher.publish('news.a', 'without a trace');
    await publisher.publish('news.a', 'not recorded', { traceparent: `${PARENT.slice(0, -2)}00` });
    await publisher.publish('news.a', 'malformed', { traceparent: PARENT.toUpperCase() });
    await publisher.publish('news.a', 'recorded', { traceparent: PARENT });
    await stream.take(4);
    expect((await sdk.ended(1)).map(({ attributes }) => attributes['messaging.message.body.size'])).toEqual([
      8,
    ]);
  });

  it('that is not recorded is known in the log by what its publisher said', async () => {
    const { publisher, start } = await setUp({ sampler: NO_SAMPLES });
    const bridge = await start();
    await bridge.stream('/events/news.a');
    await publisher.publish('news.a', 'x'.repeat(1025), { traceparent: `${PARENT.slice(0, -2)}00` });
    const line = await bridge.logged(/over limits.event/);
    expect(line).toMatchObject({ ...PARENT_FIELDS, trace_flags: '00' });
  });

  it('arrives all the same where what is plugged into the SDK throws', async () => {
    let calls = 0;
    const fail = () => {
      calls += 1;
      throw new Error('broken');
    };
    const broken = {
      onStart: () => (calls < 2 ? fail() : undefined),
      onEnd: fail,
      forceFlush: async () => fail(),
      shutdown: async () => undefined,
    };
    const { publisher, start } = await setUp({ sampler: new AlwaysOnSampler(), processors: [broken] });
    const bridge = await start();
    const stream = await bridge.stream('/events/news.a');
    for (const text of ['1', '2', '3']) await publisher.publish('news.a', text);
    expect((await stream.take(3)).map(({ data }) => data)).toEqual(['1', '2', '3']);
    expect(await bridge.logged(/failed at a span/)).toMatchObject({ error: 'broken' });
    expect(calls).toBeGreaterThan(2);
  });
});

describe('a message that the control plane publishes', () => {
  it('has a span below that of the call, and the span of its delivery is below that', async () => {
    const { sdk, nats, publisher, start } = await setUp();
    const bridge = await start();
    const stream = await bridge.stream('/events/news.a');
    await nats.subscribed('sidestream.api.publish');
    await publisher.connection.request(
      'sidestream.api.publish',
      JSON.stringify({ channel: 'news.a', data: 'x', id: 'p1' }),
      { headers: traceHeader(), timeout: 5_000 },
    );
    await stream.next();
    const spans = await sdk.ended(2);
    const sent = spans.find(({ kind }) => kind === SpanKind.PRODUCER);
    const taken = spans.find(({ kind }) => kind === SpanKind.CONSUMER);
    expect(sent && tell(sent)).toMatchObject({
      name: 'publish news.{x}',
      parent: SPAN_ID,
      links: [],
      attributes: { 'messaging.operation.type': 'send', 'messaging.message.id': 'p1' },
    });
    expect(taken && tell(taken)).toMatchObject({ parent: sent?.spanContext().spanId });
    expect(taken?.spanContext().traceId).toBe(TRACE_ID);
  });

  it('says in its span why it was not taken', async () => {
    const { sdk, start } = await setUp();
    const bridge = await start();
    const outcome = await bridge.call('publish', { channel: 'orders.nowhere', data: 'x' });
    expect(outcome).toMatchObject({ ok: false, error: { code: 'NO_STREAM' } });
    expect(await sdk.ended(1)).toMatchObject([
      { status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': 'NO_STREAM' } },
    ]);
  });
});

it('without an SDK there is no span, and nobody says that there were', async () => {
  const nats = await startNats();
  const bridge = await startBridge({ nats, config: { channels: { news: CHANNELS.news } } });
  await poll('the bridge to listen', () => bridge.logs.some(({ message }) => message === 'listening'));
  expect(bridge.logs.filter(({ message }) => /OpenTelemetry/.test(message))).toEqual([]);
});
