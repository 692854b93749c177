import { expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { ATTENDED, agree, attend, membersOf, toldUntil } from './attending.ts';
import { inboxOf, ROUTES, startInboxed } from './inboxed.ts';
import { AUTH, bearer, signed } from './protected.ts';

test('who is on a channel was never away by another config, and is known where presence is new', async () => {
  const bridge = await startBridge({ nats: await startNats(), config: ATTENDED });
  const ada = await attend(bridge, 'room-1', 'ada');
  await attend(bridge, 'room-1', 'bob');
  await attend(bridge, 'bare-1', 'cara');
  await agree([bridge.httpPort], 'room-1', ['ada', 'bob']);
  const { room, bare, ...others } = ATTENDED.channels as Readonly<Record<string, object>>;
  const presence = { leaveAfter: '1s', claims: ['name'] };
  const channels = { ...others, room: { ...room, presence, throttle: '100ms' }, bare: { ...bare, presence } };
  expect(await bridge.reload({ ...ATTENDED, channels })).toEqual([]);
  await agree([bridge.httpPort], 'bare-1', ['cara']);
  await attend(bridge, 'room-1', 'dan');
  expect(await toldUntil(ada, 'join dan')).toEqual(['join ada', 'join bob', 'join dan']);
  await agree([bridge.httpPort], 'room-1', ['ada', 'bob', 'dan']);
  const without = { ...channels, room: { ...room, presence: false } };
  await bridge.reload({ ...ATTENDED, channels: without });
  expect((await membersOf(bridge.httpPort, 'room-1')).status).toBe(404);
  await bridge.reload({ ...ATTENDED, channels });
  await agree([bridge.httpPort], 'room-1', ['ada', 'bob', 'dan']);
  ada.destroy();
  await agree([bridge.httpPort], 'room-1', ['bob', 'dan']);
});

test('an inbox goes on counting by another policy of its route, and comes and goes with it', async () => {
  const inboxed = await startInboxed();
  const bridge = await inboxed.bridge();
  const stream = await bridge.stream('/events/user-42', bearer(await signed({ sub: '42' })));
  const unread = async (count: number) => {
    await stream.until(
      ({ event, data }) => event === 'sidestream.unread' && JSON.parse(data).unread === count,
    );
  };
  await inboxed.notify('one');
  await unread(1);
  const { notifications } = ROUTES;
  const channels = (more: object) => ({
    auth: AUTH,
    channels: { ...ROUTES, notifications: { ...notifications, ...more } },
  });
  await bridge.reload(channels({ slow: 'drop', event: 'note' }));
  await inboxed.notify('two');
  await unread(2);
  expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ unread: 0 });
  await unread(0);
  await bridge.reload(channels({ inbox: false }));
  expect((await inboxOf(bridge)).status).toBe(404);
  await bridge.reload(channels({}));
  await inboxed.notify('three');
  await unread(1);
  expect(await inboxOf(bridge)).toMatchObject({ unread: 1, list: [{ data: 'three' }] });
});

test('channels that nobody made are gone where their route becomes dynamic', async () => {
  const inboxed = await startInboxed();
  const bridge = await inboxed.bridge();
  const stream = await bridge.stream('/events/open');
  await bridge.logged('channels that are made or closed at run time are kept in NATS, in a key-value bucket');
  await bridge.reload({ auth: AUTH, channels: { ...ROUTES, open: { ...ROUTES.open, dynamic: true } } });
  const { data } = await stream.next('sidestream.close');
  expect(JSON.parse(data).reason).toBe('reconfigured');
});
