import type { NatsConnection } from '@nats-io/transport-node';
import { expect, it } from 'vitest';
import { SPECS } from '../../src/control/operations/all.ts';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { CONTROL_PAGE } from './pair.ts';

const [, PERMISSIONS = ''] = /^```conf\n([\s\S]*?)^```$/m.exec(CONTROL_PAGE) ?? [];
const USERS = ['', 'sidestream', 'backend', 'app', 'reader', 'publisher'];
/** The subjects of the one route, as the page says that they are to be added. */
const CONFIG = PERMISSIONS.replace('subscribe: [', 'subscribe: ["chat.*", ').replace(
  'publish: [',
  'publish: [ "chat.*"',
);

async function logIn(nats: NatsServer, user: string): Promise<NatsConnection> {
  const pass = `change-me-${USERS.indexOf(user)}`;
  return (await startPublisher(nats, { user, pass })).connection;
}

/** Two instances, as a server with the page's permissions lets them. */
async function startGuarded(): Promise<{ nats: NatsServer; bridges: TestBridge[] }> {
  const nats = await startNats({ jetStream: true, config: CONFIG });
  const auth = { user: 'sidestream', password: 'change-me-1' };
  const channels = { chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: 'public' } };
  const config = { nats: { servers: [nats.url], auth }, channels };
  const bridges = [await startBridge({ nats, config }), await startBridge({ nats, config })];
  const backend = await logIn(nats, 'backend');
  await poll('both to know each other', async () => {
    const answer = await backend.request('sidestream.api.instances', '').catch(() => undefined);
    return answer?.json<{ list: unknown[] }>().list.length === 2;
  });
  return { nats, bridges };
}

async function outcome(connection: NatsConnection, operation: string, fields: object): Promise<string> {
  const request = connection.request(`sidestream.api.${operation}`, JSON.stringify(fields));
  return request.then(
    (answer) => answer.json<{ error?: { code: string } }>().error?.code ?? 'ok',
    (error: Error) => (/permissions violation/i.test(error.message) ? 'refused by NATS' : String(error)),
  );
}

it('the permissions on the page are enough for the instances and the operator', async () => {
  const { nats, bridges } = await startGuarded();
  const [bridge] = bridges;
  const backend = await logIn(nats, 'backend');
  const stream = await bridge?.request('/events/chat-lobby');
  const { connection } = JSON.parse((await stream?.next('sidestream.open'))?.data ?? '{}');
  await nats.subscribed('chat.lobby');
  expect(await outcome(backend, 'publish', { channel: 'chat-lobby', data: 'hello' })).toBe('ok');
  expect((await stream?.next('message'))?.data).toBe('hello');
  expect(await outcome(backend, 'create', { channel: 'chat-made', timeout: '1h' })).toBe('ok');
  expect(await outcome(backend, 'connection', { connection })).toBe('ok');
  expect(await outcome(backend, 'disconnect', { connection })).toBe('ok');
  const lines = bridges.flatMap(({ logs }) => logs);
  expect(lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
}, 60_000);

it('a reader sees everything and changes nothing, a publisher publishes and no more, others may nothing', async () => {
  const { nats } = await startGuarded();
  const [reader, publisher, app] = await Promise.all(
    ['reader', 'publisher', 'app'].map((user) => logIn(nats, user)),
  );
  const allowed = new Map<string, string[]>();
  for (const [user, connection] of Object.entries({ reader, publisher, app })) {
    if (connection === undefined) continue;
    for (const { name } of SPECS) {
      // Fields that no operation has: what is let through is refused by the operation.
      const came = await outcome(connection, name, { nonsense: true });
      if (came !== 'refused by NATS') allowed.set(user, [...(allowed.get(user) ?? []), name]);
    }
  }
  const reads = SPECS.filter(({ kind }) => kind === 'read').map(({ name }) => name);
  expect(Object.fromEntries(allowed)).toEqual({ reader: reads, publisher: ['publish', 'publishBatch'] });
}, 60_000);
