import { describe, expect, it } from 'vitest';
import { startBackend } from '../auth/backend.ts';
import { command } from '../control/running.ts';
import { KEPT, LOST, MEMORY_ONLY } from '../control/stored.ts';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';
import { AUTH, answerTo, bearer, now, signed } from './protected.ts';

const CHANNELS = {
  members: { channel: 'members', subject: 'members', access: 'authenticated' },
  news: { channel: 'news', subject: 'news', access: 'public' },
  rooms: { channel: 'room-{id}', subject: 'room.{id}', access: { callout: 'may.listen' } },
};

async function startOne(nats: NatsServer): Promise<TestBridge> {
  return startBridge({ nats, config: { channels: CHANNELS, auth: AUTH } });
}

/** Two instances on one NATS, and a backend that sends commands. */
async function setUp() {
  const nats = await startNats({ jetStream: true });
  const [one, two] = await Promise.all([startOne(nats), startOne(nats)]);
  for (const bridge of [one, two]) await bridge.logged(KEPT);
  return { nats, one, two, ...(await startPublisher(nats)) };
}

/** Waits for the stream's good end; gives what its page was told as the reason. */
async function reasonOf(client: StreamClient): Promise<string> {
  const close = await client.next('sidestream.close');
  await client.ended();
  return JSON.parse(close.data).reason;
}

const reasonsOf = (...clients: StreamClient[]) => Promise.all(clients.map(reasonOf));

/** An event reaches each of them: they are still there, and were told nothing in between. */
async function areOpen(nats: NatsServer, ...clients: StreamClient[]): Promise<void> {
  const publisher = await startPublisher(nats);
  for (const subject of ['members', 'news']) await publisher.publish(subject, 'still there');
  for (const client of clients) expect((await client.next('message')).data).toBe('still there');
}

const member = async (bridge: TestBridge, claims: Readonly<Record<string, unknown>> = {}) =>
  bridge.stream('/events/members', bearer(await signed(claims)));

const asMember = async (bridge: TestBridge, claims: Readonly<Record<string, unknown>> = {}) =>
  answerTo(bridge, '/events/members', bearer(await signed(claims)));

describe('a revocation reaches every instance:', () => {
  it('a user’s streams end and their tokens are refused; everybody else stays', async () => {
    const { nats, one, two, connection } = await setUp();
    const theirs = [await member(one), await member(one, { jti: 'phone' }), await member(two)];
    const others = [
      await member(one, { sub: '43' }),
      await member(two, { sub: '43' }),
      await two.stream('/events/news'),
    ];
    const answers = await command(connection, 'revoke', { user: '42' }, 2);
    expect(new Set(answers.map(({ instance }) => instance)).size).toBe(2);
    expect(answers.map(({ closed }) => closed).sort()).toEqual([1, 2]);
    for (const answer of answers) expect(answer).toMatchObject({ ok: true, persisted: true });
    expect(await reasonsOf(...theirs)).toEqual(['revoked', 'revoked', 'revoked']);
    for (const bridge of [one, two]) {
      expect(await asMember(bridge)).toBe('401 TOKEN_REVOKED');
      expect(await asMember(bridge, { sub: '43' })).toBe('200');
      expect(await asMember(bridge, { iat: now() + 2 })).toBe('200');
    }
    await areOpen(nats, ...others);
  });

  it('one token’s streams end, and the user’s other devices stay', async () => {
    const { nats, one, two, connection } = await setUp();
    const stolen = [await member(one, { jti: 'stolen' }), await member(two, { jti: 'stolen' })];
    const kept = [await member(one, { jti: 'kept' }), await member(two)];
    const answers = await command(connection, 'revoke', { tokenId: 'stolen' }, 2);
    expect(answers.map(({ closed }) => closed)).toEqual([1, 1]);
    expect(await reasonsOf(...stolen)).toEqual(['revoked', 'revoked']);
    for (const bridge of [one, two]) {
      expect(await asMember(bridge, { jti: 'stolen' })).toBe('401 TOKEN_REVOKED');
      expect(await asMember(bridge, { jti: 'kept' })).toBe('200');
    }
    await areOpen(nats, ...kept);
  });

  it('everybody’s streams end whose token is older than a time', async () => {
    const { nats, one, two, connection } = await setUp();
    const issuedBefore = now() - 100;
    const old = [
      await member(one, { iat: issuedBefore }),
      await member(two, { sub: '43', iat: issuedBefore - 1 }),
    ];
    const newer = [await member(one, { iat: issuedBefore + 1 }), await member(two, { sub: '43' })];
    await command(connection, 'revoke', { issuedBefore }, 2);
    expect(await reasonsOf(...old)).toEqual(['revoked', 'revoked']);
    for (const bridge of [one, two]) {
      expect(await asMember(bridge, { sub: 'anybody', iat: issuedBefore })).toBe('401 TOKEN_REVOKED');
      expect(await asMember(bridge, { sub: 'anybody', iat: undefined })).toBe('401 TOKEN_REVOKED');
      expect(await asMember(bridge, { sub: 'anybody', iat: issuedBefore + 1 })).toBe('200');
    }
    await areOpen(nats, ...newer);
  });

  it('one that is started later refuses as well, and those before need not be there any more', async () => {
    const { nats, one, two, connection } = await setUp();
    await command(connection, 'revoke', { user: '42' }, 2);
    await command(connection, 'revoke', { tokenId: 'stolen' }, 2);
    await one.stop();
    await two.stop();
    const later = await startOne(nats);
    expect(await asMember(later)).toBe('401 TOKEN_REVOKED');
    expect(await asMember(later, { sub: '43', jti: 'stolen' })).toBe('401 TOKEN_REVOKED');
    expect(await asMember(later, { sub: '43' })).toBe('200');
  });

  it('who waits to be allowed a channel meanwhile is not let in', async () => {
    const { nats, one, connection } = await setUp();
    const waiting: (() => void)[] = [];
    await startBackend(nats, 'may.listen', (msg) => {
      waiting.push(() => msg.respond('{"allow":true}'));
    });
    const answer = answerTo(one, '/events/room-1', bearer(await signed()));
    await poll('the backend to be asked', () => waiting.length === 1);
    await command(connection, 'revoke', { user: '42' }, 2);
    for (const allow of waiting) allow();
    expect(await answer).toBe('401 TOKEN_REVOKED');
  });
});

describe('a disconnection', () => {
  it('ends a user’s streams on every instance, and lets them come back', async () => {
    const { nats, one, two, connection } = await setUp();
    const theirs = [await member(one), await member(two)];
    const other = await member(two, { sub: '43' });
    const answers = await command(connection, 'disconnect', { user: '42' }, 2);
    expect(answers.map(({ ok, closed }) => [ok, closed])).toEqual([
      [true, 1],
      [true, 1],
    ]);
    expect(await reasonsOf(...theirs)).toEqual(['disconnected', 'disconnected']);
    const back = await Promise.all([member(one), member(two)]);
    await areOpen(nats, ...back, other);
  });

  it('ends the one stream that is named, whoever opened it and whichever instance has it', async () => {
    const { nats, one, two, connection } = await setUp();
    const known = bearer(await signed());
    const named = await one.request('/events?channels=members,news', known);
    const anonymous = await two.request('/events/news');
    const others = [await member(one), await member(two), await two.stream('/events/news')];
    for (const client of [named, anonymous]) {
      const id = JSON.parse((await client.next('sidestream.open')).data).connection;
      const answers = await command(connection, 'disconnect', { connection: id }, 2);
      expect(answers.map(({ closed }) => closed).sort()).toEqual([0, 1]);
      expect(await reasonOf(client)).toBe('disconnected');
    }
    expect(await answerTo(one, '/events/members', known)).toBe('200');
    await areOpen(nats, ...others);
  });
});

describe('who comes before it is known what was revoked', () => {
  /** A server without JetStream, and somebody who answers for one as the test says. */
  async function setUpAnswering(code: number) {
    const nats = await startNats();
    const { connection } = await startPublisher(nats);
    const answering = { code };
    connection.subscribe('$JS.API.INFO', {
      callback: (_, message) => {
        const error = { code: 503, err_code: answering.code, description: 'not now' };
        message.respond(JSON.stringify({ type: 'io.nats.jetstream.api.v1.account_info_response', error }));
      },
    });
    await connection.flush();
    return { nats, answering };
  }
  // Codes of the server's own list: 10008 is a cluster without a leader, 10039 an account without JetStream.
  const [NO_LEADER, NO_JETSTREAM] = [10008, 10039];

  it('is told to come back, though NATS is there, until JetStream has answered', async () => {
    const { nats, answering } = await setUpAnswering(NO_LEADER);
    const bridge = await startBridge({ nats, config: { channels: CHANNELS, auth: AUTH }, connected: false });
    await bridge.logged(LOST);
    expect(bridge.metrics.natsConnected).toBe(true);
    expect(await asMember(bridge)).toBe('503 NATS_NOT_READY');
    answering.code = NO_JETSTREAM;
    await bridge.connected();
    expect(await asMember(bridge)).toBe('200');
  });

  it('is told so as well where there is no JetStream, if it is required', async () => {
    const { nats } = await setUpAnswering(NO_JETSTREAM);
    const config = { channels: CHANNELS, auth: AUTH, control: { requireJetStream: true } };
    const bridge = await startBridge({ nats, config, connected: false });
    await bridge.logged(/nobody is let in$/);
    expect(await asMember(bridge)).toBe('503 NATS_NOT_READY');
  });
});

describe('a revoked reader who does not read', () => {
  it('is cut off within a second, whatever waits for it', async () => {
    const nats = await startNats();
    const clock = new ManualClock({ wallMs: Date.now() });
    const config = { channels: CHANNELS, auth: AUTH, limits: { pending: '16MiB' } };
    const bridge = await startBridge({ nats, clock, config });
    const publisher = await startPublisher(nats);
    const client = await member(bridge);
    client.pause();
    await poll('the reader to be behind', async () => {
      for (let i = 0; i < 20; i += 1) await publisher.publish('members', 'x'.repeat(60_000));
      return bridge.metrics.slowConnections === 1;
    });
    expect(await command(publisher.connection, 'revoke', { user: '42' })).toMatchObject([{ closed: 1 }]);
    expect(bridge.metrics.connections).toBe(1);
    clock.advance(1000);
    await poll('the stream to be cut off', () => bridge.metrics.connections === 0);
    expect(await bridge.sample('sidestream_connections_closed_total{reason="revoked"}')).toBe(1);
    expect(bridge.metrics.pendingBytes).toBe(0);
  });
});

describe('without JetStream', () => {
  it('a revocation works in memory, which is told, and ends with the process', async () => {
    const nats = await startNats();
    const bridge = await startOne(nats);
    const { connection } = await startPublisher(nats);
    expect(await bridge.logged(MEMORY_ONLY)).toMatchObject({ level: 'warn' });
    const client = await member(bridge);
    expect(await command(connection, 'revoke', { user: '42' })).toMatchObject([
      { ok: true, closed: 1, persisted: false },
    ]);
    expect(await reasonOf(client)).toBe('revoked');
    expect(await asMember(bridge)).toBe('401 TOKEN_REVOKED');
    const later = await startOne(nats);
    expect(await asMember(later)).toBe('200');
  });

  it('a disconnection works', async () => {
    const nats = await startNats();
    const bridge = await startOne(nats);
    const { connection } = await startPublisher(nats);
    const client = await member(bridge);
    await command(connection, 'disconnect', { user: '42' });
    expect(await reasonOf(client)).toBe('disconnected');
    expect(await asMember(bridge)).toBe('200');
  });
});
