import { describe, expect, it } from 'vitest';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { ORDERS, startJetStream, startSources } from '../support/stream-source.ts';

/** A server with the stream ORDERS, and one open channel of it, which has had `1 a`. */
async function setUp(config: Parameters<Awaited<ReturnType<typeof startJetStream>>['add']>[0] = {}) {
  const nats = await startNats({ jetStream: true });
  const jetStream = await startJetStream(nats);
  await jetStream.add(config);
  const running = await startSources({ nats });
  const one = await running.opened('orders.1');
  await jetStream.publish('orders.1', 'a');
  await one.noted(1);
  return { nats, jetStream, running, one, log: running.source('orders.1').log };
}

describe('a stream that is away and comes back', () => {
  it('is caught up with, without a gap, a duplicate or a word, when the server was restarted', async () => {
    const { nats, jetStream, one } = await setUp();
    for (const end of ['stop', 'kill'] as const) {
      await nats[end]();
      await nats.start();
      await jetStream.publish('orders.1', end);
    }
    await jetStream.publish('orders.1', 'b');
    expect(await one.noted(4)).toEqual(['1 a', '2 stop', '3 kill', '4 b']);
  });

  it('is caught up with where much was published meanwhile', async () => {
    const { jetStream, running, one, log } = await setUp();
    running.leave();
    await jetStream.publish('orders.1', 'b', 'c');
    await jetStream.publish('orders.2', 'd');
    running.comeBack();
    expect(await one.noted(3)).toEqual(['1 a', '2 b', '3 c']);
    await poll('the rest', () => log.offset === 4);
    expect(running.kept).toEqual(['orders.2 4 d']);
  });

  it('feeds at once whoever comes while it is away: nothing will be missed', async () => {
    const { running, jetStream } = await setUp();
    running.leave();
    const two = running.open('orders.2');
    expect(two.taken).toEqual(['settled']);
    await jetStream.publish('orders.2', 'b');
    running.comeBack();
    expect(await two.noted(2)).toEqual(['settled', '2 b']);
  });

  it('says what its limits took meanwhile, and memory knows', async () => {
    const { jetStream, running, one, log } = await setUp({ max_msgs: 2 });
    running.leave();
    await jetStream.publish('orders.1', 'b', 'c', 'd', 'e');
    running.comeBack();
    expect(await one.noted(4)).toEqual(['1 a', 'gap too-old', '4 d', '5 e']);
    expect(log.floor).toBe(3);
  });

  it('says what was purged meanwhile', async () => {
    const { jetStream, running, one } = await setUp();
    running.leave();
    await jetStream.publish('orders.1', 'b', 'c');
    await jetStream.manager.streams.purge('ORDERS', { keep: 1 });
    running.comeBack();
    expect(await one.noted(3)).toEqual(['1 a', 'gap purged', '3 c']);
  });

  it('says what was deleted in its middle meanwhile', async () => {
    const { jetStream, running, one } = await setUp();
    running.leave();
    await jetStream.publish('orders.1', 'b', 'c', 'd');
    await jetStream.manager.streams.deleteMessage('ORDERS', 3);
    running.comeBack();
    expect(await one.noted(4)).toEqual(['1 a', 'gap purged', '2 b', '4 d']);
  });

  it('says which channels may lack what newer messages of their subject replaced', async () => {
    const { jetStream, running, one } = await setUp({ max_msgs_per_subject: 2 });
    const two = await running.opened('orders.2');
    running.leave();
    await jetStream.publish('orders.1', 'b', 'c', 'd');
    await jetStream.publish('orders.2', 'e');
    running.comeBack();
    // What was replaced may have been of either: that fewer are left than the limit may be somebody's deletion.
    expect(await two.noted(2)).toEqual(['5 e', 'gap too-old']);
    expect(one.taken).toEqual(['1 a', '3 c', 'gap too-old', '4 d']);
    running.leave();
    await jetStream.publish('orders.2', 'f');
    running.comeBack();
    expect((await two.noted(3)).slice(2)).toEqual(['6 f']);
    expect(one.taken).toHaveLength(4);
  });

  it('says of a stream whose limit by subject was raised that messages may have been replaced before', async () => {
    const { jetStream, running, one } = await setUp({ max_msgs_per_subject: 2 });
    running.leave();
    await jetStream.publish('orders.1', 'b', 'c', 'd');
    await jetStream.manager.streams.update('ORDERS', { max_msgs_per_subject: 10 });
    running.comeBack();
    expect(await one.noted(4)).toEqual(['1 a', '3 c', 'gap too-old', '4 d']);
  });
});

describe('a consumer that is lost', () => {
  it('is made again, without a gap or a duplicate', async () => {
    const { jetStream, running, one } = await setUp();
    const [consumer] = await jetStream.manager.consumers.list('ORDERS').next();
    await jetStream.manager.consumers.delete('ORDERS', consumer?.name ?? '');
    await jetStream.publish('orders.1', 'b');
    expect(await one.noted(2)).toEqual(['1 a', '2 b']);
    expect(running.logged.flatMap(({ reason }) => reason ?? [])).toEqual(['the server fell silent']);
  });

  it('over and over while much is published costs nobody a message', async () => {
    const { nats, jetStream, one } = await setUp();
    const texts = Array.from({ length: 600 }, (_, i) => `${i}`);
    for (let at = 0; at < texts.length; at += 100) {
      const publishing = jetStream.publish('orders.1', ...texts.slice(at, at + 100));
      await one.noted(at + 50);
      if (at % 200 === 0) await dropConsumers(nats);
      await publishing;
      if (at % 300 === 200) await nats.restart();
    }
    await one.until('601 599');
    expect(one.taken).toEqual(['1 a', ...texts.map((text, i) => `${i + 2} ${text}`)]);
  });
});

async function dropConsumers(nats: NatsServer): Promise<void> {
  const { manager } = await startJetStream(nats);
  for (const { name } of await manager.consumers.list('ORDERS').next())
    await manager.consumers.delete('ORDERS', name);
}

describe('a stream that is purged while it is followed', () => {
  it('has lost nothing for those who had it', async () => {
    const { jetStream, one } = await setUp();
    await jetStream.manager.streams.purge('ORDERS');
    await jetStream.publish('orders.1', 'b');
    expect(await one.noted(2)).toEqual(['1 a', '2 b']);
  });
});

describe('a stream that is deleted', () => {
  it('is told to be void and unavailable, to those who come later too, and available when it is made anew', async () => {
    const { jetStream, running, one, log } = await setUp();
    const { epoch } = log;
    await jetStream.manager.streams.delete('ORDERS');
    expect(await one.noted(3)).toEqual(['1 a', 'gap recreated', 'gap unavailable']);
    expect(running.open('orders.2').taken).toEqual(['gap unavailable', 'settled']);
    await jetStream.add();
    await jetStream.publish('orders.1', 'x');
    expect((await one.until('1 x')).slice(3).sort()).toEqual(['1 x', 'gap available']);
    expect(log.epoch).not.toBe(epoch);
    expect(log.offset).toBe(1);
  });

  it('and made anew at once is another log from its beginning on', async () => {
    const { jetStream, one, log } = await setUp();
    const { epoch } = log;
    await jetStream.manager.streams.delete('ORDERS');
    await jetStream.add();
    await jetStream.publish('orders.1', 'x', 'y');
    expect(await one.noted(4)).toEqual(['1 a', 'gap recreated', '1 x', '2 y']);
    expect([log.epoch === epoch, log.floor]).toEqual([false, 0]);
  });

  it('and made anew while nobody looked, with more in it than before, is noticed all the same', async () => {
    const { jetStream, running, one } = await setUp();
    running.leave();
    await jetStream.manager.streams.delete('ORDERS');
    await jetStream.add();
    await jetStream.publish('orders.1', 'x', 'y');
    running.comeBack();
    expect(await one.noted(4)).toEqual(['1 a', 'gap recreated', '1 x', '2 y']);
  });
});

describe('a stream that was kept in memory', () => {
  it('and went with its server is told to be void', async () => {
    const { nats, one } = await setUp({ storage: 'memory' });
    await nats.restart();
    expect(await one.noted(3)).toEqual(['1 a', 'gap recreated', 'gap unavailable']);
    const again = await startJetStream(nats);
    await again.add({ storage: 'memory' });
    await again.publish('orders.1', 'x');
    expect(await one.until('1 x')).toContain('gap available');
  });
});

describe('a stream that was put back to an older state', () => {
  it('is another log, and goes on with what is new in it', async () => {
    const { nats, jetStream, running, one, log } = await setUp();
    await nats.backUp();
    await jetStream.publish('orders.1', 'b', 'c');
    await one.until('3 c');
    const { epoch } = log;
    await nats.restore();
    await one.until('gap recreated');
    await jetStream.publish('orders.1', 'x');
    expect(await one.until('2 x')).toEqual(['1 a', '2 b', '3 c', 'gap recreated', '2 x']);
    expect(log.epoch).not.toBe(epoch);
    expect((await running.read('orders.1')).texts).toEqual(['1 a', '2 x']);
  });

  it('is noticed where it has grown beyond that again: another message is in the place of the newest', async () => {
    const { nats, jetStream, running, one, log } = await setUp();
    await nats.backUp();
    await jetStream.publish('orders.1', 'b');
    await one.until('2 b');
    const { epoch } = log;
    running.leave();
    await nats.restore();
    await jetStream.publish('orders.1', 'x', 'y');
    running.comeBack();
    expect(await one.until('3 y')).toEqual(['1 a', '2 b', 'gap recreated', '2 x', '3 y']);
    expect(log.epoch).not.toBe(epoch);
  });

  it('has the same new epoch in every process that was there', async () => {
    const { nats, jetStream, running, one } = await setUp();
    const other = await startSources({ nats });
    await other.opened('orders.1');
    await nats.backUp();
    await jetStream.publish('orders.1', 'b');
    await one.until('2 b');
    const logs = [running, other].map((sources) => sources.source('orders.1').log);
    await poll('the other process', () => logs[1]?.offset === 2);
    await nats.restore();
    await poll('both to notice', () => logs.every(({ offset }) => offset === 1));
    expect(logs[0]?.epoch).toBe(logs[1]?.epoch);
  });
});

describe('a stream that is a work queue', () => {
  it('is unavailable to readers from the start, which the log says in so many words', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add({ retention: 'workqueue' });
    const running = await startSources({ nats });
    const one = running.open('orders.1');
    expect(await one.noted(2)).toEqual(['gap unavailable', 'settled']);
    const line = await poll('the log line', () => running.logged.find(({ level }) => level === 'error'));
    expect(line).toMatchObject({ stream: 'ORDERS', message: expect.stringContaining('work queue') });
    // Its messages are the workers'.
    expect((await jetStream.manager.streams.info('ORDERS')).state.consumer_count).toBe(0);
  });
});

describe('a stream that not everybody may read', () => {
  const users = (permissions: string) => `
    authorization { users: [
      { user: admin, password: admin },
      { user: bridge, password: bridge, permissions: { publish: [${permissions}], subscribe: ["_INBOX.>"] } },
    ] }`;
  const all = ['STREAM.INFO.ORDERS', 'CONSUMER.CREATE.ORDERS'].map((api) => `"$JS.API.${api}"`);

  it('for want of a permission is unavailable, and available once it is granted', async () => {
    const nats = await startNats({ jetStream: true, config: users(`${all[0]}`) });
    const jetStream = await startJetStream(nats, 'admin');
    await jetStream.add();
    const running = await startSources({ nats, user: 'bridge' });
    const one = running.open('orders.1');
    expect(await one.noted(2)).toEqual(['gap unavailable', 'settled']);
    const denied = await poll('the log line', () => running.logged.find(({ level }) => level === 'error'));
    expect(denied).toMatchObject({
      subject: '$JS.API.CONSUMER.CREATE.ORDERS',
      stream: 'ORDERS',
      routes: ['orders'],
    });
    // Not by a reload: after one that changes permissions, JetStream of nats-server 2.9 does not answer any more.
    nats.configure(users(`${all.join()}, "$JS.FC.>"`));
    await nats.restart();
    await one.until('gap available');
    await jetStream.publish('orders.1', 'a');
    expect(await one.until('1 a')).toEqual(['gap unavailable', 'settled', 'gap available', '1 a']);
  });

  it('is followed and read again with these permissions and no other', async () => {
    const apis = [
      'STREAM.INFO.ORDERS',
      'CONSUMER.CREATE.ORDERS',
      'CONSUMER.DELETE.ORDERS.*',
      'STREAM.MSG.GET.ORDERS',
    ];
    const subjects = [...apis.map((api) => `$JS.API.${api}`), '$JS.FC.ORDERS.>'];
    const config = users(subjects.map((subject) => JSON.stringify(subject)).join());
    const nats = await startNats({ jetStream: true, config });
    const jetStream = await startJetStream(nats, 'admin');
    await jetStream.add();
    const running = await startSources({ nats, user: 'bridge' });
    const one = await running.opened('orders.1');
    await jetStream.publish('orders.1', 'a', 'b');
    await one.noted(2);
    for (const from of [{ kind: 'last', count: 1 }, { kind: 'last', count: 2 }, { kind: 'values' }] as const)
      expect((await running.read('orders.1', { from })).texts.at(-1)).toBe('2 b');
    await expect
      .poll(async () => (await jetStream.manager.streams.info('ORDERS')).state.consumer_count)
      .toBe(1);
    expect(running.logged.map(({ message }) => message)).toEqual(['the stream is followed']);
  });

  it('again, for want of a permission, tells who comes back a gap, and the log names the permission', async () => {
    const config = users(`${all.join()}, "$JS.API.CONSUMER.DELETE.ORDERS.*", "$JS.FC.>"`);
    const nats = await startNats({ jetStream: true, config });
    const jetStream = await startJetStream(nats, 'admin');
    await jetStream.add();
    const running = await startSources({ nats, user: 'bridge' });
    const one = await running.opened('orders.1');
    await jetStream.publish('orders.1', 'a');
    await one.noted(1);
    const last = await running.read('orders.1', { from: { kind: 'last', count: 1 } });
    expect(last).toMatchObject({ texts: [], after: 1, cut: 'unavailable' });
    expect(running.logged.find(({ level }) => level === 'warn')).toMatchObject({
      subject: '$JS.API.STREAM.MSG.GET.ORDERS',
      stream: 'ORDERS',
    });
    expect((await running.read('orders.1', { from: { kind: 'after', offset: 0 } })).texts).toEqual(['1 a']);
  });

  it('with flow control, for want of a permission, is read all the same, and the log says so', async () => {
    const nats = await startNats({ jetStream: true, config: users(all.join()) });
    const jetStream = await startJetStream(nats, 'admin');
    await jetStream.add();
    const running = await startSources({ nats, user: 'bridge' });
    const one = await running.opened('orders.1');
    running.leave();
    const text = 'x'.repeat(100_000);
    await jetStream.publish('orders.1', ...Array.from({ length: 60 }, () => text));
    running.comeBack();
    await one.noted(60);
    expect(one.publications).toHaveLength(60);
    expect(running.source('orders.1').log.offset).toBe(60);
    expect(running.logged.some(({ subject }) => subject === '$JS.FC.ORDERS.>')).toBe(true);
  });

  it('with flow control, and is purged of what the server holds back, is known to have lost that', async () => {
    const nats = await startNats({ jetStream: true, config: users(all.join()) });
    const jetStream = await startJetStream(nats, 'admin');
    await jetStream.add();
    const running = await startSources({ nats, user: 'bridge', heartbeatMs: 10_000, checkMs: 100 });
    const one = await running.opened('orders.1');
    running.leave();
    const text = 'x'.repeat(100_000);
    await jetStream.publish('orders.1', ...Array.from({ length: 60 }, () => text));
    running.comeBack();
    await one.noted(1);
    await jetStream.manager.streams.purge('ORDERS');
    await one.until('gap purged');
    expect(one.publications.length).toBeLessThan(60);
    expect(running.logged.flatMap(({ reason }) => reason ?? [])).toContain(
      'the stream lost messages before they came',
    );
    await jetStream.publish('orders.1', 'y');
    expect((await one.until('61 y')).slice(-2)).toEqual(['gap purged', '61 y']);
  });

  it('because it does not exist is available once it does', async () => {
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    const running = await startSources({ nats });
    const one = running.open('orders.1');
    expect(await one.noted(2)).toEqual(['gap unavailable', 'settled']);
    expect(running.logged[0]).toMatchObject({ level: 'error', stream: 'ORDERS', routes: ['orders'] });
    await jetStream.add();
    await one.until('gap available');
    await jetStream.publish('orders.1', 'a');
    expect(await one.until('1 a')).toEqual(['gap unavailable', 'settled', 'gap available', '1 a']);
  });

  it('because there is no JetStream is unavailable, and the log names its routes', async () => {
    const nats = await startNats();
    const running = await startSources({ nats, routes: { orders: ORDERS } });
    expect(await running.open('orders.1').noted(2)).toEqual(['gap unavailable', 'settled']);
    expect(running.logged[0]).toMatchObject({ level: 'error', routes: ['orders'] });
    expect(running.logged[0]?.message).toMatch(/no JetStream .*-js/);
    expect(await running.read('orders.1')).toMatchObject({ texts: [], cut: 'unavailable' });
  });
});
