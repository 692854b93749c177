import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { ORDERS, startJetStream, startSources } from '../support/stream-source.ts';

const stream = (warmMs = 0) => ({ kind: 'stream', stream: 'ORDERS', warmMs }) as const;

describe('a stream', () => {
  it('is delivered to the channels of its routes, in order, by one consumer', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const running = await startSources({
      nats,
      routes: {
        orders: ORDERS,
        eu: { channel: 'eu-{id}', subject: 'orders.eu.{id}', source: stream() },
        all: { channel: 'all', subject: 'orders.>', source: stream() },
      },
    });
    const [one, eu, all] = await Promise.all(
      ['orders.1', 'eu-1', 'all'].map((channel) => running.opened(channel)),
    );
    await jetStream.publish('orders.1', 'a');
    await jetStream.publish('orders.eu.1', 'b');
    await jetStream.publish('orders.2', 'c');
    expect(await all?.noted(3)).toEqual(['1 a', '2 b', '3 c']);
    expect([one?.taken, eu?.taken]).toEqual([['1 a'], ['2 b']]);
    expect(running.kept).toEqual(['orders.2 3 c']);
    expect((await jetStream.manager.streams.info('ORDERS')).state.consumer_count).toBe(1);
  });

  it('begins where memory is to be warmed from, and what was there before goes to memory alone', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    await jetStream.publish('orders.1', 'a', 'b');
    const running = await startSources({ nats, routes: { orders: { ...ORDERS, source: stream(60_000) } } });
    const one = await running.opened('orders.1');
    expect(running.kept).toEqual(['orders.1 1 a', 'orders.1 2 b']);
    await jetStream.publish('orders.1', 'c');
    expect(await one.noted(1)).toEqual(['3 c']);
    const { log } = running.source('orders.1');
    expect([log.floor, log.offset, log.epoch]).toEqual([0, 3, expect.stringMatching(/^[A-Za-z0-9]{6}$/)]);
  });

  it('is delivered from where it was caught up with: what memory is warmed with reaches nobody live', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const texts = Array.from({ length: 2_000 }, (_, i) => `${i}`);
    await jetStream.publish('orders.1', ...texts);
    const running = await startSources({ nats, routes: { orders: { ...ORDERS, source: stream(60_000) } } });
    const one = running.open('orders.1');
    await one.until('settled');
    await jetStream.publish('orders.1', 'x');
    expect(await one.noted(2)).toEqual(['settled', '2001 x']);
    expect(running.kept).toEqual(texts.map((text, i) => `orders.1 ${i + 1} ${text}`));
  });

  it('that has nothing in that time begins at its end', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    await jetStream.publish('orders.1', 'a', 'b');
    const running = await startSources({ nats });
    await running.opened('orders.1');
    expect([running.kept, running.source('orders.1').log.floor]).toEqual([[], 2]);
  });

  it('has the same epoch in every process, and another once it was made anew', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const epochs = [];
    for (const _ of [1, 2]) {
      const running = await startSources({ nats });
      await running.opened('orders.1');
      epochs.push(running.source('orders.1').log.epoch);
    }
    await jetStream.manager.streams.delete('ORDERS');
    await jetStream.add();
    const running = await startSources({ nats });
    await running.opened('orders.1');
    epochs.push(running.source('orders.1').log.epoch);
    expect([epochs[0] === epochs[1], epochs[0] === epochs[2]]).toEqual([true, false]);
  });

  it('moves the position on past what no route reads', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const running = await startSources({
      nats,
      routes: { eu: { channel: 'eu-{id}', subject: 'orders.eu.{id}', source: stream() } },
    });
    const eu = await running.opened('eu-1');
    await jetStream.publish('orders.us.1', 'a', 'b', 'c');
    await poll('the position', () => running.source('eu-1').log.offset === 3);
    expect(eu.taken).toEqual([]);
  });

  it('is read by several filters, or whole where the server is too old for them, with the rest skipped', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const running = await startSources({
      nats,
      routes: {
        eu: { channel: 'eu-{id}', subject: 'orders.eu.{id}', source: stream() },
        us: { channel: 'us-{id}', subject: 'orders.us.{id}', source: stream() },
      },
    });
    const [eu, us] = await Promise.all(['eu-1', 'us-1'].map((channel) => running.opened(channel)));
    for (const place of ['eu', 'asia', 'us']) await jetStream.publish(`orders.${place}.1`, place);
    expect([await eu?.noted(1), await us?.noted(1)]).toEqual([['1 eu'], ['3 us']]);
    const consumers = await jetStream.manager.consumers.list('ORDERS').next();
    const { filter_subjects } = consumers[0]?.config ?? {};
    const isOld = /^2\.[0-9]\./.test(jetStream.version);
    expect(filter_subjects).toEqual(isOld ? undefined : ['orders.eu.*', 'orders.us.*']);
    expect(running.logged.some(({ message }) => message.includes('nats-server 2.10'))).toBe(isOld);
  });

  it('stores the time that its messages have, wherever they are read', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const running = await startSources({ nats, routes: { orders: { ...ORDERS, envelope: true } } });
    const one = await running.opened('orders.1');
    const block = headers();
    block.set('Sse-Event', 'paid');
    block.set('Sse-Ttl', '10m');
    await jetStream.manager.jetstream().publish('orders.1', '{"a":1}', { headers: block });
    await one.noted(1);
    const [live] = one.publications;
    expect(live).toMatchObject({ event: 'paid', ttlMs: 600_000, timeMs: expect.any(Number) });
    for (const from of [{ kind: 'all' }, { kind: 'last', count: 1 }] as const) {
      const { publications } = await running.read('orders.1', { from });
      expect(publications).toEqual([{ offset: 1, publication: live }]);
    }
  });

  it('gives a message twice to nobody, though its publisher sent it twice', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const running = await startSources({ nats });
    const one = await running.opened('orders.1');
    const client = jetStream.manager.jetstream();
    for (const text of ['a', 'a', 'b']) await client.publish('orders.1', text, { msgID: text });
    expect(await one.noted(2)).toEqual(['1 a', '2 b']);
  });

  it('drops what is over limits.event, says so, and memory knows', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const running = await startSources({ nats, maxEventBytes: 3 });
    const one = await running.opened('orders.1');
    await jetStream.publish('orders.1', 'a', 'long', 'b');
    expect(await one.noted(3)).toEqual(['1 a', 'gap too-large', '3 b']);
    expect(running.source('orders.1').log.floor).toBe(2);
    expect(running.metrics.route('orders').dropped['too-large']).toBe(1);
    expect(await running.read('orders.1')).toMatchObject({
      texts: ['1 a', '3 b'],
      cut: 'too-large',
      after: 2,
    });
  });
});
