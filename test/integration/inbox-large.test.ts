import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { type Inboxed, inboxOf, openBadge, startInboxed } from './inboxed.ts';

async function send(inboxed: Inboxed, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) inboxed.publisher.send('notify.42', `${i}`);
  await inboxed.publisher.connection.flush();
}

/** Ids of a log by their offsets. */
async function idsIn(bridge: Parameters<typeof inboxOf>[0]) {
  const { through = '' } = await inboxOf(bridge, '?count=only');
  return (...offsets: readonly number[]) => offsets.map((offset) => through.replace(/\d+$/, `${offset}`));
}

describe('of more than a thousand unread messages', () => {
  it('none is taken for read because the stream has a hole among the newest', async () => {
    const inboxed = await startInboxed();
    await send(inboxed, 1500);
    await inboxed.notify('other', {}, '7');
    await inboxed.notify('last');
    const jsm = await jetstreamManager(inboxed.publisher.connection);
    await jsm.streams.purge('NOTIFY', { filter: 'notify.7' });
    const bridge = await inboxed.bridge();
    const ids = await idsIn(bridge);
    expect(await inboxOf(bridge, '?count=only')).toMatchObject({ unread: 1000, more: true });
    expect(await inboxOf(bridge, { read: { ids: ids(1502) } })).toMatchObject({
      unread: 1000,
      more: true,
      through: ids(0)[0],
    });
  });

  it('older ones come in sight as newer ones are read, one by one or not', async () => {
    const inboxed = await startInboxed();
    await send(inboxed, 2050);
    const bridge = await inboxed.bridge();
    const badge = await openBadge(bridge);
    await badge.count(1000);
    const ids = await idsIn(bridge);
    const oldest = async () => (await inboxOf(bridge, '?limit=1')).list?.[0]?.id;
    expect(await oldest()).toBe(ids(1051)[0]);
    for (let newest = 2050; newest > 1050; newest -= 100) {
      const read = { ids: ids(...Array.from({ length: 100 }, (_, i) => newest - i)) };
      expect(await inboxOf(bridge, { read })).toMatchObject({ unread: 1000, more: true });
    }
    expect(await oldest()).toBe(ids(51)[0]);
    const full = await inboxOf(bridge, { read: { ids: ids(60) } });
    expect([full.status, full.error?.code]).toEqual([409, 'INBOX_FULL']);
    expect(await inboxOf(bridge, { read: { through: ids(51)[0] } })).toMatchObject({ unread: 999 });
    await badge.count(999);
  });

  it('the stream is read once for one who asks many times at once', async () => {
    const inboxed = await startInboxed();
    await send(inboxed, 1500);
    const bridge = await inboxed.bridge();
    await inboxOf(bridge, '?count=only');
    let consumers = 0;
    const advisories = '$JS.EVENT.ADVISORY.CONSUMER.CREATED.NOTIFY.>';
    const { connection } = inboxed.publisher;
    connection.subscribe(advisories, {
      callback: () => {
        consumers += 1;
      },
    });
    await connection.flush();
    const limits = Array.from({ length: 100 }, (_, index) => index + 1);
    const answers = await Promise.all(limits.map((limit) => inboxOf(bridge, `?limit=${limit}`)));
    expect(answers.map(({ list }) => list?.length)).toEqual(limits);
    await connection.flush();
    // Some came when it was over; a reading may take a second consumer, or a third, to find its place.
    expect(consumers).toBeLessThan(30);
  });

  it('any may be read, however far apart', async () => {
    const inboxed = await startInboxed();
    await send(inboxed, 3200);
    const bridge = await inboxed.bridge();
    const ids = await idsIn(bridge);
    for (let i = 0; i < 2; i += 1)
      expect(await inboxOf(bridge, { read: { ids: ids(3, 2000) } })).toMatchObject({ status: 200 });
    expect(await bridge.sample('sidestream_inbox_marks_total{result="unchanged"}')).toBe(1);
  });
});

it('large messages are counted alike where they were seen and where they are read again', async () => {
  const inboxed = await startInboxed();
  const [one, two] = await Promise.all([inboxed.bridge(), inboxed.bridge()]);
  const badge = await openBadge(one);
  await badge.count(0);
  for (let i = 0; i < 100; i += 1) await inboxed.notify('x'.repeat(50_000));
  await badge.count(100);
  await two.stop();
  for (const bridge of [one, await inboxed.bridge()]) {
    expect(await inboxOf(bridge, '?count=only')).toMatchObject({ unread: 100 });
    const { unread, more, list = [], next } = await inboxOf(bridge, '?limit=100');
    expect({ unread, more, listed: list.length }).toEqual({ unread: 100, more: undefined, listed: 10 });
    const rest = await inboxOf(bridge, `?limit=1&after=${next}`);
    expect(rest.list?.map(({ id }) => id.split('.')[1])).toEqual(['11']);
  }
});
