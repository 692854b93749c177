import { describe, expect, it } from 'vitest';
import {
  Authenticator,
  type AuthenticatorOptions,
  type KnowingVerifier,
  type Petition,
} from '../../src/auth/authenticator.ts';
import { type TokenFault, toIdentity, type Verification } from '../../src/auth/identity.ts';
import { Revocations } from '../../src/auth/revocations.ts';
import { parseConfig } from '../../src/config/load.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { REQUEST } from './cached.ts';

const JWT = 'header.claims.signature';
const OPAQUE = 'an-opaque-token';

const ROUTES = {
  news: { channel: 'news', subject: 'news', access: 'public' },
  members: { channel: 'members', subject: 'members', access: 'authenticated' },
  room: { channel: 'room-{id}', subject: 'room.{id}', access: { callout: 'may.listen' } },
};

/** What is found about a token, at once or later. */
class Finds implements KnowingVerifier {
  readonly asked: string[] = [];
  known: Verification | undefined;
  found: Verification = toIdentity({ sub: '42' });

  peek(): Verification | undefined {
    return this.known;
  }

  async verify(token: string): Promise<Verification> {
    this.asked.push(token);
    return this.found;
  }
}

type Access = Awaited<ReturnType<AuthenticatorOptions['askAccess']>>;

function setUp(routes: Readonly<Record<string, unknown>> = ROUTES, over: Partial<AuthenticatorOptions> = {}) {
  const auth = { callout: { subject: 'auth.token' } };
  const { config } = parseConfig(JSON.stringify({ auth, channels: routes }), 'test.yaml', {});
  const router = new Router(config.channels);
  const revocations = new Revocations(new ManualClock());
  const jwt = new Finds();
  const backend = { answer: (_: string): Access => 'allow', asked: [] as string[] };
  const authenticator = new Authenticator({
    router,
    revocations,
    jwt,
    redeem: async () => 'first',
    async askAccess(_, __, channel) {
      backend.asked.push(channel);
      return backend.answer(channel);
    },
    ...over,
  });
  const permit = (channels: readonly string[], token?: string, petition: Partial<Petition> = {}) => {
    const destinations = channels.flatMap((channel) => router.resolve(channel) ?? []);
    expect(destinations).toHaveLength(channels.length);
    const mayVerify = () => true;
    const objection = () => undefined;
    const asked = { token, destinations, request: REQUEST, client: REQUEST.address, mayVerify, objection };
    return authenticator.permit({ ...asked, ...petition });
  };
  /** The channels that are given, or why none is. */
  const outcome = async (...asked: Parameters<typeof permit>) => {
    const result = await permit(...asked);
    return 'refused' in result ? result : result.destinations.map(({ channel }) => channel);
  };
  return { permit, outcome, jwt, backend, revocations };
}

describe('a token that is known', () => {
  it('is judged at once, without a promise', () => {
    const { permit, jwt } = setUp();
    jwt.known = toIdentity({ sub: '42' });
    expect(permit(['members'], JWT)).toMatchObject({ identity: { subject: '42' } });
    expect(jwt.asked).toEqual([]);
  });

  it('is judged even for an address that is slowed down; one that is not known is not checked then', async () => {
    const { outcome, jwt } = setUp();
    const slowed = { mayVerify: () => false };
    expect(await outcome(['members'], JWT, slowed)).toMatchObject({ refused: 'AUTH_RATE', badToken: false });
    expect(jwt.asked).toEqual([]);
    jwt.known = toIdentity({ sub: '42' });
    expect(await outcome(['members'], JWT, slowed)).toEqual(['members']);
  });
});

describe('a token that is not accepted', () => {
  it.each<[TokenFault, string, boolean]>([
    ['malformed', 'TOKEN_INVALID', true],
    ['invalid', 'TOKEN_INVALID', true],
    ['not-yet-valid', 'TOKEN_INVALID', true],
    ['expired', 'TOKEN_EXPIRED', true],
    ['revoked', 'TOKEN_REVOKED', true],
    // Nobody said that it is bad: who waits for a service that is down must not be slowed down for it.
    ['unavailable', 'AUTH_UNAVAILABLE', false],
  ])('because it is %s refuses the request, a public channel too', async (fault, refused, badToken) => {
    const { outcome, jwt } = setUp();
    jwt.found = { rejected: fault, detail: 'of the test' };
    for (const channel of ['members', 'news'])
      expect(await outcome([channel], JWT)).toMatchObject({ refused, badToken });
  });

  it('slows nobody down once that is known, nor where it was good once: a page may bring it for ever', async () => {
    const { outcome, jwt } = setUp();
    jwt.found = { rejected: 'expired', detail: 'of the test', wasGood: true };
    expect(await outcome(['news'], JWT)).toMatchObject({ refused: 'TOKEN_EXPIRED', badToken: false });
    jwt.known = { rejected: 'invalid', detail: 'of the test' };
    expect(await outcome(['news'], JWT)).toMatchObject({ refused: 'TOKEN_INVALID', badToken: false });
  });

  it('may have been revoked since it was checked', async () => {
    const { outcome, jwt, revocations } = setUp();
    jwt.known = toIdentity({ sub: '42', jti: '7' });
    expect(await outcome(['members'], JWT)).toEqual(['members']);
    revocations.add({ target: { tokenId: '7' }, untilMs: Number.POSITIVE_INFINITY });
    expect(await outcome(['members'], JWT)).toMatchObject({ refused: 'TOKEN_REVOKED', badToken: false });
  });
});

describe('tokens that are being checked', () => {
  /** A verifier that finds nothing until it is told to. */
  function setUpHolding(kind: 'jwt' | 'opaque') {
    const held: (() => void)[] = [];
    const verifier: KnowingVerifier = {
      peek: () => undefined,
      verify: () => new Promise((found) => held.push(() => found(toIdentity({ sub: '42' })))),
    };
    const ask = { jwt: JWT, opaque: OPAQUE }[kind];
    const { outcome } = setUp(ROUTES, { [kind]: verifier });
    return { held, by: (client: string) => outcome(['members'], ask, { client }) };
  }

  it.each([
    ['jwt', 512],
    ['opaque', 64],
  ] as const)('%s: are so many at once of one client, and another is not hindered', async (kind, most) => {
    const { held, by } = setUpHolding(kind);
    const answers = Array.from({ length: most }, () => by('a'));
    expect(await by('a')).toMatchObject({ refused: 'AUTH_RATE', badToken: false });
    answers.push(by('b'));
    expect(held).toHaveLength(most + 1);
    held.pop()?.();
    held.shift()?.();
    expect(await answers[0]).toEqual(['members']);
    answers.push(by('a'));
    expect(held).toHaveLength(most);
    expect(await by('a')).toMatchObject({ refused: 'AUTH_RATE' });
    for (const find of held) find();
    expect(new Set((await Promise.all(answers)).map(String))).toEqual(new Set(['members']));
  });

  it('and channels that a backend is asked about: so many requests at once of one client', async () => {
    const held: (() => void)[] = [];
    const askAccess = () => new Promise<Access>((answer) => held.push(() => answer('allow')));
    const { outcome } = setUp(ROUTES, { askAccess });
    const by = (client: string) => outcome(['room-1'], undefined, { client });
    const answers = Array.from({ length: 64 }, () => by('a'));
    expect(await by('a')).toMatchObject({ refused: 'AUTH_RATE', badToken: false });
    answers.push(by('b'));
    for (const answer of held.splice(0)) answer();
    expect(new Set((await Promise.all(answers)).map(String))).toEqual(new Set(['room-1']));
    answers.push(by('a'));
    expect(held).toHaveLength(1);
  });
});

describe('where both ways to check tokens are configured', () => {
  it.each([
    [JWT, 'jwt'],
    ['header.claims.', 'jwt'],
    [OPAQUE, 'opaque'],
    ['two.parts', 'opaque'],
    ['four.parts.are.none', 'opaque'],
    ['..', 'opaque'],
  ])('%s goes to %s', async (token, to) => {
    const opaque = new Finds();
    const { outcome, jwt } = setUp(ROUTES, { opaque });
    expect(await outcome(['members'], token)).toEqual(['members']);
    expect({ jwt: jwt.asked, opaque: opaque.asked }).toEqual({ jwt: [], opaque: [], [to]: [token] });
  });
});

describe('where a backend is asked', () => {
  it('each of its channels is, and no other', async () => {
    const { outcome, backend } = setUp();
    expect(await outcome(['news', 'room-1', 'room-2'])).toEqual(['news', 'room-1', 'room-2']);
    expect(backend.asked).toEqual(['room-1', 'room-2']);
  });

  it('it is not, where another channel is forbidden anyway', async () => {
    const { outcome, backend } = setUp();
    expect(await outcome(['room-1', 'members'])).toMatchObject({
      refused: 'TOKEN_MISSING',
      channel: 'members',
    });
    expect(backend.asked).toEqual([]);
  });

  it('a no outweighs silence: coming back would not help', async () => {
    const { outcome, backend } = setUp();
    backend.answer = (channel) => (channel === 'room-1' ? 'unavailable' : 'deny');
    expect(await outcome(['room-1', 'room-2'])).toMatchObject({
      refused: 'CHANNEL_FORBIDDEN',
      channel: 'room-2',
    });
    backend.answer = (channel) => (channel === 'room-1' ? 'allow' : 'unavailable');
    expect(await outcome(['room-1', 'room-2'])).toMatchObject({
      refused: 'AUTH_UNAVAILABLE',
      channel: 'room-2',
      badToken: false,
    });
  });
});

describe('automatic channels', () => {
  const own = {
    channel: 'user-{id}',
    subject: 'user.{id}',
    access: { where: { id: '{claims.sub}' } },
    automatic: 'authenticated',
  };

  it('come to those with a token only, though everybody may read the route', async () => {
    const notices = { channel: 'notices', subject: 'notices', access: 'public', automatic: 'authenticated' };
    const { outcome } = setUp({ ...ROUTES, notices });
    expect(await outcome(['news'])).toEqual(['news']);
    expect(await outcome(['notices'])).toEqual(['notices']);
    expect(await outcome(['news'], JWT)).toEqual(['news', 'notices']);
  });

  it('come only to those whom the rules of the route allow', async () => {
    const access = { claim: 'rooms' };
    const staff = { channel: 'staff', subject: 'staff', access, automatic: 'authenticated' };
    const { outcome, jwt } = setUp({ ...ROUTES, staff });
    expect(await outcome(['news'], JWT)).toEqual(['news']);
    jwt.found = toIdentity({ sub: '42', rooms: ['staff'] });
    expect(await outcome(['news'], JWT)).toEqual(['news', 'staff']);
  });

  it('come once, where they are asked for as well', async () => {
    const { outcome } = setUp({ ...ROUTES, own });
    expect(await outcome(['user-42', 'news'], JWT)).toEqual(['user-42', 'news']);
    expect(await outcome([], JWT)).toEqual(['user-42']);
  });

  it.each([['a.b'], ['*'], [['42']], [undefined]])('do not come for a claim of %j', async (sub) => {
    const { outcome, jwt } = setUp({ ...ROUTES, own });
    jwt.found = toIdentity({ sub });
    expect(await outcome(['news'], JWT)).toEqual(['news']);
  });
});
