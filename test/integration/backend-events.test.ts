import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BACKEND_EVENTS } from '../../src/config/presence.ts';
import { fileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { request } from '../support/stream-client.ts';
import { acquainted } from './controlled.ts';
import { longPoll } from './polling.ts';
import { AUTH, bearer, now, signed } from './protected.ts';
import { type Backend, startBackend, type Told } from './told.ts';

const ROOM = {
  channel: 'room-{id}',
  subject: 'rooms.{id}',
  access: 'public',
  presence: { claims: ['name'], leaveAfter: '1s' },
};
const OPEN = { channel: 'open-{id}', subject: 'open.{id}', access: 'public' };
const CONFIG = {
  auth: AUTH,
  sse: { retry: '100ms..200ms' },
  limits: { channelsPerConnection: 24 },
  control: { events: BACKEND_EVENTS },
  drain: { timeout: '100ms' },
  channels: { room: ROOM, open: OPEN },
};
const NEWS = { connected: 'connected', ended: 'disconnected' };

/** So many bridges on one NATS that know each other, and a backend that heard them from the first. */
async function start({ count = 1, config = CONFIG as object, jetStream = false, natsConfig = '' } = {}) {
  const nats = await startNats({ jetStream, config: natsConfig });
  const backend = await startBackend(nats);
  const bridges: TestBridge[] = [];
  for (let i = 0; i < count; i += 1) bridges.push(await startBridge({ nats, config }));
  await acquainted(bridges, count);
  const [first, second = bridges[0]] = bridges;
  if (first === undefined || second === undefined) throw new TypeError('there is no bridge');
  return { nats, backend, one: first, other: second };
}

/** Opens a stream; gives its id. */
async function opened(bridge: TestBridge, target: string, claims: object = { sub: '42' }) {
  const stream = await bridge.request(target, bearer(await signed({ ...claims })));
  const { connection } = JSON.parse((await stream.next('sidestream.open')).data);
  return { stream, connection: String(connection) };
}

/** A channel's whole life after all that is waited for: what was on its way before is there then. */
async function fence({ one, backend }: { one: TestBridge; backend: Backend }, n = 1): Promise<void> {
  const channel = `room-fence-${n}`;
  const { stream } = await opened(one, `/events/${channel}`);
  await backend.heard('presence.join', { channel });
  stream.destroy();
  await backend.heard('channel.vacated', { channel });
}

const isAbout = ({ channel }: Told) => !String(channel).startsWith('room-fence');

describe('backends are told of streams', () => {
  it('when one is live and when it is over: who, from where, on what, why', async () => {
    const { backend, one } = await start();
    const { stream, connection } = await opened(one, '/events?channels=room-1,open-2');
    const about = {
      connection,
      user: '42',
      address: '127.0.0.1',
      channels: ['room-1', 'open-2'],
      transport: 'sse',
    };
    expect(await backend.heard(NEWS.connected, { connection })).toMatchObject(about);
    stream.destroy();
    const ended = await backend.heard(NEWS.ended, { connection });
    expect(ended).toMatchObject({ ...about, reason: 'client' });
    expect(ended.durationMs).toBeGreaterThanOrEqual(0);
    await fence({ one, backend });
    expect(backend.told.filter((event) => event.connection === connection)).toHaveLength(2);
  });

  it('with the channels that a backend has put it on meanwhile', async () => {
    const { backend, one } = await start();
    const { stream, connection } = await opened(one, '/events/room-1');
    await one.call('subscribe', { connection, channels: ['room-2'], vouched: true });
    await stream.until(({ event }) => event === 'sidestream.subscribed');
    stream.destroy();
    expect(await backend.heard(NEWS.ended, { connection })).toMatchObject({ channels: ['room-1', 'room-2'] });
  });

  it('with each reason for which the bridge ends it', async () => {
    const { backend, one } = await start({ jetStream: true });
    const [put, revoked, closed] = [
      await opened(one, '/events/room-1', { sub: '1' }),
      await opened(one, '/events/room-1', { sub: '2' }),
      await opened(one, '/events/room-3', { sub: '3' }),
    ];
    const expiring = await opened(one, '/events/room-1', { sub: '4', exp: now() + 2 });
    const drained = await opened(one, '/events/room-1', { sub: '5' });
    await one.call('disconnect', { connection: put.connection });
    await one.call('revoke', { user: '2' });
    await one.call('close', { channel: 'room-3' });
    const reason = async ({ connection }: typeof put) =>
      (await backend.heard(NEWS.ended, { connection })).reason;
    expect(await reason(put)).toBe('disconnected');
    expect(await reason(revoked)).toBe('revoked');
    expect(await reason(closed)).toBe('channel-closed');
    expect(await reason(expiring)).toBe('expired');
    await one.drain();
    expect(await reason(drained)).toBe('draining');
  });

  it('that reached their age, and that are in NDJSON', async () => {
    const { backend, one } = await start({
      config: { ...CONFIG, sse: { maxAge: '1s', retry: '100ms..200ms' } },
    });
    await one.request('/events/room-1', { headers: { Accept: 'application/x-ndjson' } });
    const { connection } = await backend.heard(NEWS.connected, { transport: 'ndjson' });
    const ended = await backend.heard(NEWS.ended, { connection });
    expect(ended).toMatchObject({ transport: 'ndjson', reason: 'max-age' });
    expect(ended).not.toHaveProperty('user');
  });

  it('but not of long polls, which are members all the same', async () => {
    const { backend, one } = await start();
    await longPoll(one, '/events/room-1?wait=0s');
    await longPoll(one, '/events/room-1?wait=1s');
    await backend.heard('channel.vacated', { channel: 'room-1' });
    expect(backend.named('presence.').length).toBeGreaterThanOrEqual(2);
    expect([backend.named(NEWS.connected), backend.named(NEWS.ended)]).toEqual([[], []]);
  });
});

describe('backends are told of channels and members', () => {
  it('once for all instances, and nothing of a change from one to another in time', async () => {
    const { backend, one, other } = await start({ count: 2 });
    const channels = Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? `room-${i}` : `open-${i}`));
    const target = `/events?channels=${channels.join()}`;
    const before = await opened(one, target, { sub: '42', name: 'Ann', email: 'ann@example.com' });
    await poll('all to be occupied', () => backend.named('channel.occupied').length >= 24);
    await poll('all to be joined', () => backend.named('presence.join').length >= 12);
    const after = await opened(other, target, { sub: '42', name: 'Ann' });
    before.stream.destroy();
    await fence({ one, backend });
    expect(backend.named('presence.leave').filter(isAbout)).toEqual([]);
    after.stream.destroy();
    const rooms = channels.filter((name) => name.startsWith('room'));
    for (const channel of rooms) await backend.heard('channel.vacated', { channel });
    await fence({ one, backend }, 2);

    const names = (event: string) => backend.named(event).filter(isAbout);
    const channelsOf = (event: string) => names(event).map(({ channel }) => channel);
    expect(channelsOf('channel.occupied').sort()).toEqual([...channels].sort());
    expect(channelsOf('presence.join').sort()).toEqual([...rooms].sort());
    expect(channelsOf('presence.leave').sort()).toEqual([...rooms].sort());
    expect(channelsOf('channel.vacated').sort()).toEqual([...rooms].sort());
    const members = [{ user: '42', claims: { name: 'Ann' } }];
    for (const event of names('presence.join'))
      expect(event).toMatchObject({ route: 'room', members, count: 1 });
    for (const event of names('presence.leave')) expect(event).toMatchObject({ members, count: 0 });
    // Each has its share of the channels.
    expect(new Set(names('channel.occupied').map(({ instance }) => instance)).size).toBe(2);
    // The leave comes first.
    for (const channel of rooms) {
      const order = backend.told.filter((event) => event.channel === channel).map(({ name }) => name);
      expect(order).toEqual(['channel.occupied', 'presence.join', 'presence.leave', 'channel.vacated']);
    }
  });
});

it('who comes and goes together is told in as many messages as NATS takes', async () => {
  const { backend, one } = await start({ natsConfig: 'max_payload: 4096' });
  const subs = Array.from({ length: 20 }, (_, i) => `user-${10 + i}`);
  await Promise.all(subs.map((sub) => opened(one, '/events/room-1', { sub, name: 'x'.repeat(400) })));
  // All at once, so that they are gone at once.
  await one.call('close', { channel: 'room-1' });
  await backend.heard('channel.vacated', { channel: 'room-1' });
  for (const name of ['presence.join', 'presence.leave']) {
    const members = backend.named(name).flatMap((event) => event.members as { readonly user: string }[]);
    expect(members.map(({ user }) => user).sort()).toEqual(subs);
  }
  expect(await one.sample('sidestream_backend_events_total{result="dropped"}')).toBe(0);
});

describe('while NATS is away', () => {
  it('events are counted and gone; when it is back, instances appear again and all goes on', async () => {
    const { nats, backend, one, other } = await start({ count: 2 });
    const { connection } = await opened(one, '/events/room-1', { sub: '1' });
    await backend.heard(NEWS.connected, { connection });
    await nats.kill();
    for (const bridge of [one, other])
      await poll('the loss to be noticed', () => !bridge.metrics.natsConnected);
    const dropped = () => one.sample('sidestream_backend_events_total{result="dropped"}');
    const before = (await dropped()) ?? 0;
    const lost = await opened(one, '/events/open-2', { sub: '2' });
    lost.stream.destroy();
    await poll('both events to be dropped', async () => ((await dropped()) ?? 0) >= before + 2);
    backend.told.length = 0;
    await nats.start();
    await poll('both to appear', () => backend.named('instance.appeared').length === 2);
    const open = backend.named('instance.appeared').map(({ connections }) => connections);
    expect(open.sort()).toEqual([0, 1]);
    const { stream } = await opened(other, '/events/room-3', { sub: '3' });
    await backend.heard('presence.join', { channel: 'room-3' });
    stream.destroy();
    await backend.heard('channel.vacated', { channel: 'room-3' });
    expect(backend.told.filter((event) => event.connection === lost.connection)).toEqual([]);
    expect(backend.named('instance.gone')).toEqual([]);
  });
});

it('an instance says that it stops after the last of its streams is told of', async () => {
  const { backend, one, other } = await start({ count: 2 });
  const { connection } = await opened(other, '/events/room-1');
  await backend.heard(NEWS.connected, { connection });
  await other.stop();
  const { instance } = await backend.heard('instance.gone', { reason: 'stopped' });
  const own = backend.told.filter((event) => event.instance === instance);
  expect(own.at(-1)).toMatchObject({ name: 'instance.gone' });
  expect(own).toContainEqual(expect.objectContaining({ name: NEWS.ended, connection, reason: 'draining' }));
  await fence({ one, backend });
  expect(backend.named('instance.gone')).toHaveLength(1);
});

it('another tells of an instance that is held up, that it is back, and of all that goes with one that dies', async () => {
  const { nats, backend, one } = await start();
  const own = await backend.heard('instance.appeared');
  const { cli, httpPort } = await serve(fileConfig(CONFIG, nats));
  await cli.logged('connected to NATS');
  const { instance } = await poll('it to appear', () =>
    backend.named('instance.appeared').find((event) => event.instance !== own.instance),
  );
  await acquainted([one], 2);
  cli.signal('SIGSTOP');
  await backend.heard('instance.gone', { instance, reason: 'lost' });
  backend.told.length = 0;
  cli.signal('SIGCONT');
  await backend.heard('instance.appeared', { instance });

  const target = '/events?channels=room-1,room-2,room-3,room-4,room-5';
  const stream = await request({ port: httpPort, target, ...bearer(await signed({ sub: '42' })) });
  const { connection } = JSON.parse((await stream.next('sidestream.open')).data);
  await backend.heard(NEWS.connected, { connection, instance });
  await poll('all to be joined', () => backend.named('presence.join').length === 5);
  backend.told.length = 0;
  await cli.kill();
  await poll('all to be vacated', () => backend.named('channel.vacated').length === 5);
  await fence({ one, backend });
  expect(backend.named('instance.')).toEqual([
    expect.objectContaining({ name: 'instance.gone', instance, reason: 'lost' }),
  ]);
  expect(backend.named('presence.leave').filter(isAbout)).toHaveLength(5);
  expect(backend.named('channel.vacated').filter(isAbout)).toHaveLength(5);
  expect(backend.told.filter((event) => event.connection === connection)).toEqual([]);
}, 60_000);

it('nothing is told that nobody asked for', async () => {
  const { backend, one } = await start({ config: { ...CONFIG, control: { events: [] } } });
  const { stream } = await opened(one, '/events/room-1');
  const count = async () => {
    const answer = await fetch(`http://127.0.0.1:${one.httpPort}/events/room-1/presence`);
    return ((await answer.json()) as { readonly count: number }).count;
  };
  await poll('it to be there', async () => (await count()) === 1);
  stream.destroy();
  await poll('it to have left', async () => (await count()) === 0);
  await one.stop();
  expect(one.metrics.connections).toBe(0);
  expect(backend.told).toEqual([]);
});

describe('docs/presence.md', () => {
  const page = readFileSync(new URL('../../docs/presence.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` \| `sidestream\.event\.([\w.]+)` \| `(.*)` \|$/gm)].map(
    ([, event = '', name = '', payload = '']) => ({ event, name, payload }),
  );

  it('has every event of control.events', () => {
    expect(new Set(rows.map(({ event }) => event))).toEqual(new Set(BACKEND_EVENTS));
  });

  it('shows each as it is told', async () => {
    const { backend, one } = await start();
    const { stream } = await opened(one, '/events/room-1', { sub: '42', name: 'Ann' });
    await backend.heard('presence.join');
    stream.destroy();
    await backend.heard('channel.vacated');
    await one.stop();
    await backend.heard('instance.gone');
    for (const { name, payload } of rows) {
      const { name: _, ...told } = await backend.heard(name);
      // There are no workers here.
      const { worker, ...shown } = JSON.parse(payload);
      expect(Object.keys(told), name).toEqual(Object.keys(shown));
      for (const field of ['user', 'channels', 'channel', 'route', 'members', 'transport', 'count'])
        expect(told[field], `${name} ${field}`).toEqual(shown[field]);
    }
    expect(rows).toHaveLength(8);
  });
});
