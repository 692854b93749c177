import { describe, expect, it } from 'vitest';
import { poll } from '../support/poll.ts';
import { countTo, type InboxAnswer, inboxOf, openBadge, ROUTES, startInboxed } from './inboxed.ts';
import { bearer, signed } from './protected.ts';

async function startTwo() {
  const inboxed = await startInboxed();
  const [one, two] = await Promise.all([inboxed.bridge(), inboxed.bridge()]);
  return { inboxed, one, two };
}

const OPS_TOKEN = 'operators-token-for-tests-0123456789';

const idsOf = ({ list = [] }: Pick<InboxAnswer, 'list'>) => list.map(({ id }) => id);

describe('the count of what is unread', () => {
  it('is told to who joins, behind sidestream.open, and to nobody else once more', async () => {
    const { inboxed, one } = await startTwo();
    await inboxed.notify('a');
    const first = await openBadge(one);
    expect(await first.count(1)).toEqual({
      channel: 'user-42',
      unread: 1,
      through: expect.stringMatching(/\.0$/),
    });
    const second = await openBadge(one);
    await second.count(1);
    await inboxed.notify('b');
    const told = await first.client.until(({ event }) => event === 'sidestream.unread');
    expect(
      told.map(({ event, data }) => (event === 'sidestream.unread' ? JSON.parse(data).unread : data)),
    ).toEqual(['b', 2]);
  });

  it('is told on every instance when something comes, and when it is read at any of them', async () => {
    const { inboxed, one, two } = await startTwo();
    const badges = [await openBadge(one), await openBadge(two)];
    const all = (count: number) => Promise.all(badges.map((badge) => badge.count(count)));
    await all(0);
    await inboxed.notify('a');
    await inboxed.notify('b');
    await inboxed.notify('c');
    await all(3);
    const ids = idsOf(await inboxOf(one));
    expect(await inboxOf(two, { read: { ids: [ids[1]] } })).toMatchObject({ unread: 2 });
    await all(2);
    expect(await inboxed.control('read', { user: '42', through: ids[0] })).toMatchObject({ unread: 1 });
    await all(1);
    expect(await inboxOf(one, { read: { all: true } })).toMatchObject({ unread: 0 });
    await all(0);
  });

  it('is told in one stream with other channels, without a place in its cursor', async () => {
    const { inboxed, one } = await startTwo();
    const client = await one.stream('/events?channels=user-42,open', bearer(await signed()));
    await inboxed.notify('a');
    const [event] = (await client.until(({ event }) => event === 'sidestream.unread')).slice(-1);
    expect(JSON.parse(event?.data ?? '').unread).toBeTypeOf('number');
    const cursor = client.lastEventId;
    await inboxOf(one, { read: { all: true } });
    await client.until(({ event, data }) => event === 'sidestream.unread' && JSON.parse(data).unread === 0);
    expect(client.lastEventId).toBe(cursor);
    // An id of several positions is good for the inbox as it is.
    expect(cursor).toContain('_');
    expect(await inboxOf(one, { read: { through: cursor } })).toMatchObject({ status: 200, unread: 0 });
  });

  it('is told to a stream that is put on the channel while it is open', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    await inboxed.notify('a');
    const client = await bridge.stream('/events/open', bearer(await signed()));
    expect(await inboxed.control('subscribe', { user: '42', channels: ['user-42'] })).toMatchObject({
      streams: 1,
    });
    expect(await countTo(client, 1)).toMatchObject({ channel: 'user-42', unread: 1 });
  });

  it('does not answer a long poll as it comes, or it would ask again and again', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    await inboxed.notify('a');
    const { headers } = bearer(await signed());
    const url = `http://127.0.0.1:${bridge.httpPort}/events/user-42?wait=600ms`;
    const polled = await fetch(url, { headers: { ...headers, Accept: 'application/json' } });
    expect(await polled.json()).toMatchObject({ events: [] });
  });

  it('is told a few times a second however much comes', async () => {
    const { inboxed, one } = await startTwo();
    const badge = await openBadge(one);
    await badge.count(0);
    for (let i = 0; i < 500; i += 1) inboxed.publisher.send('notify.42', `${i}`);
    await badge.count(500);
    expect(await one.sample('sidestream_inbox_pushes_total')).toBeLessThan(50);
  });

  it('is not told where control events are off; it may be asked all the same', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge({ sse: { control: false } });
    await inboxed.notify('a');
    expect(await inboxOf(bridge, '?count=only')).toMatchObject({ unread: 1 });
    const client = await bridge.request('/events/user-42', bearer(await signed()));
    await inboxed.notify('b');
    expect((await client.next()).data).toBe('b');
    expect(await bridge.sample('sidestream_inbox_channels')).toBe(0);
  });

  it('costs no read of the stream where memory goes back far enough, for however many users come at once', async () => {
    const inboxed = await startInboxed();
    const users = Array.from({ length: 40 }, (_, index) => `${100 + index}`);
    for (const user of users) await inboxed.notify('a', {}, user);
    const bridge = await inboxed.bridge();
    const badges = await Promise.all(users.map((user) => openBadge(bridge, user)));
    await Promise.all(badges.map((badge) => badge.count(1)));
    expect(await bridge.sample('sidestream_inbox_counts_total{from="stream"}')).toBe(0);
    expect(await bridge.sample('sidestream_inbox_counts_total{from="memory"}')).toBe(users.length);
    // Nor does who comes back: it is kept as long as the channel is.
    const again = await openBadge(bridge, users[0]);
    await again.count(1);
    expect(await bridge.sample('sidestream_inbox_counts_total{from="memory"}')).toBe(users.length);
  });

  it('is kept for channels that somebody reads, and let go of with them', async () => {
    const inboxed = await startInboxed();
    const { notifications } = ROUTES;
    const bridge = await inboxed.bridge({}, { notifications: { ...notifications, linger: '0s' } });
    const badge = await openBadge(bridge);
    await badge.count(0);
    expect(await bridge.sample('sidestream_inbox_channels')).toBe(1);
    badge.client.destroy();
    await poll(
      'the channel to be let go of',
      async () => (await bridge.sample('sidestream_inbox_channels')) === 0,
    );
  });
});

describe('over the control plane', () => {
  it('an inbox is asked by its channel or its user, and read', async () => {
    const { inboxed } = await startTwo();
    await inboxed.notify('a', { 'Sse-Priority': 'normal' });
    await inboxed.notify('b', { 'Sse-Priority': 'urgent' });
    expect(await inboxed.control('unread', { channel: 'user-42' })).toMatchObject({ unread: 2 });
    const byUser = await inboxed.control('inbox', { user: '42', order: 'priority', limit: 1 });
    expect(byUser).toMatchObject({
      channel: 'user-42',
      unread: 2,
      list: [{ data: 'b', priority: 'urgent' }],
    });
    expect(await inboxed.control('read', { channel: 'user-42', ids: idsOf(byUser) })).toMatchObject({
      unread: 1,
    });
    expect(await inboxed.control('read', { user: '42', route: 'notifications', all: true })).toMatchObject({
      unread: 0,
    });
  });

  it('says and does the same over HTTP', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge({ ops: { token: OPS_TOKEN } });
    for (const text of ['a', 'b', 'c']) await inboxed.notify(text);
    const ask = async (path: string, body?: object) => {
      const headers = { Authorization: `Bearer ${OPS_TOKEN}`, 'Content-Type': 'application/json' };
      const post = body && { method: 'POST', body: JSON.stringify(body) };
      const answer = await fetch(`${bridge.opsUrl}/api/${path}`, { headers, ...post });
      return { status: answer.status, ...((await answer.json()) as Omit<InboxAnswer, 'status'>) };
    };
    expect(await ask('unread?user=42')).toMatchObject({ status: 200, unread: 3 });
    const page = await ask('inbox?channel=user-42&limit=2');
    expect(page.list?.map(({ data }) => data)).toEqual(['a', 'b']);
    expect((await ask(`inbox?user=42&after=${page.next}`)).list?.map(({ data }) => data)).toEqual(['c']);
    expect(await ask('read', { user: '42', through: page.next })).toMatchObject({ unread: 1 });
    expect(await ask('read', { user: '42', through: 'abcdef.1' })).toMatchObject({
      status: 409,
      error: { code: 'CONFLICT' },
    });
    expect((await bridge.logged('control')).operation).toBe('read');
  });

  it('refuses what is of no inbox, or contradicts itself', async () => {
    const { inboxed } = await startTwo();
    for (const [operation, input, code] of REFUSED) {
      const { error } = await inboxed.control(operation, input);
      expect([operation, input, error?.code]).toEqual([operation, input, code]);
    }
  });
});

const REFUSED: readonly (readonly [operation: string, input: object, code: string])[] = [
  ['unread', {}, 'CONTROL_INVALID'],
  ['unread', { channel: 'user-42', user: '42' }, 'CONTROL_INVALID'],
  ['unread', { channel: 'user-42', route: 'notifications' }, 'CONTROL_INVALID'],
  ['unread', { channel: 'open' }, 'CHANNEL_NOT_FOUND'],
  ['unread', { channel: 'nobody' }, 'CHANNEL_NOT_FOUND'],
  ['unread', { user: 'a.b' }, 'CHANNEL_NOT_FOUND'],
  ['unread', { user: '42', route: 'open' }, 'CHANNEL_NOT_FOUND'],
  ['inbox', { user: '42', limit: 201 }, 'CONTROL_INVALID'],
  ['inbox', { user: '42', order: 'priority', after: 'a.1' }, 'CONTROL_INVALID'],
  ['inbox', { user: '42', after: 'x' }, 'CONTROL_INVALID'],
  ['read', { user: '42' }, 'CONTROL_INVALID'],
  ['read', { user: '42', all: true, through: 'a.1' }, 'CONTROL_INVALID'],
  ['read', { user: '42', through: 'abcdef.1' }, 'CONFLICT'],
];
