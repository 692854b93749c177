import { Kvm } from '@nats-io/kv';
import { describe, expect, it } from 'vitest';
import { keyOf } from '../../src/inbox/state.ts';
import { inboxOf, openBadge, startInboxed } from './inboxed.ts';
import { now } from './protected.ts';

const dataOf = ({ list = [] }: { list?: readonly { data: string }[] }) => list.map(({ data }) => data);

describe('an inbox', () => {
  it('keeps what is published while its user is away, and lists it in order until it is read', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    for (const text of ['a', 'b', 'c']) await inboxed.notify(text, { 'Sse-Event': 'note' });
    await inboxed.notify('other', {}, '7');
    const all = await inboxOf(bridge);
    expect(all).toMatchObject({ status: 200, channel: 'user-42', unread: 3 });
    expect(all.list?.[0]).toEqual({
      id: expect.stringMatching(/^[A-Za-z0-9-]+\.1$/),
      event: 'note',
      data: 'a',
      priority: 'normal',
      time: expect.stringMatching(/Z$/),
    });
    const id = (index: number) => all.list?.[index]?.id ?? '';
    expect(await inboxOf(bridge, { read: { through: id(0) } })).toEqual({
      status: 200,
      channel: 'user-42',
      unread: 2,
      through: id(0),
    });
    expect(dataOf(await inboxOf(bridge))).toEqual(['b', 'c']);
    // Through the last of all, which is another user's.
    expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ unread: 0 });
    expect(await inboxOf(bridge, '?count=only', { sub: '7' })).toMatchObject({ unread: 1 });
  });

  it('is read bit by bit, in any order, and remembers it in as few words as it can', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    for (const text of ['a', 'b', 'c', 'd']) await inboxed.notify(text);
    const { list = [] } = await inboxOf(bridge);
    const ids = list.map(({ id }) => id);
    const stored = async () => {
      const bucket = await new Kvm(inboxed.publisher.connection).open('sidestream_inbox');
      return (await bucket.get(keyOf('user-42')))?.json();
    };
    expect(await inboxOf(bridge, { read: { ids: [ids[2]] } })).toMatchObject({ unread: 3 });
    expect(await stored()).toEqual({ channel: 'user-42', epoch: expect.any(String), through: 0, read: [3] });
    expect(await inboxOf(bridge, { read: { ids: [ids[0]] } })).toMatchObject({ unread: 2 });
    expect(await stored()).toMatchObject({ through: 1, read: [3] });
    expect(dataOf(await inboxOf(bridge))).toEqual(['b', 'd']);
    expect(await inboxOf(bridge, { read: { ids: [ids[1], ids[1]] } })).toMatchObject({ unread: 1 });
    expect(await stored()).toMatchObject({ through: 3, read: [] });
    // Once more is no news.
    expect(await inboxOf(bridge, { read: { ids: [ids[1]] } })).toMatchObject({ unread: 1 });
    expect(await inboxOf(bridge, { read: { ids: [ids[3]] } })).toMatchObject({ unread: 0 });
    expect(await stored()).toMatchObject({ through: 4, read: [] });
    expect(await bridge.sample('sidestream_inbox_marks_total{result="unchanged"}')).toBe(1);
  });

  it('is paged, and put in order of urgency where asked', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    const PRIORITIES = ['normal', 'high', 'urgent', 'high', 'urgent'];
    for (const [index, priority] of PRIORITIES.entries())
      await inboxed.notify(`${priority} ${index}`, { 'Sse-Priority': priority });
    const first = await inboxOf(bridge, '?limit=2');
    expect(dataOf(first)).toEqual(['normal 0', 'high 1']);
    expect(first.unread).toBe(5);
    const rest = await inboxOf(bridge, `?limit=3&after=${first.next}`);
    expect(dataOf(rest)).toEqual(['urgent 2', 'high 3', 'urgent 4']);
    expect(rest).not.toHaveProperty('next');
    const urgent = ['urgent 2', 'urgent 4', 'high 1', 'high 3', 'normal 0'];
    expect(dataOf(await inboxOf(bridge, '?order=priority'))).toEqual(urgent);
    expect(dataOf(await inboxOf(bridge, '?order=priority&limit=1'))).toEqual(urgent.slice(0, 1));
  });

  it('lets go of what has ended', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    const badge = await openBadge(bridge);
    await badge.count(0);
    await inboxed.notify('soon over', { 'Sse-Ttl': '1500ms' });
    await inboxed.notify('stays');
    await badge.count(2);
    await badge.count(1);
    expect(dataOf(await inboxOf(bridge))).toEqual(['stays']);
  });

  it('counts no more than a thousand, and says that there are more', async () => {
    const inboxed = await startInboxed();
    for (let i = 0; i < 1003; i += 1) inboxed.publisher.send('notify.42', `${i}`);
    await inboxed.publisher.connection.flush();
    const bridge = await inboxed.bridge();
    expect(await inboxOf(bridge, '?count=only')).toMatchObject({ unread: 1000, more: true });
    const all = await inboxOf(bridge, '?limit=1');
    expect(all).toMatchObject({ unread: 1000, more: true });
    expect(dataOf(all)).toEqual(['3']);
    // What is not counted is not taken for read by what is.
    expect(await inboxOf(bridge, { read: { ids: [all.list?.[0]?.id] } })).toMatchObject({
      unread: 1000,
      more: true,
      through: expect.stringMatching(/\.0$/),
    });
    const badge = await openBadge(bridge);
    expect(await badge.count(1000)).toMatchObject({ more: true });
  });
});

it('nothing is stored for a channel on which nothing waits, so that made-up names take no room', async () => {
  const inboxed = await startInboxed();
  await inboxed.notify('other', {}, '7');
  const bridge = await inboxed.bridge();
  expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ status: 200, unread: 0 });
  expect(await bridge.sample('sidestream_inbox_marks_total{result="written"}')).toBe(0);
  await inboxed.notify('a');
  expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ unread: 0 });
  expect(await bridge.sample('sidestream_inbox_marks_total{result="written"}')).toBe(1);
});

describe('an inbox refuses', () => {
  it.each<[string, string | { read: unknown }, number, string]>([
    ['a limit over the bound', '?limit=201', 400, 'INBOX_INVALID'],
    ['an order that there is not', '?order=size', 400, 'INBOX_INVALID'],
    ['a place in a list without one', '?order=priority&after=a.1', 400, 'INBOX_INVALID'],
    ['what is no id', '?after=x', 400, 'INBOX_INVALID'],
    ['a mark without an end', { read: {} }, 400, 'INBOX_INVALID'],
    ['a field besides', { read: { all: true }, too: 1 } as { read: unknown }, 400, 'INBOX_INVALID'],
    ['two marks in one', { read: { all: true, through: 'a.1' } }, 400, 'INBOX_INVALID'],
    ['no ids', { read: { ids: [] } }, 400, 'INBOX_INVALID'],
    ['too many ids', { read: { ids: Array(101).fill('a.1') } }, 400, 'INBOX_INVALID'],
    ['an id of another log', { read: { through: 'abcdef.1' } }, 409, 'INBOX_POSITION'],
  ])('%s', async (_, ask, status, code) => {
    const inboxed = await startInboxed();
    await inboxed.notify('a');
    const answer = await inboxOf(await inboxed.bridge(), ask);
    expect([answer.status, answer.error?.code]).toEqual([status, code]);
  });

  it('an id of the future, and one of another user’s message', async () => {
    const inboxed = await startInboxed();
    await inboxed.notify('mine');
    await inboxed.notify('theirs', {}, '7');
    const bridge = await inboxed.bridge();
    const { through = '' } = await inboxOf(bridge);
    const at = (offset: number) => through.replace(/\d+$/, `${offset}`);
    for (const read of [{ through: at(3) }, { ids: [at(3)] }, { ids: [at(1), at(2)] }]) {
      const answer = await inboxOf(bridge, { read });
      expect([answer.status, answer.error?.code]).toEqual([409, 'INBOX_POSITION']);
    }
    const beyond = await inboxOf(bridge, `?after=${at(3)}`);
    expect([beyond.status, beyond.error?.code]).toEqual([409, 'INBOX_POSITION']);
    expect(await inboxOf(bridge)).toMatchObject({ unread: 1 });
    // A cursor that passed another's message is a place in the log all the same.
    expect(await inboxOf(bridge, { read: { through: at(2) } })).toMatchObject({ unread: 0 });
  });

  it('whoever is not its user, and channels that have none', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    const stranger = await inboxOf(bridge, '', { sub: '7', channel: 'user-42' });
    expect([stranger.status, stranger.error?.code]).toEqual([403, 'CHANNEL_FORBIDDEN']);
    const none = await inboxOf(bridge, '', { channel: 'open' });
    expect([none.status, none.error?.code]).toEqual([404, 'NOT_FOUND']);
    const nobody = await fetch(`http://127.0.0.1:${bridge.httpPort}/events/user-42/inbox`);
    expect(nobody.status).toBe(401);
    const expired = await inboxOf(bridge, '', { sub: '42', claims: { exp: now() - 60 } });
    expect([expired.status, expired.error?.code]).toEqual([401, 'TOKEN_EXPIRED']);
    await bridge.call('revoke', { user: '42' });
    for (const ask of ['', { read: { all: true } }]) {
      const revoked = await inboxOf(bridge, ask);
      expect([revoked.status, revoked.error?.code]).toEqual([401, 'TOKEN_REVOKED']);
    }
  });
});
