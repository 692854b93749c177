import { nanos } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { ORDERS, startJetStream, startSources } from '../support/stream-source.ts';

type Config = Parameters<Awaited<ReturnType<typeof startJetStream>>['add']>[0];

/** A stream ORDERS, and sources that follow it. */
async function setUp({ config = {}, maxEventBytes }: { config?: Config; maxEventBytes?: number } = {}) {
  const nats = await startNats({ jetStream: true });
  const jetStream = await startJetStream(nats);
  await jetStream.add(config);
  const running = await startSources({
    nats,
    ...(maxEventBytes !== undefined && { maxEventBytes }),
    routes: {
      orders: ORDERS,
      all: { channel: 'all', subject: 'orders.>', source: { kind: 'stream', stream: 'ORDERS', warmMs: 0 } },
    },
  });
  await running.opened('all');
  return { nats, jetStream, running };
}

/** Two channels in turns: 1 and 3 and 5 … are a's. */
async function setUpTwo(config: Config = {}) {
  const made = await setUp({ config });
  for (const text of ['p', 'q', 'r']) {
    await made.jetStream.publish('orders.a', text);
    await made.jetStream.publish('orders.b', text);
  }
  return made;
}

describe('reading a channel again', () => {
  it('gives all of it and nothing else, from the beginning', async () => {
    const { running } = await setUpTwo();
    expect(await running.read('orders.a')).toMatchObject({ texts: ['1 p', '3 q', '5 r'], after: 0 });
    expect((await running.read('all')).texts).toHaveLength(6);
  });

  it('gives what came after a position, and is complete of it', async () => {
    const { running } = await setUpTwo();
    const behind = (offset: number) => running.read('orders.a', { from: { kind: 'after', offset } });
    expect(await behind(1)).toMatchObject({ texts: ['3 q', '5 r'], after: 1 });
    expect(await behind(2)).toMatchObject({ texts: ['3 q', '5 r'], after: 2 });
    const none = await behind(6);
    expect(none).toMatchObject({ texts: [], after: 6 });
    expect(none.cut).toBeUndefined();
  });

  it('knows when what is at a position was published, whichever channel it is of, as long as it is there', async () => {
    const { running, jetStream } = await setUpTwo();
    const { archive } = running.source('orders.a');
    await jetStream.manager.streams.deleteMessage('ORDERS', 3);
    const times = await Promise.all([1, 2, 3, 7].map((offset) => archive.timeOf?.(offset)));
    const stored = await Promise.all(
      [1, 2].map(async (seq) =>
        (await jetStream.manager.streams.getMessage('ORDERS', { seq }))?.time.getTime(),
      ),
    );
    expect(times).toEqual([...stored, undefined, undefined]);
    await jetStream.manager.streams.delete('ORDERS');
    expect(await archive.timeOf?.(1)).toBeUndefined();
  });

  it('leaves out what came after the position that was asked for', async () => {
    const { running } = await setUpTwo();
    expect((await running.read('orders.a', { through: 4 })).texts).toEqual(['1 p', '3 q']);
    for (const count of [1, 2]) {
      const { texts } = await running.read('orders.a', { from: { kind: 'last', count }, through: 4 });
      expect(texts).toEqual(['1 p', '3 q'].slice(-count));
    }
  });

  it('gives the newest so many, and is complete of them alone', async () => {
    const { running } = await setUpTwo();
    const last = (count: number) => running.read('orders.a', { from: { kind: 'last', count } });
    const [one, two, four] = [await last(1), await last(2), await last(4)];
    expect(one).toMatchObject({ texts: ['5 r'], after: 4 });
    expect(two).toMatchObject({ texts: ['3 q', '5 r'] });
    expect(two.after).toBeGreaterThanOrEqual(1);
    expect(two.after).toBeLessThan(3);
    expect(four).toMatchObject({ texts: ['1 p', '3 q', '5 r'], after: 0 });
    expect([one.cut, two.cut, four.cut]).toEqual([undefined, undefined, undefined]);
    expect(await running.read('orders.none', { from: { kind: 'last', count: 1 } })).toMatchObject({
      texts: [],
      after: 0,
    });
  });

  it('gives what was published since a moment', async () => {
    const { jetStream, running } = await setUpTwo();
    const third = await jetStream.manager.streams.getMessage('ORDERS', { seq: 3 });
    const timeMs = (third?.time.getTime() ?? 0) + 1;
    const { texts } = await running.read('orders.a', { from: { kind: 'since', timeMs: timeMs - 1 } });
    expect(texts.slice(-2)).toEqual(['3 q', '5 r']);
    const future = { kind: 'since', timeMs: timeMs + 60_000 } as const;
    expect(await running.read('orders.a', { from: future })).toMatchObject({ texts: [], after: 6 });
  });

  it('keeps to the limits: the newest are given, and that there was more is said', async () => {
    const { running } = await setUpTwo();
    const after = { kind: 'after', offset: 0 } as const;
    expect(await running.read('orders.a', { from: after, limit: 2 })).toMatchObject({
      texts: ['3 q', '5 r'],
      after: 1,
      cut: 'too-many',
    });
    expect(await running.read('orders.a', { from: after, maxBytes: 2 })).toMatchObject({
      texts: ['3 q', '5 r'],
      cut: 'too-many',
    });
    expect((await running.read('orders.a', { from: after, maxBytes: 0 })).texts).toEqual(['5 r']);
  });

  it('finds the newest of many thousands, wherever they lie', async () => {
    const { jetStream, running } = await setUp();
    // First a's alone, then few of them among many others.
    const client = jetStream.manager.jetstream();
    const subjects = Array.from({ length: 10_000 }, (_, i) =>
      i < 8_000 || i % 100 === 0 ? 'orders.a' : 'orders.b',
    );
    for (let at = 0; at < subjects.length; at += 500) {
      const batch = subjects.slice(at, at + 500);
      await Promise.all(batch.map((subject, i) => client.publish(subject, `${at + i}`)));
    }
    const whole = await running.read('orders.a');
    expect(whole.texts).toHaveLength(8_020);
    for (const limit of [10, 25, 1_000]) {
      const after = await running.read('orders.a', { from: { kind: 'after', offset: 0 }, limit });
      expect(after).toMatchObject({ texts: whole.texts.slice(-limit), cut: 'too-many' });
      const last = await running.read('orders.a', { from: { kind: 'last', count: limit } });
      expect(last.texts).toEqual(whole.texts.slice(-limit));
      expect(last.cut).toBeUndefined();
      const through = 5_000;
      const middle = await running.read('orders.a', { from: { kind: 'last', count: limit }, through });
      expect(middle.texts).toEqual(whole.texts.slice(through - limit, through));
    }
  });

  it('leaves no consumer behind', async () => {
    const { jetStream, running } = await setUpTwo();
    for (const count of [1, 2, 3]) await running.read('orders.a', { from: { kind: 'last', count } });
    await expect
      .poll(async () => (await jetStream.manager.streams.info('ORDERS')).state.consumer_count)
      .toBe(1);
  });

  it('gives the same publications as were live, whatever their headers hold', async () => {
    const { running, jetStream } = await setUp();
    const one = await running.opened('orders.a');
    await jetStream.publish('orders.a', '', 'x\ry', '{"ü":1}');
    await one.noted(3);
    const { publications } = await running.read('orders.a');
    const texts = publications.map(({ publication: { data } }) => Buffer.from(data).toString());
    expect(texts).toEqual(['', 'x\ry', '{"ü":1}']);
    expect(publications.map(({ publication }) => publication.timeMs)).toEqual(
      one.publications.map(({ timeMs }) => timeMs),
    );
  });
});

describe('what is no longer there when it is read again', () => {
  const behind = (offset: number) => ({ from: { kind: 'after', offset } }) as const;

  it('because of a limit is said, with the position from which on it is all there', async () => {
    const { running } = await setUpTwo({ max_msgs: 3 });
    expect(await running.read('orders.a', behind(1))).toMatchObject({
      texts: ['5 r'],
      after: 3,
      cut: 'too-old',
    });
    expect((await running.read('orders.a', behind(3))).cut).toBeUndefined();
  });

  it('because it was purged is said', async () => {
    const { jetStream, running } = await setUpTwo();
    await jetStream.manager.streams.purge('ORDERS');
    expect(await running.read('orders.a', behind(1))).toMatchObject({ texts: [], after: 6, cut: 'purged' });
    expect((await running.read('orders.a', behind(6))).cut).toBeUndefined();
  });

  it('because it was deleted is said to those whom it may concern', async () => {
    const { jetStream, running } = await setUpTwo();
    await jetStream.manager.streams.deleteMessage('ORDERS', 3);
    expect(await running.read('orders.a', behind(1))).toMatchObject({
      texts: ['1 p', '5 r'].slice(1),
      cut: 'purged',
    });
    expect((await running.read('orders.a', behind(3))).cut).toBeUndefined();
  });

  it('because newer messages of its subject took its place is said where that may be', async () => {
    const { jetStream, running } = await setUpTwo({ max_msgs_per_subject: 2 });
    expect(await running.read('orders.a', behind(1))).toMatchObject({
      texts: ['3 q', '5 r'],
      cut: 'too-old',
    });
    expect((await running.read('orders.a', behind(3))).cut).toBeUndefined();
    // Two of another subject took two others' place: who had all up to then has lost nothing.
    await jetStream.publish('orders.c', 'x');
    expect(await running.read('orders.c', behind(1))).toMatchObject({ texts: ['7 x'], cut: 'too-old' });
    const none = await running.read('orders.c', behind(2));
    expect([none.texts, none.cut]).toEqual([['7 x'], undefined]);
  });

  it('is not said of a subject that still has what came before, whatever was replaced of others', async () => {
    const { jetStream, running } = await setUpTwo({ max_msgs_per_subject: 2 });
    await jetStream.publish('orders.b', 's', 't', 'u');
    const { texts, cut } = await running.read('orders.a', behind(3));
    expect([texts, cut]).toEqual([['5 r'], undefined]);
    expect((await running.read('orders.none', behind(3))).cut).toBeUndefined();
    expect((await running.read('all', behind(3))).cut).toBe('too-old');
  });

  it('is said where a limit by subject was raised since, or one of those kept was deleted', async () => {
    const { jetStream, running } = await setUpTwo({ max_msgs_per_subject: 2 });
    await jetStream.manager.streams.update('ORDERS', { max_msgs_per_subject: 10 });
    expect(await running.read('orders.a', behind(0))).toMatchObject({
      texts: ['3 q', '5 r'],
      cut: 'too-old',
    });
    await jetStream.manager.streams.update('ORDERS', { max_msgs_per_subject: 2 });
    await jetStream.manager.streams.deleteMessage('ORDERS', 3);
    expect(await running.read('orders.a', behind(0))).toMatchObject({ texts: ['5 r'], cut: 'too-old' });
  });

  it('because its own time to live was over is said to be too old', async ({ skip }) => {
    const { jetStream, running } = await setUp({ config: { allow_msg_ttl: true, max_msgs_per_subject: 5 } });
    const { streams } = jetStream.manager;
    if ((await streams.info('ORDERS')).config.allow_msg_ttl !== true) skip('needs nats-server 2.11');
    const client = jetStream.manager.jetstream();
    for (const [text, ttl] of [['a'], ['b', '1s'], ['c']] as const)
      await client.publish('orders.a', text, ttl === undefined ? {} : { ttl });
    await expect.poll(async () => (await streams.info('ORDERS')).state.messages, { timeout: 9_000 }).toBe(2);
    expect(await running.read('orders.a', behind(1))).toMatchObject({ texts: ['3 c'], cut: 'too-old' });
    expect((await running.read('orders.a', behind(2))).cut).toBeUndefined();
  });

  it('because the stream is gone is said to be unavailable, and so is the newest position', async () => {
    const { jetStream, running } = await setUpTwo();
    await jetStream.manager.streams.delete('ORDERS');
    expect(await running.read('orders.a', behind(1))).toMatchObject({
      texts: [],
      after: 6,
      cut: 'unavailable',
    });
    const warned = running.logged.filter(({ level }) => level === 'warn').map(({ message }) => message);
    expect(warned).toContain('the stream cannot be read again; who comes back is told a gap');
  });

  it('because the stream stores nothing under it is a gap at most', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const route = { ...ORDERS, channel: 'bills.{id}', subject: 'bills.{id}' };
    const running = await startSources({ nats, routes: { bills: route } });
    await running.opened('bills.1');
    await jetStream.publish('orders.1', 'a');
    const { texts, cut } = await running.read('bills.1', behind(0));
    const isOld = /^2\.[0-9]\./.test(jetStream.version);
    expect([texts, cut]).toEqual([[], isOld ? 'unavailable' : undefined]);
  });

  it('because the stream is another one is not read at all', async () => {
    const { jetStream, running } = await setUpTwo();
    const { archive } = running.source('orders.a');
    await jetStream.manager.streams.delete('ORDERS');
    await jetStream.add();
    await expect(archive.newest()).rejects.toThrow('made anew');
    await expect.poll(() => archive.newest().catch(() => undefined)).toBe(0);
  });
});

describe('reading a bucket again', () => {
  async function setUpBucket(history = 1) {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    const kv = await jetStream.bucket('settings', history);
    const source = { kind: 'kv', bucket: 'settings' } as const;
    const running = await startSources({
      nats,
      routes: {
        one: { channel: 'one.{key}', subject: '$KV.settings.{key}', source },
        all: { channel: 'all', subject: '$KV.settings.>', source, envelope: true },
      },
    });
    return { jetStream, kv, running };
  }

  it('gives the current values, without those that were deleted', async () => {
    const { kv, running } = await setUpBucket(5);
    const all = await running.opened('all');
    for (const [key, value] of [
      ['a', '1'],
      ['b.c', '2'],
      ['a', '3'],
      ['d', '4'],
    ] as const)
      await kv.put(key, value);
    await kv.delete('d');
    await all.noted(5);
    const { publications, after, cut } = await running.read('all', { from: { kind: 'values' } });
    expect(publications.map(({ publication }) => publication.key)).toEqual(['b.c', 'a']);
    // Who was there before the deletion is not served by this.
    expect([after, cut]).toEqual([5, undefined]);
    expect(publications.map(({ publication }) => JSON.parse(String(publication.data)))).toEqual([
      { channel: 'all', key: 'b.c', event: 'put', revision: 2, time: expect.any(String), data: 2 },
      { channel: 'all', key: 'a', event: 'put', revision: 3, time: expect.any(String), data: 3 },
    ]);
  });

  it('tells changes as put and delete, live and read again alike', async () => {
    const { kv, running } = await setUpBucket(5);
    const one = await running.opened('one.a');
    await kv.put('a', '1');
    await kv.delete('a');
    await kv.put('a', '2');
    await kv.purge('a');
    expect(await one.noted(4)).toEqual(['1 1', '2 ', '3 2', '4 ']);
    expect(one.publications.map(({ event, key }) => [event, key])).toEqual([
      ['put', 'a'],
      ['delete', 'a'],
      ['put', 'a'],
      ['delete', 'a'],
    ]);
    const { publications } = await running.read('one.a', { from: { kind: 'after', offset: 0 } });
    expect(publications.map(({ offset, publication }) => [offset, publication.event])).toEqual([
      [4, 'delete'],
    ]);
  });

  it('takes the current values for enough, whatever was replaced meanwhile', async () => {
    const { kv, running } = await setUpBucket();
    const one = await running.opened('one.a');
    running.leave();
    for (const value of ['1', '2', '3']) await kv.put('a', value);
    running.comeBack();
    expect(await one.noted(1)).toEqual(['3 3']);
    const page = await running.read('one.a', { from: { kind: 'after', offset: 0 } });
    expect([page.texts, page.cut]).toEqual([['3 3'], undefined]);
  });

  it('says that a deletion may be missing where its marker has gone by age', async () => {
    const { jetStream, kv, running } = await setUpBucket();
    await running.opened('all');
    const { streams } = jetStream.manager;
    const age = nanos(300);
    await streams.update('KV_settings', { max_age: age, duplicate_window: age });
    await kv.put('a', '1');
    await kv.delete('a');
    await expect.poll(async () => (await streams.info('KV_settings')).state.messages).toBe(0);
    await streams.update('KV_settings', { max_age: nanos(60_000) });
    await kv.put('b', '2');
    const since = (offset: number) => running.read('all', { from: { kind: 'after', offset } });
    expect(await since(1)).toMatchObject({ texts: [expect.stringMatching(/^3 /)], cut: 'too-old' });
    expect((await since(2)).cut).toBeUndefined();
  });

  it('says that a deletion is missing where its marker was the newest and was purged', async () => {
    const { jetStream, kv, running } = await setUpBucket();
    await running.opened('all');
    await kv.put('a', '1');
    await kv.put('b', '2');
    await kv.delete('a');
    await jetStream.manager.streams.purge('KV_settings', { filter: '$KV.settings.a' });
    const since = (offset: number) => running.read('all', { from: { kind: 'after', offset } });
    expect((await since(2)).cut).toBe('purged');
    expect((await since(3)).cut).toBeUndefined();
  });

  it('says of a marker that may have ended by itself that it may be missing', async ({ skip }) => {
    const { jetStream, kv, running } = await setUpBucket();
    await running.opened('all');
    const ttl = { allow_msg_ttl: true, subject_delete_marker_ttl: nanos(1_000) };
    const updated = await jetStream.manager.streams.update('KV_settings', ttl).catch(() => undefined);
    if (updated?.config.allow_msg_ttl !== true) skip('needs nats-server 2.11');
    const since = (offset: number) => running.read('all', { from: { kind: 'after', offset } });
    await kv.put('a', '1');
    await kv.put('b', '2');
    expect((await since(0)).cut).toBeUndefined();
    await kv.put('a', '3');
    expect((await since(0)).cut).toBe('too-old');
  });

  it('takes values that newer ones replaced for no loss', async () => {
    const { kv, running } = await setUpBucket();
    await running.opened('all');
    for (const [key, value] of ['a1', 'b2', 'a3', 'b4', 'a5']) await kv.put(key ?? '', value ?? '');
    const { publications, cut } = await running.read('all', { from: { kind: 'after', offset: 1 } });
    expect([publications.map(({ offset }) => offset), cut]).toEqual([[4, 5], undefined]);
  });
});
