import { describe, expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import type { ReceivedEvent } from '../support/event-stream.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';

interface Published {
  readonly route?: Readonly<Record<string, unknown>>;
  readonly payload?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Publishes one message on `market.ACME.nyse` and gives what the channel `prices.ACME` sends for it. */
async function published({ route = {}, payload = 'x', headers = {} }: Published): Promise<ReceivedEvent> {
  const nats = await startNats();
  const prices = { channel: 'prices.{symbol}', subject: 'market.{symbol}.*', access: 'public', ...route };
  const bridge = await startBridge({ nats, config: { channels: { prices } } });
  const publisher = await startPublisher(nats);
  const stream = await bridge.stream('/events/prices.ACME');
  await nats.subscribed('market.ACME.*');
  await publisher.publish('market.ACME.nyse', payload, headers);
  return stream.next();
}

describe('the event name', () => {
  test.each([
    ['is message where nobody names it', {}, {}, 'message'],
    ['is the Sse-Event header', {}, { 'Sse-Event': 'tick' }, 'tick'],
    ['is the route’s event', { event: 'price' }, {}, 'price'],
    ['is the Sse-Event header rather than the route’s', { event: 'price' }, { 'Sse-Event': 'tick' }, 'tick'],
    ['may be made of {channel}', { event: 'on {channel}' }, {}, 'on prices.ACME'],
    ['may be made of {subject}', { event: '{subject}' }, {}, 'market.ACME.nyse'],
    ['may be made of a parameter', { event: '{symbol}-tick' }, {}, 'ACME-tick'],
    ['may be made of a header', { event: '{header.X-Kind}!' }, { 'X-Kind': 'trade' }, 'trade!'],
    [
      'is message where the header that it is made of is missing',
      { event: '{header.X-Kind}' },
      {},
      'message',
    ],
    ['may be any text', {}, { 'Sse-Event': 'Größe: 1 €' }, 'Größe: 1 €'],
  ])('%s', async (_, route, headers, expected) => {
    expect((await published({ route, headers })).event).toBe(expected);
  });
});

describe('the data', () => {
  test('of many lines arrives as many lines', async () => {
    const { data } = await published({ payload: 'one\n\n two\r\nthree\n' });
    expect(data).toBe('one\n\n two\nthree\n');
  });

  test('that looks like fields of the stream stays data', async () => {
    const payload = 'id: 1\nevent: forged\nretry: 1\n:comment\ndata: x';
    const event = await published({ payload });
    expect(event).toMatchObject({ event: 'message', data: payload });
    expect(event.retry).toBeUndefined();
  });

  test('of a binary route arrives as base64', async () => {
    const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const { data } = await published({ route: { binary: true }, payload });
    expect(Buffer.from(data, 'base64')).toEqual(Buffer.from(payload));
  });
});

describe('the envelope', () => {
  test.each([
    [
      'JSON as it is',
      { envelope: true },
      '{"price":12345678901234567890.10}',
      '{"price":12345678901234567890.10}',
    ],
    ['text as a string', { envelope: true }, 'not "JSON"\n', '"not \\"JSON\\"\\n"'],
    ['nothing as an empty string', { envelope: true }, '', '""'],
    ['bytes as base64', { envelope: true, binary: true }, new Uint8Array([0, 255]), '"AP8="'],
  ])('holds %s', async (_, route, payload, expected) => {
    const { data } = await published({ route, payload });
    expect(data).toContain(`"data":${expected}}`);
  });

  test('tells channel, subject, event and time, so that one connection of many channels can tell them apart', async () => {
    const { event, data } = await published({ route: { envelope: true, event: 'price' }, payload: '1' });
    expect(event).toBe('price');
    const { time, ...rest } = JSON.parse(data);
    expect(rest).toEqual({ channel: 'prices.ACME', subject: 'market.ACME.nyse', event: 'price', data: 1 });
    expect(new Date(time).toISOString()).toBe(time);
  });
});
