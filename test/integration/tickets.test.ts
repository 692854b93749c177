import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { startBackend } from '../auth/backend.ts';
import { command } from '../control/running.ts';
import { ManualClock } from '../support/clock.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';
import { AUTH, answerTo, bearer, now, signed } from './protected.ts';
import { ALONE, asStatus, at, SHARED, startTicketed, TICKET_AUTH, ticket } from './ticketed.ts';

const USED = '401 TOKEN_USED';

/** Two instances on one NATS with JetStream. */
async function startTwo() {
  const nats = await startNats({ jetStream: true });
  const [one, two] = await Promise.all([startTicketed(nats), startTicketed(nats)]);
  return { nats, one, two };
}

async function reasonOf(client: StreamClient): Promise<string> {
  const close = await client.next('sidestream.close');
  await client.ended();
  return JSON.parse(close.data).reason;
}

/** An event of the user's channel reaches the stream: it is open. */
async function isFed(nats: NatsServer, client: StreamClient): Promise<void> {
  await nats.subscribed('user.42');
  await (await startPublisher(nats)).publish('user.42', 'for you');
  expect((await client.next('message')).data).toBe('for you');
}

describe('a ticket', () => {
  it('opens one stream, and no second one anywhere', async () => {
    const { nats, one, two } = await startTwo();
    const text = await ticket();
    const stream = await one.stream(at(text));
    for (const bridge of [one, two, two]) expect(await answerTo(bridge, at(text))).toBe(USED);
    await isFed(nats, stream);
    expect(await two.sample('sidestream_requests_refused_total{reason="TOKEN_USED"}')).toBe(2);
    expect(await answerTo(two, at(await ticket()))).toBe('200');
  });

  it('that comes several times at once opens one stream', async () => {
    const { one, two } = await startTwo();
    for (let round = 0; round < 5; round += 1) {
      const text = await ticket();
      const asked = [one, two, one, two, one, two].map((bridge) => answerTo(bridge, at(text)));
      expect((await Promise.all(asked)).sort()).toEqual(['200', USED, USED, USED, USED, USED]);
    }
  });

  it('is still used after the bridges and NATS were restarted', async () => {
    const { nats, one, two } = await startTwo();
    const text = await ticket();
    expect(await answerTo(one, at(text))).toBe('200');
    await one.stop();
    await two.stop();
    await nats.restart();
    const later = await startTicketed(nats);
    expect(await answerTo(later, at(text))).toBe(USED);
    expect(await answerTo(later, at(await ticket()))).toBe('200');
  });

  it('of another issuer with the same jti is another one', async () => {
    const nats = await startNats({ jetStream: true });
    const [, tickets] = TICKET_AUTH.jwt;
    const jwt = [tickets, { ...tickets, issuer: 'others' }];
    const bridge = await startTicketed(nats, { config: { auth: { ...TICKET_AUTH, jwt } } });
    const iss = ['tickets', 'others', 'tickets', 'others'];
    const answers: string[] = [];
    for (const name of iss) answers.push(await answerTo(bridge, at(await ticket({ iss: name, jti: 'x' }))));
    expect(answers).toEqual(['200', '200', USED, USED]);
  });

  it('leaves other issuers’ tokens as they are: good until they expire', async () => {
    const { one } = await startTwo();
    const token = await signed({ jti: 'kept' });
    for (let i = 0; i < 3; i += 1) expect(await answerTo(one, '/events/user-42', bearer(token))).toBe('200');
  });

  it('stands in no line of the log and in no metric, whatever comes of it', async () => {
    const { nats, one } = await startTwo();
    const good = await ticket({ jti: 'sesame' });
    const old = await ticket({ iat: now() - 120 });
    const long = await ticket({ exp: now() + 3600 });
    const late = await ticket();
    const answers = [await answerTo(one, at(good)), await answerTo(one, at(good))];
    for (const bad of [old, long]) answers.push(await answerTo(one, at(bad)));
    await nats.stop();
    await poll('the connection to be lost', () => !one.metrics.natsConnected);
    answers.push(await answerTo(one, at(late)));
    expect(answers).toEqual([
      '200',
      USED,
      '401 TOKEN_EXPIRED',
      '401 TOKEN_INVALID',
      '200 overloaded AUTH_UNAVAILABLE',
    ]);
    const metrics = await (await fetch(`${one.opsUrl}/metrics`)).text();
    const written = [...one.logs.map((line) => JSON.stringify(line)), metrics].join('\n');
    expect(written).toContain('exp is later after iat than a ticket may be good');
    for (const part of [good, old, long, late].flatMap((text) => text.split('.')))
      expect(written).not.toContain(part);
    expect(written).not.toMatch(/sesame|ticket=/);
  });

  it('that grows too old while a backend is asked opens nothing, though nobody may remember its use', async () => {
    const clock = new ManualClock();
    const nats = await startNats();
    const bridge = await startTicketed(nats, { clock });
    await startBackend(nats, 'may.listen', (msg) => {
      clock.advance(65_000);
      msg.respond('{"allow":true}');
    });
    const text = await ticket({}, clock.wall() / 1000);
    expect(await answerTo(bridge, at(text, 'room-1'))).toBe('401 TOKEN_EXPIRED');
    expect(bridge.metrics.connections).toBe(0);
  });
});

describe('a ticket is not used up', () => {
  it('by a request that is refused for something else', async () => {
    const nats = await startNats({ jetStream: true });
    const bridge = await startTicketed(nats, { config: { limits: { connectionsPerUser: 1 } } });
    await startBackend(nats, 'may.listen', (msg) => void msg.respond('{"allow":false}'));
    const text = await ticket();
    expect(await answerTo(bridge, at(text, 'user-43'))).toBe('403 CHANNEL_FORBIDDEN');
    expect(await answerTo(bridge, at(text, 'room-1'))).toBe('403 CHANNEL_FORBIDDEN');
    expect(await answerTo(bridge, at(text, 'nowhere'))).toBe('404 CHANNEL_UNKNOWN');
    for (const method of ['HEAD', 'OPTIONS', 'POST']) await bridge.request(at(text), { method });
    const first = await bridge.stream('/events/user-42', bearer(await signed()));
    expect(await answerTo(bridge, at(text))).toBe('200 overloaded CONNECTION_LIMIT_USER');
    first.destroy();
    await poll('the stream to be gone', () => bridge.metrics.connections === 0);
    expect(await answerTo(bridge, at(text))).toBe('200');
    expect(await answerTo(bridge, at(text))).toBe(USED);
  });

  it('while NATS is away: the page is asked to come back, and then it is good', async () => {
    const { nats, one } = await startTwo();
    await one.logged(SHARED);
    const text = await ticket();
    await nats.stop();
    await poll('the connection to be lost', () => !one.metrics.natsConnected);
    expect(await answerTo(one, at(text))).toBe('200 overloaded AUTH_UNAVAILABLE');
    expect(await answerTo(one, asStatus(text))).toBe('503 AUTH_UNAVAILABLE');
    await nats.start();
    await one.connected();
    await poll('tickets to be taken again', async () => (await answerTo(one, at(text))) === '200');
    expect(await answerTo(one, at(text))).toBe(USED);
  });
});

describe('the stream that a ticket opened', () => {
  async function startManual() {
    const clock = new ManualClock();
    const nats = await startNats({ jetStream: true });
    const bridge = await startTicketed(nats, { clock, config: { sse: { heartbeat: '0s' } } });
    const nowS = clock.wall() / 1000;
    return { clock, nats, bridge, issue: (claims = {}) => ticket(claims, nowS) };
  }

  it('outlives the ticket, to the end of the session; then the page needs a new one', async () => {
    const { clock, nats, bridge, issue } = await startManual();
    const text = await issue();
    const stream = await bridge.stream(at(text));
    clock.advance(3_599_000);
    await isFed(nats, stream);
    expect(await answerTo(bridge, at(text))).toBe('401 TOKEN_EXPIRED');
    clock.advance(1000);
    expect(await reasonOf(stream)).toBe('expired');
  });

  it('ends sooner where the ticket says so, and never later', async () => {
    const { clock, bridge, issue } = await startManual();
    const nowS = clock.wall() / 1000;
    const sooner = await bridge.stream(at(await issue({ session_exp: nowS + 120 })));
    const later = await bridge.stream(at(await issue({ session_exp: nowS + 1e6 })));
    clock.advance(120_000);
    expect(await reasonOf(sooner)).toBe('expired');
    expect(bridge.metrics.connections).toBe(1);
    clock.advance(3_480_000);
    expect(await reasonOf(later)).toBe('expired');
  });

  it('ends when the ticket or its user is revoked, on whichever instance it is', async () => {
    const { nats, one, two } = await startTwo();
    const { connection } = await startPublisher(nats);
    const named = await one.stream(at(await ticket({ jti: 'named', iat: now() - 2 })));
    const stays = await two.stream(at(await ticket({ sub: '43' }), 'user-43'));
    const theirs = await two.stream(at(await ticket({ iat: now() - 2 })));
    expect((await command(connection, 'revoke', { tokenId: 'named' }, 2)).map(({ ok }) => ok)).toEqual([
      true,
      true,
    ]);
    expect(await reasonOf(named)).toBe('revoked');
    await command(connection, 'revoke', { user: '42' }, 2);
    expect(await reasonOf(theirs)).toBe('revoked');
    expect(await answerTo(one, at(await ticket({ iat: now() - 2 })))).toBe('401 TOKEN_REVOKED');
    expect(two.metrics.connections).toBe(1);
    stays.destroy();
  });
});

describe('pages that bring a used or an old ticket, as a native EventSource does by itself,', () => {
  it('are not slowed down as guessers are, nor whoever shares their address', async () => {
    const nats = await startNats({ jetStream: true });
    const config = { auth: { ...TICKET_AUTH, failureRate: '1/h' } };
    const bridge = await startTicketed(nats, { config });
    const used = await ticket();
    expect(await answerTo(bridge, at(used))).toBe('200');
    for (let i = 0; i < 40; i += 1) {
      expect(await answerTo(bridge, at(used))).toBe(USED);
      const old = await ticket({ iat: now() - 600 - i, exp: now() - 540 - i });
      expect(await answerTo(bridge, at(old))).toBe('401 TOKEN_EXPIRED');
    }
    expect(await answerTo(bridge, at(await ticket()))).toBe('200');
    for (let i = 0; i < 20; i += 1)
      expect(await answerTo(bridge, at(await ticket({ exp: now() + 61 })))).toBe('401 TOKEN_INVALID');
    expect(await answerTo(bridge, at(await ticket()))).toBe('200 overloaded AUTH_RATE');
  });
});

describe('without JetStream', () => {
  it('each instance takes a ticket once, and the log says so', async () => {
    const nats = await startNats();
    const [one, two] = await Promise.all([startTicketed(nats), startTicketed(nats)]);
    for (const bridge of [one, two]) expect(await bridge.logged(ALONE)).toMatchObject({ level: 'warn' });
    const text = await ticket();
    const asked = [one, one, one].map((bridge) => answerTo(bridge, at(text)));
    expect((await Promise.all(asked)).sort()).toEqual(['200', USED, USED]);
    expect(await answerTo(two, at(text))).toBe('200');
    expect(await answerTo(two, at(text))).toBe(USED);
    expect(await one.sample('sidestream_tickets_shared')).toBe(0);
  });

  it('one is taken even while NATS is away: nobody else could be asked', async () => {
    const nats = await startNats();
    const one = await startTicketed(nats);
    await one.logged(ALONE);
    await nats.stop();
    await poll('the connection to be lost', () => !one.metrics.natsConnected);
    const text = await ticket();
    expect(await answerTo(one, at(text))).toBe('200');
    expect(await answerTo(one, at(text))).toBe(USED);
  });
});

describe('the bucket', () => {
  it('is made where tickets are taken, keeps their hashes and forgets them in time', async () => {
    const { nats, one } = await startTwo();
    const { connection } = await startPublisher(nats);
    expect(await answerTo(one, at(await ticket({ jti: 'my-jti' })))).toBe('200');
    expect(await one.sample('sidestream_tickets_shared')).toBe(1);
    const jsm = await jetstreamManager(connection);
    const { config, state } = await jsm.streams.info('KV_sidestream_tickets', { subjects_filter: '>' });
    expect(config.max_age).toBe(140e9);
    expect(Object.keys(state.subjects ?? {})).toEqual([
      expect.stringMatching(/^\$KV\.sidestream_tickets\.[0-9a-f]{64}$/),
    ]);
  });

  it('is not asked for where no issuer gives tickets', async () => {
    const nats = await startNats({ jetStream: true });
    const bridge = await startTicketed(nats, { config: { auth: AUTH } });
    await bridge.logged('revocations are kept in NATS, in a key-value bucket');
    const { connection } = await startPublisher(nats);
    const jsm = await jetstreamManager(connection);
    await expect(jsm.streams.info('KV_sidestream_tickets')).rejects.toThrow(/not found/);
  });
});
