import { connect as openSocket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { fileConfig, startBridge } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { request, type StreamClient } from '../support/stream-client.ts';
import { isAlive, startWorkers } from '../workers/running.ts';
import { ATTENDED, agree, attend, type MembersPage, membersOf, toldUntil } from './attending.ts';
import { acquainted } from './controlled.ts';
import { cookie, signed } from './protected.ts';

const STORM = 2000;

test('members of an instance that is killed are gone long before they leave; who comes back in time has never left', async () => {
  const nats = await startNats();
  const one = await startBridge({ nats, config: ATTENDED });
  const { cli, httpPort: port } = await serve(fileConfig(ATTENDED, nats));
  await cli.logged('connected to NATS');
  await acquainted([one], 2);
  const dying = {
    stream: async (target: string, options = {}): Promise<StreamClient> => {
      const client = await request({ port, target, ...options });
      await client.next('sidestream.open');
      return client;
    },
  };
  const [hall, room] = [await attend(one, 'hall-1', 'ada'), await attend(one, 'room-1', 'ada')];
  for (const user of ['bob', 'eve']) await attend(dying, 'hall-1', user);
  await attend(dying, 'room-1', 'bob');
  await agree([one.httpPort, port], 'hall-1', ['ada', 'bob', 'eve']);
  await agree([one.httpPort, port], 'room-1', ['ada', 'bob']);
  await cli.kill();
  await agree([one.httpPort], 'hall-1', ['ada']);
  expect(await toldUntil(room, 'leave bob')).toContain('join bob');
  await attend(one, 'hall-1', 'bob');
  await attend(one, 'hall-1', 'zoe');
  expect((await toldUntil(hall, 'join zoe')).filter((line) => line !== 'join ada')).toEqual([
    'join bob',
    'join eve',
    'join zoe',
  ]);
  await agree([one.httpPort], 'hall-1', ['ada', 'bob', 'zoe']);
});

test('what happened while NATS was away is known to all when it is back', async () => {
  const nats = await startNats();
  const one = await startBridge({ nats, config: ATTENDED });
  const other = await startBridge({ nats, config: ATTENDED });
  await acquainted([one, other]);
  const ports = [one.httpPort, other.httpPort];
  const leaving = [await attend(one, 'room-1', 'ada'), await attend(other, 'room-1', 'bob')];
  await attend(one, 'room-1', 'eve');
  await agree(ports, 'room-1', ['ada', 'bob', 'eve']);
  await nats.stop();
  for (const bridge of [one, other])
    await poll('the connection to be lost', () => !bridge.metrics.natsConnected);
  for (const stream of leaving) stream.destroy();
  await attend(one, 'room-1', 'kim');
  await attend(other, 'room-1', 'zoe');
  await agree([one.httpPort], 'room-1', ['bob', 'eve', 'kim']);
  await nats.start();
  await agree(ports, 'room-1', ['eve', 'kim', 'zoe']);
  for (const bridge of [one, other])
    await poll('all of it', async () => (await bridge.sample('sidestream_presence_incomplete')) === 0);
});

test('a storm of members is told in few messages, and all of them are there, and gone', async () => {
  const nats = await startNats();
  const limits = { connectRate: '100000/s' };
  const open = { channel: 'open', subject: 'open', access: 'public', presence: { leaveAfter: '1s' } };
  const config = { channels: { open }, limits };
  const one = await startBridge({ nats, config });
  const other = await startBridge({ nats, config });
  await acquainted([one, other]);
  const watcher = await one.stream('/events/open');
  const sockets = Array.from({ length: STORM }, (_, index) => {
    const socket = openSocket(index % 2 === 0 ? one.httpPort : other.httpPort, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write('GET /events/open HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n');
    return socket;
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  let told = 0;
  const events = await watcher.until(({ data }) => {
    const { members, more = 0 } = JSON.parse(data);
    told += members.length + more;
    return told === STORM + 1;
  });
  expect(new Set(events.map(({ event }) => event))).toEqual(new Set(['sidestream.join']));
  expect(Math.max(...events.map(({ data }) => data.length))).toBeLessThan(6 * 1024);
  for (const { httpPort } of [one, other]) expect(await all(httpPort)).toBe(STORM + 1);
  const sent = 'sidestream_presence_messages_total{kind="deltasSent"}';
  expect((await one.sample(sent)) ?? 0).toBeLessThan(STORM / 4);
  for (const socket of sockets) socket.destroy();
  watcher.destroy();
  for (const bridge of [one, other])
    await poll('nobody', async () => (await bridge.sample('sidestream_presence_members')) === 0);
});

/** Different members, over all pages of which the first must already count them all. */
async function all(port: number): Promise<number> {
  const url = `http://127.0.0.1:${port}/events/open/presence?limit=300`;
  const ids = new Set<string>();
  let next: string | undefined;
  do {
    const after = next === undefined ? '' : `&after=${encodeURIComponent(next)}`;
    const page = (await (await fetch(`${url}${after}`)).json()) as MembersPage;
    expect(page.count).toBe(STORM + 1);
    for (const { id = '' } of page.members) ids.add(id);
    next = page.next;
  } while (next !== undefined);
  return ids.size;
}

test('workers know each other’s members; those of one that is killed are gone', async () => {
  const nats = await startNats();
  const { auth, channels = {} } = ATTENDED;
  const workers = await startWorkers(nats, { auth: auth ?? {}, channels });
  const users = new Map<string, number>();
  while (new Set(users.values()).size < 2 || users.size < 6) {
    const user = `user-${users.size}`;
    const { headers } = cookie(await signed({ sub: user }));
    // One that has only just connected to NATS may still refuse it.
    const [, worker] = await poll('a stream', () => workers.tryStream('/events/hall-1', headers));
    users.set(user, worker);
  }
  // Each request is taken by a worker that the kernel chooses.
  const port = workers.httpPort;
  await agree([port, port, port, port], 'hall-1', [...users.keys()]);
  const pid = workers.pidOf(1);
  process.kill(pid, 'SIGKILL');
  await poll('its end', () => !isAlive(pid));
  const rest = [...users].filter(([, worker]) => worker !== 1).map(([user]) => user);
  await poll('the others alone', async () => (await membersOf(port, 'hall-1')).count === rest.length);
  await agree([port, port, port, port], 'hall-1', rest);
});
