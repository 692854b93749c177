import type { Msg } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { type Respond, startBackend } from '../auth/backend.ts';
import { answerJson, startIntrospection } from '../auth/introspection-server.ts';
import { startJwksServer } from '../auth/jwks-server.ts';
import { NOW_S, signer, token } from '../auth/tokens.ts';
import { type StreamOptions, startBridge } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { StreamClient } from '../support/stream-client.ts';
import { AUTH, answerTo, bearer, cookie, now, signed } from './protected.ts';

const OVERLOADED = '200 overloaded AUTH_UNAVAILABLE';
const UNAVAILABLE = '503 AUTH_UNAVAILABLE';

const CHANNELS = {
  news: { channel: 'news', subject: 'news', access: 'public' },
  mine: { channel: 'user-{id}', subject: 'user.{id}', access: { where: { id: '{claims.sub}' } } },
};

async function setUp(auth: Readonly<Record<string, unknown>>, clock?: ManualClock) {
  const nats = await startNats();
  const bridge = await startBridge({
    nats,
    config: { channels: CHANNELS, auth: { token: AUTH.token, ...auth } },
    ...(clock !== undefined && { clock }),
  });
  return { nats, bridge };
}

describe('introspection', () => {
  it('lets in whom the authorisation server knows, as whom it says', async () => {
    const server = await startIntrospection((res, { body }) => {
      const known = new URLSearchParams(body).get('token') === 'known';
      answerJson(res, known ? { active: true, sub: '42', exp: now() + 60 } : { active: false });
    });
    const { bridge } = await setUp({ introspection: { url: server.url } });
    expect(await answerTo(bridge, '/events/user-42', bearer('known'))).toBe('200');
    expect(await answerTo(bridge, '/events/user-42', cookie('known'))).toBe('200');
    expect(await answerTo(bridge, '/events/user-43', bearer('known'))).toBe('403 CHANNEL_FORBIDDEN');
    expect(await answerTo(bridge, '/events/user-42', bearer('unknown'))).toBe('401 TOKEN_INVALID');
    expect(await answerTo(bridge, '/events/user-42')).toBe('401 TOKEN_MISSING');
    expect(server.asked).toHaveLength(2);
  });

  it('that fails lets nobody in: each is told in its way to come back, and is let in when it works again', async () => {
    let isWell = false;
    const server = await startIntrospection((res) =>
      isWell ? answerJson(res, { active: true, sub: '42' }) : answerJson(res, { active: true }, 500),
    );
    const { bridge } = await setUp({ introspection: { url: server.url } });
    const refused = await bridge.request('/events/user-42', bearer('a'));
    expect(Number(refused.header('retry-after'))).toBeGreaterThan(0);
    expect(await answerTo(bridge, '/events/user-42', bearer('a'))).toBe(UNAVAILABLE);
    expect(await answerTo(bridge, '/events/user-42?errors=http', cookie('a'))).toBe(UNAVAILABLE);
    expect(await answerTo(bridge, '/events/user-42', cookie('a'))).toBe(OVERLOADED);
    expect(await answerTo(bridge, '/events/news', cookie('a'))).toBe(OVERLOADED);
    expect(await bridge.sample('sidestream_requests_refused_total{reason="AUTH_UNAVAILABLE"}')).toBe(5);
    expect(await bridge.sample('sidestream_auth_faults_total{service="introspection",fault="status"}')).toBe(
      5,
    );
    isWell = true;
    expect(await answerTo(bridge, '/events/user-42', cookie('a'))).toBe('200');
    expect(await bridge.sample('sidestream_auth_questions_total{service="introspection"}')).toBe(6);
    expect(await bridge.sample('sidestream_auth_faults_total{service="introspection",fault="status"}')).toBe(
      5,
    );
  });

  it('that is gone keeps out those who are not known yet, and nobody else', async () => {
    const server = await startIntrospection((res) => answerJson(res, { active: true, sub: '42' }));
    const { bridge } = await setUp({ introspection: { url: server.url } });
    expect(await answerTo(bridge, '/events/user-42', bearer('known'))).toBe('200');
    await server.stop();
    expect(await answerTo(bridge, '/events/user-42', bearer('new'))).toBe(UNAVAILABLE);
    expect(await answerTo(bridge, '/events/user-42', bearer('known'))).toBe('200');
    expect(await answerTo(bridge, '/events/news')).toBe('200');
  });

  it('is asked again when what it said was known for as long as the config says, and then believed', async () => {
    let active = true;
    const server = await startIntrospection((res) => answerJson(res, { active, sub: '42' }));
    const clock = new ManualClock();
    const { bridge } = await setUp({ introspection: { url: server.url }, cache: { maxTtl: '30s' } }, clock);
    expect(await answerTo(bridge, '/events/user-42', bearer('a'))).toBe('200');
    active = false;
    clock.advance(29_999);
    expect(await answerTo(bridge, '/events/user-42', bearer('a'))).toBe('200');
    clock.advance(1);
    expect(await answerTo(bridge, '/events/user-42', bearer('a'))).toBe('401 TOKEN_INVALID');
    expect(server.asked).toHaveLength(2);
  });

  it('keeps no seat for a client that leaves while its token is asked about, and gives none back twice', async () => {
    const held: (() => void)[] = [];
    const server = await startIntrospection((res) => {
      held.push(() => answerJson(res, { active: true, sub: '42' }));
    });
    const nats = await startNats();
    const config = {
      channels: CHANNELS,
      limits: { connections: 1 },
      auth: { introspection: { url: server.url } },
    };
    const bridge = await startBridge({ nats, config });
    const leaves = new StreamClient({ port: bridge.httpPort, target: '/events/user-42', ...bearer('slow') });
    await poll('the question', () => held.length === 1);
    expect(await answerTo(bridge, '/events/news?errors=http')).toBe('503 CONNECTION_LIMIT');
    leaves.destroy();
    await poll('the seat', async () => (await answerTo(bridge, '/events/news')) === '200');
    for (const answer of held) answer();
    // Once it is known, the answer has come.
    await poll(
      'the token to be known',
      async () => (await answerTo(bridge, '/events/user-42', bearer('slow'))) === '200',
    );
    const stays = await poll('the only seat', async () => {
      const stream = await bridge.request('/events/news');
      return (await stream.next()).event === 'sidestream.open' && stream;
    });
    expect(await answerTo(bridge, '/events/news?errors=http')).toBe('503 CONNECTION_LIMIT');
    expect(server.asked).toHaveLength(1);
    expect(bridge.logs.filter(({ level }) => level === 'error')).toEqual([]);
    stays.destroy();
  });

  it('is asked about so many tokens at a time of one address, and leaves the others their part', async () => {
    const held: (() => void)[] = [];
    const server = await startIntrospection((res) => {
      held.push(() => answerJson(res, { active: true, sub: '42' }));
    });
    const nats = await startNats();
    const auth = { introspection: { url: server.url, concurrency: 100 } };
    const config = { channels: CHANNELS, http: { trustedProxies: ['127.0.0.1'] }, auth };
    const bridge = await startBridge({ nats, config });
    const ask = (token: string, address: string) =>
      answerTo(bridge, '/events/user-42', {
        headers: { ...bearer(token).headers, 'X-Forwarded-For': address },
      });
    // An IPv6 network of 64 bits is one client.
    const answers = Array.from({ length: 64 }, (_, n) => ask(`token-${n}`, `2001:db8::${n}`));
    await poll('the questions', () => held.length === 64);
    expect(await ask('one-more', '2001:db8::ffff')).toBe('429 AUTH_RATE');
    answers.push(ask('of-another', '2001:db8:0:1::1'));
    await poll('the question of another', () => held.length === 65);
    for (const answer of held) answer();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['200']));
  });

  it('lets nobody in with what it gave to another service', async () => {
    const server = await startIntrospection((res, { body }) => {
      const aud = new URLSearchParams(body).get('token') === 'ours' ? ['events'] : 'mail';
      answerJson(res, { active: true, sub: '42', aud });
    });
    const { bridge } = await setUp({ introspection: { url: server.url, audience: 'events' } });
    expect(await answerTo(bridge, '/events/user-42', bearer('ours'))).toBe('200');
    expect(await answerTo(bridge, '/events/user-42', bearer('theirs'))).toBe('401 TOKEN_INVALID');
  });

  it('is asked once for fifty who bring one token at the same time', async () => {
    const waiting: (() => void)[] = [];
    const server = await startIntrospection((res) => {
      waiting.push(() => answerJson(res, { active: true, sub: '42' }));
    });
    const { bridge } = await setUp({ introspection: { url: server.url } });
    const answers = Array.from({ length: 50 }, () => answerTo(bridge, '/events/user-42', bearer('one')));
    await poll(
      'fifty to wait',
      async () => (await bridge.sample('sidestream_token_checks_total{result="miss"}')) === 50,
    );
    await poll('the question', () => waiting.length > 0);
    for (const answer of waiting) answer();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['200']));
    expect(server.asked).toHaveLength(1);
  });
});

describe('a callout', () => {
  const callout = { subject: 'auth.token' };

  it('lets in with the claims that a backend gives, and keeps out whom it refuses', async () => {
    const { nats, bridge } = await setUp({ callout });
    const backend = await startBackend(nats, 'auth.token', (msg, { token: asked }) =>
      msg.respond(JSON.stringify(asked === 'known' ? { claims: { sub: '42' } } : { refused: 'signed out' })),
    );
    const headers = { ...bearer('known').headers, Origin: 'https://app.example', 'User-Agent': 'a browser' };
    expect(await answerTo(bridge, '/events?channels=news,user-42', { headers })).toBe('200');
    expect(JSON.parse(backend.asked[0] ?? '')).toEqual({
      version: 1,
      kind: 'connect',
      token: 'known',
      address: '127.0.0.1',
      origin: 'https://app.example',
      userAgent: 'a browser',
      channels: ['news', 'user-42'],
    });
    expect(await answerTo(bridge, '/events/user-43', bearer('known'))).toBe('403 CHANNEL_FORBIDDEN');
    expect(await answerTo(bridge, '/events/news', bearer('unknown'))).toBe('401 TOKEN_INVALID');
    expect(backend.asked).toHaveLength(2);
  });

  it.each([
    ['no JSON', 'yes'],
    ['neither claims nor a refusal', '{}'],
    ['both', '{"claims":{"sub":"42"},"refused":"no"}'],
    ['an expiry that is no number', '{"claims":{"sub":"42","exp":"tomorrow"}}'],
  ])('whose answer is %s lets nobody in', async (_, nonsense) => {
    const { nats, bridge } = await setUp({ callout });
    await startBackend(nats, 'auth.token', (msg) => msg.respond(nonsense));
    expect(await answerTo(bridge, '/events/user-42', bearer('a'))).toBe(UNAVAILABLE);
    expect(await answerTo(bridge, '/events/user-42', cookie('a'))).toBe(OVERLOADED);
  });

  it('that nobody answers lets nobody in until somebody does', async () => {
    const { nats, bridge } = await setUp({ callout });
    expect(await answerTo(bridge, '/events/user-42', bearer('a'))).toBe(UNAVAILABLE);
    expect(await answerTo(bridge, '/events/user-42', cookie('a'))).toBe(OVERLOADED);
    await startBackend(nats, 'auth.token', (msg) => msg.respond('{"claims":{"sub":"42"}}'));
    expect(await answerTo(bridge, '/events/user-42', cookie('a'))).toBe('200');
  });
});

describe('a callout for each subscription', () => {
  const channels = {
    news: { channel: 'news', subject: 'news', access: 'public' },
    rooms: { channel: 'room-{id}', subject: 'room.{id}', access: { callout: 'may.listen' } },
  };

  async function withBackend(respond: Respond, auth: Readonly<Record<string, unknown>> = {}) {
    const nats = await startNats();
    const bridge = await startBridge({ nats, config: { channels, auth: { ...AUTH, ...auth } } });
    const backend = await startBackend(nats, 'may.listen', respond);
    return { nats, bridge, questions: () => backend.asked.map((text) => JSON.parse(text)) };
  }

  const say = (msg: Msg, allow: unknown) => msg.respond(JSON.stringify({ allow }));

  it('is told who they are and decides each channel; a public one beside them is not its business', async () => {
    const { bridge, questions } = await withBackend((msg, { channel }) => say(msg, channel !== 'room-3'));
    const known = bearer(await signed({ role: 'editor' }));
    expect(await answerTo(bridge, '/events?channels=news,room-1,room-2', known)).toBe('200');
    expect(questions().map(({ channel }) => channel)).toEqual(['room-1', 'room-2']);
    expect(questions()[0]).toMatchObject({ kind: 'subscribe', claims: { sub: '42', role: 'editor' } });
    const refused = await bridge.request('/events?channels=room-1,room-3', known);
    await refused.ended();
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body).error.message).toContain('(room-3)');
  });

  it('may let in who brings no token', async () => {
    const { bridge, questions } = await withBackend((msg, { channel }) => say(msg, channel === 'room-1'));
    expect(await answerTo(bridge, '/events/room-1')).toBe('200');
    expect(await answerTo(bridge, '/events/room-2')).toBe('403 CHANNEL_FORBIDDEN');
    expect(questions().map(({ claims }) => claims)).toEqual([null, null]);
  });

  it('is asked again by who comes back: what it allowed once is not remembered', async () => {
    let allow = true;
    const { bridge } = await withBackend((msg) => say(msg, allow));
    const known = bearer(await signed());
    expect(await answerTo(bridge, '/events/room-1', known)).toBe('200');
    allow = false;
    expect(await answerTo(bridge, '/events/room-1', known)).toBe('403 CHANNEL_FORBIDDEN');
  });

  it('is asked once a while where its answers may be remembered, by whomever they are about', async () => {
    const access = { cache: { allowTtl: '1h', denyTtl: '1h' } };
    const { bridge, questions } = await withBackend((msg, { channel }) => say(msg, channel === 'room-1'), {
      access,
    });
    const [known, other] = await Promise.all([signed(), signed({ sub: '43' })]);
    for (const token of [known, other, known, other]) {
      expect(await answerTo(bridge, '/events/room-1', bearer(token))).toBe('200');
      expect(await answerTo(bridge, '/events/room-2', cookie(token))).toBe('403 CHANNEL_FORBIDDEN');
    }
    expect(questions().map(({ channel, claims }) => [channel, claims.sub])).toEqual([
      ['room-1', '42'],
      ['room-2', '42'],
      ['room-1', '43'],
      ['room-2', '43'],
    ]);
  });

  it('is waited for no longer, and by no more, than its own part of the config says', async () => {
    const access = { timeout: '100ms', concurrency: 1 };
    const { bridge, questions } = await withBackend(() => undefined, { access });
    const answers = Array.from({ length: 7 }, (_, index) => answerTo(bridge, `/events/room-${index}`));
    expect(new Set(await Promise.all(answers))).toEqual(new Set([OVERLOADED]));
    // One at a time, and four that wait: of those too some may have waited too long.
    expect(questions().length).toBeLessThan(6);
  });

  it('that says neither yes nor no lets nobody in, with a token or without; the public channel goes on', async () => {
    const { bridge } = await withBackend((msg) => say(msg, 'perhaps'));
    const known = await signed();
    expect(await answerTo(bridge, '/events/room-1', bearer(known))).toBe(UNAVAILABLE);
    expect(await answerTo(bridge, '/events/room-1', cookie(known))).toBe(OVERLOADED);
    expect(await answerTo(bridge, '/events/room-1')).toBe(OVERLOADED);
    expect(await answerTo(bridge, '/events/news', cookie(known))).toBe('200');
  });

  it('is not asked about a bad token', async () => {
    const { bridge, questions } = await withBackend((msg) => say(msg, true));
    expect(await answerTo(bridge, '/events/room-1', bearer('bad'))).toBe('401 TOKEN_INVALID');
    expect(questions()).toEqual([]);
  });
});

describe('what is asked of the services', () => {
  it('is counted for each that the config names, and so are its faults, from zero on', async () => {
    const nats = await startNats();
    const rooms = { channel: 'room-{id}', subject: 'room.{id}', access: { callout: 'may.listen' } };
    const config = { channels: { ...CHANNELS, rooms }, auth: { callout: { subject: 'auth.token' } } };
    const bridge = await startBridge({ nats, config });
    const questions = async () =>
      Promise.all(
        ['callout', 'access', 'introspection'].map((service) =>
          bridge.sample(`sidestream_auth_questions_total{service="${service}"}`),
        ),
      );
    const faults = async () =>
      Promise.all(
        [
          ['callout', 'unreachable'],
          ['access', 'malformed'],
          ['access', 'unreachable'],
        ].map(([service, fault]) =>
          bridge.sample(`sidestream_auth_faults_total{service="${service}",fault="${fault}"}`),
        ),
      );
    expect([await questions(), await faults()]).toEqual([
      [0, 0, undefined],
      [0, 0, 0],
    ]);
    expect(await answerTo(bridge, '/events/user-42', bearer('a'))).toBe(UNAVAILABLE);
    await startBackend(nats, 'auth.token', (msg) => void msg.respond('{"claims":{"sub":"42"}}'));
    await startBackend(nats, 'may.listen', (msg) => void msg.respond('perhaps'));
    expect(await answerTo(bridge, '/events/room-1', bearer('a'))).toBe(UNAVAILABLE);
    expect([await questions(), await faults()]).toEqual([
      [2, 1, undefined],
      [1, 1, 0],
    ]);
  });
});

describe('an issuer that publishes its keys', () => {
  /** The issuer's shortest cool-down. */
  const COOLDOWN_MS = 1000;
  /** The keys are old by then; the tokens below are not. */
  const LATER_MS = 3_600_000;

  it('may change them: tokens of both work, also while the key server is down', async () => {
    const [old, fresh, foreign] = await Promise.all(
      ['old', 'new', 'foreign'].map((kid) => signer('ES256', kid)),
    );
    if (old === undefined || fresh === undefined || foreign === undefined) throw new TypeError('no keys');
    const server = await startJwksServer();
    server.publish(old.jwk);
    const clock = new ManualClock();
    const jwks = { cooldown: '1s', maxAge: '10m' };
    const { bridge } = await setUp({ jwt: { algorithms: ['ES256'], jwksUrl: server.url, jwks } }, clock);
    let serial = 0;
    // Each token is another, so that none is known already.
    const by = async (who: typeof old, options: (token: string) => StreamOptions = bearer) => {
      serial += 1;
      const claims = { jti: `${serial}`, exp: NOW_S + 2 * (LATER_MS / 1000) };
      return answerTo(bridge, '/events/user-42', options(await token(who, { claims })));
    };
    expect(await by(old)).toBe('200');
    expect(await by(fresh)).toBe('401 TOKEN_INVALID');
    server.publish(fresh.jwk, old.jwk);
    clock.advance(COOLDOWN_MS);
    expect(await by(fresh)).toBe('200');
    expect(await by(old)).toBe('200');
    await server.close();
    clock.advance(LATER_MS);
    expect(await by(old)).toBe('200');
    expect(await by(fresh)).toBe('200');
    // Nobody can say now whether there is such a key.
    expect(await by(foreign)).toBe(UNAVAILABLE);
    expect(await by(foreign, cookie)).toBe(OVERLOADED);
  });
});
