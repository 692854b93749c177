import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type FileConfig, startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { StreamClient } from '../support/stream-client.ts';

const SECRET = 'a secret of more than thirty-two bytes for tests';
const ISSUER = 'https://id.example.com';

const CHANNELS = {
  news: { channel: 'news', subject: 'news', access: 'public' },
  members: { channel: 'members', subject: 'members', access: 'authenticated' },
  notifications: {
    channel: 'user-{id}-notifications',
    subject: 'notify.{id}.>',
    access: { where: { id: '{claims.sub}' } },
  },
  chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: { claim: 'sidestream.channels' } },
  either: {
    channel: 'team.{id}',
    subject: 'team.{id}',
    access: [{ where: { id: '{claims.team}' } }, { claim: 'sidestream.channels' }],
  },
};

const AUTH = {
  token: ['bearer', 'cookie:session', 'query:access_token'],
  jwt: { issuer: ISSUER, audience: 'sidestream', algorithms: ['HS256'], keys: [{ secret: SECRET }] },
};

const now = () => Math.floor(Date.now() / 1000);
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token signed by hand, so that a bad one can be made too. */
function token(claims: Record<string, unknown> = {}, { header = {}, secret = SECRET } = {}): string {
  const payload = { iss: ISSUER, aud: 'sidestream', sub: '42', iat: now(), exp: now() + 60, ...claims };
  const signed = `${base64({ alg: 'HS256', ...header })}.${base64(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const bearer = (value: string) => ({ headers: { Authorization: `Bearer ${value}` } });

async function setUp(config: FileConfig = {}) {
  const nats = await startNats();
  const bridge = await startBridge({ nats, config: { channels: CHANNELS, auth: AUTH, ...config } });
  /** The status and the code of what a request is answered with. */
  const answer = async (target: string, options: Parameters<typeof bridge.request>[1] = {}) => {
    const client = await bridge.request(target, options);
    if (client.status === 200) {
      client.destroy();
      return '200';
    }
    await client.ended();
    return `${client.status} ${JSON.parse(client.body).error.code}`;
  };
  return { nats, bridge, answer };
}

describe('a protected channel', () => {
  it('is refused without a token, and given with one from the header, the cookie or the query', async () => {
    const { answer } = await setUp();
    expect(await answer('/events/members')).toBe('401 TOKEN_MISSING');
    expect(await answer('/events/members', bearer(token()))).toBe('200');
    expect(await answer('/events/members', { headers: { Cookie: `a=b; session=${token()}; c=d` } })).toBe(
      '200',
    );
    expect(await answer(`/events/members?access_token=${token()}`)).toBe('200');
    expect(await answer('/events/members', { headers: { Authorization: 'Basic abc' } })).toBe(
      '401 TOKEN_MISSING',
    );
  });

  it('tells by WWW-Authenticate what is wrong with a token', async () => {
    const { bridge } = await setUp();
    const missing = await bridge.request('/events/members');
    expect(missing.header('www-authenticate')).toBe('Bearer');
    const bad = await bridge.request('/events/members', bearer('x'));
    expect(bad.header('www-authenticate')).toBe('Bearer error="invalid_token"');
  });

  it.each([
    [
      'signed with another secret',
      token({}, { secret: 'another secret of more than thirty-two bytes' }),
      'TOKEN_INVALID',
    ],
    ['of another issuer', token({ iss: 'https://evil.example.com' }), 'TOKEN_INVALID'],
    ['for another audience', token({ aud: 'someone' }), 'TOKEN_INVALID'],
    ['that expired', token({ exp: now() - 60 }), 'TOKEN_EXPIRED'],
    ['that is not valid yet', token({ nbf: now() + 60 }), 'TOKEN_INVALID'],
    ['with alg none', `${base64({ alg: 'none' })}.${base64({ iss: ISSUER, sub: '42' })}.`, 'TOKEN_INVALID'],
    ['with an unknown crit', token({}, { header: { crit: ['x'], x: 1 } }), 'TOKEN_INVALID'],
    ['of rubbish', 'rubbish', 'TOKEN_INVALID'],
  ])('refuses a token %s, on a public channel too', async (_, bad, code) => {
    const { answer } = await setUp();
    expect(await answer('/events/members', bearer(bad))).toBe(`401 ${code}`);
    expect(await answer('/events/news', bearer(bad))).toBe(`401 ${code}`);
  });

  it('is only its own user’s, and names the forbidden one among several', async () => {
    const { bridge, answer } = await setUp();
    expect(await answer('/events/user-42-notifications', bearer(token()))).toBe('200');
    expect(await answer('/events?channels=news,user-42-notifications', bearer(token()))).toBe('200');
    const refused = await bridge.request('/events?channels=news,user-43-notifications', bearer(token()));
    await refused.ended();
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body).error).toMatchObject({
      code: 'CHANNEL_FORBIDDEN',
      message: expect.stringContaining('user-43-notifications'),
    });
  });

  it.each([['*'], ['>'], ['a.b'], [['42']], ['x'.repeat(10_000)], [{ sub: '42' }], [''], [null], [1.5]])(
    'is given to nobody whose claim is %j',
    async (sub) => {
      const { answer } = await setUp();
      for (const id of ['42', 'x', '1']) {
        expect(await answer(`/events/user-${id}-notifications`, bearer(token({ sub })))).toMatch(/^40[13] /);
      }
    },
  );

  it('is given by patterns in a claim, where * is one value', async () => {
    const { answer } = await setUp();
    const claims = { sidestream: { channels: ['chat-*', 'team.9'] } };
    expect(await answer('/events/chat-lobby', bearer(token(claims)))).toBe('200');
    expect(await answer('/events/chat-lobby', bearer(token()))).toBe('403 CHANNEL_FORBIDDEN');
    expect(await answer('/events/team.9', bearer(token(claims)))).toBe('200');
    expect(await answer('/events/team.7', bearer(token({ team: 7 })))).toBe('200');
    expect(await answer('/events/team.8', bearer(token(claims)))).toBe('403 CHANNEL_FORBIDDEN');
  });

  it('verifies a token once for many connections', async () => {
    const { bridge, answer } = await setUp();
    const known = token();
    for (let i = 0; i < 5; i += 1) expect(await answer('/events/members', bearer(known))).toBe('200');
    expect(await bridge.sample('sidestream_token_checks_total{result="miss"}')).toBe(1);
    expect(await bridge.sample('sidestream_token_checks_total{result="hit"}')).toBe(4);
  });

  it('gives back what it counted when the client leaves before its token is judged', async () => {
    const { bridge } = await setUp({ limits: { connections: 5 } });
    for (let i = 0; i < 20; i += 1) {
      new StreamClient({
        port: bridge.httpPort,
        target: '/events/members',
        ...bearer(token({ jti: String(i) })),
      }).destroy();
    }
    await poll(
      'room again',
      async () => (await bridge.request('/events/members', bearer(token()))).status === 200,
    );
    await poll('nothing held', () => bridge.metrics.connections <= 1);
  });
});

describe('while connected', () => {
  it('a stream ends as expired when its token does', async () => {
    const { bridge } = await setUp();
    const client = await bridge.stream('/events/members', bearer(token({ exp: now() + 2 })));
    const close = await client.next('sidestream.close');
    expect(JSON.parse(close.data)).toMatchObject({ reason: 'expired' });
    await client.ended();
  });

  it('no stream is given that would end at once, for a token that only the clock tolerance lets pass', async () => {
    const { answer } = await setUp();
    expect(await answer('/events/members', bearer(token({ exp: now() - 1 })))).toBe('401 TOKEN_EXPIRED');
  });

  it('a user has no more streams than the limit, and other users are not hindered', async () => {
    const { bridge, answer } = await setUp({ limits: { connectionsPerUser: 2 } });
    const first = await bridge.stream('/events/members', bearer(token()));
    await bridge.stream('/events/members', bearer(token({ jti: 'another' })));
    expect(await answer('/events/members', bearer(token()))).toBe('429 CONNECTION_LIMIT_USER');
    expect(await answer('/events/members', bearer(token({ sub: '43' })))).toBe('200');
    first.destroy();
    await poll('a seat', async () => (await answer('/events/members', bearer(token()))) === '200');
  });

  it('an address with many bad tokens is slowed down, but not those with good ones that share it', async () => {
    const { bridge, answer } = await setUp();
    const good = token();
    expect(await answer('/events/members', bearer(good))).toBe('200');
    const answers = new Set<string>();
    for (let i = 0; i < 30; i += 1) answers.add(await answer('/events/members', bearer(`bad-${i}`)));
    expect([...answers]).toEqual(['401 TOKEN_INVALID', '429 AUTH_RATE']);
    expect(await answer('/events/members', bearer(good))).toBe('200');
    expect(await bridge.sample('sidestream_requests_refused_total{reason="AUTH_RATE"}')).toBeGreaterThan(0);
  });

  it.each([
    ['is rubbish', () => 'rubbish', '401 TOKEN_INVALID'],
    ['has expired', () => token({ exp: now() - 60 }), '401 TOKEN_EXPIRED'],
  ])('a page that brings for ever a token that %s locks nobody out', async (_, stale, refused) => {
    const { answer } = await setUp({ auth: { ...AUTH, failureRate: '1/h' } });
    const old = stale();
    for (let i = 0; i < 30; i += 1) expect(await answer('/events/members', bearer(old))).toBe(refused);
    expect(await answer('/events/members', bearer(token()))).toBe('200');
  });

  it('no token stands in any log line', async () => {
    const { bridge, answer } = await setUp();
    const secrets = [token(), token({ sub: 'x' }, { secret: 'wrong wrong wrong wrong wrong wrong wrong' })];
    for (const secret of secrets) {
      await answer(`/events/members?access_token=${secret}`);
      await answer('/events/members', bearer(secret));
    }
    const logged = JSON.stringify(bridge.logs);
    for (const secret of secrets) for (const part of secret.split('.')) expect(logged).not.toContain(part);
    expect(logged).not.toContain('access_token');
  });
});

describe('automatic channels', () => {
  const channels = {
    ...CHANNELS,
    broadcast: { channel: 'broadcast', subject: 'broadcast', access: 'public', automatic: 'everyone' },
    mine: {
      channel: 'user.{id}',
      subject: 'user.{id}',
      access: { where: { id: '{claims.sub}' } },
      automatic: 'authenticated',
    },
  };

  it('reach everybody, and one user on every connection by one publication', async () => {
    const { nats, bridge } = await setUp({ channels });
    const anonymous = await bridge.request('/events/news');
    const phone = await bridge.request('/events/members', bearer(token()));
    const laptop = await bridge.request('/events', bearer(token({ jti: '2' })));
    const names = async (client: typeof phone) =>
      JSON.parse((await client.next('sidestream.open')).data).channels.map(
        ({ channel }: { channel: string }) => channel,
      );
    expect(await names(anonymous)).toEqual(['news', 'broadcast']);
    expect(await names(phone)).toEqual(['members', 'broadcast', 'user.42']);
    expect(await names(laptop)).toEqual(['broadcast', 'user.42']);
    await nats.subscribed('user.42');
    await nats.subscribed('broadcast');
    const publisher = await startPublisher(nats);
    await publisher.publish('user.42', 'for you');
    await publisher.publish('broadcast', 'for all');
    expect((await phone.next('message')).data).toBe('for you');
    expect((await laptop.next('message')).data).toBe('for you');
    for (const client of [phone, laptop, anonymous])
      expect((await client.next('message')).data).toBe('for all');
  });

  it('give no channel to a claim that is no single safe token', async () => {
    const { bridge } = await setUp({ channels });
    const client = await bridge.request('/events', bearer(token({ sub: 'a.>' })));
    expect(JSON.parse((await client.next('sidestream.open')).data).channels).toEqual([
      { channel: 'broadcast', resume: 'live', replayed: 0 },
    ]);
  });
});
