import { headers, nanos } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { ORDERS, RunningSources, startJetStream, startSources } from '../support/stream-source.ts';

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

  it('that has holes when memory is warmed is not taken to be all there up to them', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add({ max_msgs_per_subject: 2 });
    await jetStream.publish('orders.2', 'z');
    await jetStream.publish('orders.1', 'a', 'b', 'c', 'd');
    const running = await startSources({ nats, routes: { orders: { ...ORDERS, source: stream(60_000) } } });
    await running.opened('orders.1');
    expect(running.kept).toEqual(['orders.2 1 z', 'orders.1 4 c', 'orders.1 5 d']);
    expect(running.source('orders.1').log.floor).toBe(3);
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

  it('tells a gap where nobody can tell what of a message may be seen, live and when it is read again', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add({});
    const redact = [{ kind: 'pointer', pointer: ['a'], replacement: '#' }] as const;
    const running = await startSources({ nats, routes: { orders: { ...ORDERS, redact } } });
    const one = await running.opened('orders.1');
    await jetStream.publish('orders.1', '{"a":1}', 'no JSON', '{"b":1}');
    expect(await one.noted(3)).toEqual(['1 {"a":"#"}', 'gap error', '3 {"b":1}']);
    expect(running.source('orders.1').log.floor).toBe(2);
    expect(running.metrics.route('orders').dropped.unredactable).toBe(1);
    expect(await running.read('orders.1')).toMatchObject({
      texts: ['1 {"a":"#"}', '3 {"b":1}'],
      cut: 'error',
      after: 2,
    });
  });

  it('leaves out what the server writes where the last message of a subject ended', async ({ skip }) => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    const { streams } = jetStream.manager;
    const ttl = {
      max_age: nanos(500),
      duplicate_window: nanos(500),
      subject_delete_marker_ttl: nanos(9_000_000),
    };
    await jetStream.add({ ...ttl, allow_msg_ttl: true, allow_rollup_hdrs: true });
    if ((await streams.info('ORDERS')).config.allow_msg_ttl !== true) skip('needs nats-server 2.11');
    const running = await startSources({ nats });
    const one = await running.opened('orders.1');
    await jetStream.publish('orders.1', 'a');
    await poll('the marker', async () => (await streams.info('ORDERS')).state.last_seq === 2);
    await jetStream.publish('orders.1', '');
    expect(await one.noted(2)).toEqual(['1 a', '3 ']);
    expect((await running.read('orders.1')).texts).toEqual(['3 ']);
  });
});

describe('a stream that is edited while it is followed', () => {
  const BILLS = { channel: 'bill-{id}', subject: 'bills.{id}', source: stream() } as const;

  it.each([
    ['beside others', { orders: ORDERS, bills: BILLS }],
    ['alone', { bills: BILLS }],
  ])('to store more gives what it stores then, to a route %s', async (_, routes) => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const running = await startSources({ nats, routes });
    const one = await running.opened('bill-1');
    expect(running.logged).toContainEqual(expect.objectContaining({ subjects: ['bills.*'] }));
    await jetStream.publish('orders.2', 'a');
    await jetStream.manager.streams.update('ORDERS', { subjects: ['orders.>', 'bills.>'] });
    await jetStream.publish('bills.1', 'b');
    await jetStream.publish('orders.2', 'c');
    await poll('the end', () => running.source('bill-1').log.offset === 3);
    expect(one.taken).toEqual(['2 b']);
    await poll('the edit to be noticed', () =>
      running.logged.some(({ reason }) => reason === 'the stream stores other subjects'),
    );
    await jetStream.publish('bills.1', 'd');
    expect(await one.noted(2)).toEqual(['2 b', '4 d']);
  });

  it('to take from another stream gives what it stores then', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    await jetStream.manager.streams.add({ name: 'BILLS', subjects: ['bills.>'] });
    const running = await startSources({ nats, routes: { orders: ORDERS, bills: BILLS } });
    const one = await running.opened('bill-1');
    await jetStream.manager.streams.update('ORDERS', { sources: [{ name: 'BILLS' }] });
    await jetStream.publish('bills.1', 'a', 'b');
    expect(await one.noted(2)).toEqual(['1 a', '2 b']);
  });
});

describe('a stream whose connection is lost while memory is warmed', () => {
  it('goes on warming: what was there before reaches nobody live, and who waits is fed once it is over', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const texts = Array.from({ length: 500 }, (_, i) => `${i}`);
    await jetStream.publish('orders.1', ...texts);
    const running = new RunningSources({ nats, routes: { orders: { ...ORDERS, source: stream(60_000) } } });
    const push = running.kept.push.bind(running.kept);
    running.kept.push = (...notes) => {
      if (running.kept.length === 99) running.leave();
      return push(...notes);
    };
    const one = running.open('orders.1');
    await running.start();
    await poll('the loss', () => running.kept.length === 100);
    expect([one.taken, running.open('orders.2').taken]).toEqual([[], []]);
    running.comeBack();
    await one.until('settled');
    await jetStream.publish('orders.1', 'x');
    expect(await one.noted(2)).toEqual(['settled', '501 x']);
    expect([...running.kept]).toEqual(texts.map((text, i) => `orders.1 ${i + 1} ${text}`));
  });
});
