import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { parse, problemsAtMarks, problemsOf } from './marked.ts';

const AUTH = 'auth: { callout: { subject: auth.token } }\n';

/** A config with one route on the channel `user.{id}`, or another, with these keys besides. */
function route(keys: string, { channel = 'user.{id}', auth = AUTH } = {}): string {
  return `${auth}channels:\n  user: { channel: "${channel}", subject: "${channel}", ${keys} }\n`;
}

function access(yaml: string): RouteConfig['access'] | undefined {
  return parse(route(`access: ${yaml}`)).channels.user?.access;
}

describe("a route's access", () => {
  it.each([
    ['public', [{ kind: 'public' }]],
    ['authenticated', [{ kind: 'authenticated' }]],
    ['{ where: { id: "{claims.sub}" } }', [{ kind: 'where', where: { id: 'sub' } }]],
    [
      '{ where: { id: "{claims.https://example.com/ids}" } }',
      [{ kind: 'where', where: { id: 'https://example.com/ids' } }],
    ],
    ['{ claim: sidestream.channels }', [{ kind: 'claim', claim: 'sidestream.channels' }]],
    ['{ callout: authz.subscribe }', [{ kind: 'callout', subject: 'authz.subscribe' }]],
    [
      '[{ claim: rooms }, { where: { id: "{claims.user.id}" } }, authenticated, { callout: a }]',
      [
        { kind: 'claim', claim: 'rooms' },
        { kind: 'where', where: { id: 'user.id' } },
        { kind: 'authenticated' },
        { kind: 'callout', subject: 'a' },
      ],
    ],
  ])('may be %s', (yaml, expected) => expect(access(yaml)).toEqual(expected));

  it('may name several parameters, of which each must equal its claim', () => {
    const keys = 'access: { where: { org: "{claims.org}", id: "{claims.sub}" } }';
    expect(parse(route(keys, { channel: '{org}.{id}' })).channels.user?.access).toEqual([
      { kind: 'where', where: { org: 'org', id: 'sub' } },
    ]);
  });

  it.each([
    [
      'another word',
      '▶publik',
      'access: expected public or authenticated, or a mapping with keys like where, claim, callout, got the text "publik": did you mean public?',
    ],
    [
      'a word that is none in a list',
      '[authenticated, ▶5]',
      /^access\[1\]: expected public or authenticated, or a mapping .*, got the number 5$/,
    ],
    ['a list in a list', '[▶[public]]', /^access\[0\]: expected public or authenticated, .* got a list$/],
    ['nothing', '▶[]', 'access: is empty: nobody could read this route; name one rule at least'],
    ['a mapping of nothing', '▶{ }', 'access: holds no rule: give one of where, claim, callout'],
    [
      'two kinds in one mapping',
      '[▶{ claim: rooms, callout: a.b }]',
      'access[0]: holds claim and callout: any rule of a list lets in, so write each as an item of its own',
    ],
    [
      'public beside others',
      '▶[authenticated, public]',
      'access: holds public beside other rules: public is everybody, so keep it alone or take it out',
    ],
    [
      'where without a parameter',
      '{ where: ▶{ } }',
      'access.where: is empty, which would let everybody in: name a parameter of the channel',
    ],
    [
      'where that is no mapping',
      '{ where: ▶id }',
      'access.where: expected a mapping like { id: "{claims.sub}" }, got the text "id"',
    ],
    [
      'a parameter that the channel has not',
      '{ where: { id: "{claims.sub}", ▶org: "{claims.org}" } }',
      'access.where.org: is no parameter of the channel: it has id',
    ],
    [
      'a claim without quotes',
      '{ where: { id: ▶{ claims.sub } } }',
      'access.where.id: expected a claim in quotes and braces like "{claims.sub}", got a mapping',
    ],
    [
      'a claim without braces',
      '{ where: { id: ▶claims.sub } }',
      /^access\.where\.id: expected a claim in quotes/,
    ],
    ['a claim of nothing', '{ where: { id: ▶"{claims.}" } }', /^access\.where\.id: expected a claim/],
    [
      'more than a claim',
      '{ where: { id: ▶"{claims.a}-{claims.b}" } }',
      /^access\.where\.id: expected a claim/,
    ],
    [
      'something else of the token',
      '{ where: { id: ▶"{header.kid}" } }',
      /^access\.where\.id: expected a claim/,
    ],
    ['a claim with braces where none belong', '{ claim: ▶"{claims.rooms}" }', /without braces, got the text/],
    [
      'a callout with a wildcard',
      '{ callout: ▶authz.> }',
      /^access\.callout: expected a subject without wildcards/,
    ],
  ])('is not %s', (_, yaml, message) => {
    const messages = problemsAtMarks(route(`access: ${yaml}`)).map((text) =>
      text.replace('channels.user.', ''),
    );
    expect(messages).toEqual([typeof message === 'string' ? message : expect.stringMatching(message)]);
  });

  it('of an unknown kind is told what it was probably meant to be', () => {
    expect(problemsAtMarks(route('access: ▶{ ▶wher: { id: "{claims.sub}" } }'))).toEqual([
      'channels.user.access: holds no rule: give one of where, claim, callout',
      'channels.user.access.wher: is not a key here: did you mean where?',
    ]);
  });

  it('names parameters of a channel that has none in vain', () => {
    const keys = 'access: { where: { ▶id: "{claims.sub}" } }';
    expect(problemsAtMarks(route(keys, { channel: 'all' }))).toEqual([
      'channels.user.access.where.id: is no parameter of the channel: it has none',
    ]);
  });

  it('is not held against a channel template that is wrong', () => {
    const keys = 'access: { where: { org: "{claims.org}" } }, automatic: authenticated';
    expect(problemsOf(route(keys, { channel: 'user.{id' })).map(({ path }) => path)).toEqual([
      'channels.user.channel',
    ]);
  });

  it('says nothing of a channel that comes from the environment', () => {
    const keys = 'access: { where: { org: "{claims.org}" } }';
    const [problem] = problemsOf(route(keys, { channel: `\${CHANNEL}` }), { CHANNEL: 'hunter2.{x}' });
    expect(problem?.message).toBe(
      'is no parameter of the channel (not shown: it comes from the environment, CHANNEL)',
    );
  });
});

describe('a route that needs a token', () => {
  const MESSAGE =
    'needs a token, but nothing says how to check one: add auth.jwt, auth.introspection or auth.callout';

  it.each([
    'authenticated',
    '{ where: { id: "{claims.sub}" } }',
    '{ claim: rooms }',
    '{ callout: authz.subscribe }',
    '[{ claim: rooms }, authenticated]',
  ])('by %s needs a way to check tokens', (yaml) => {
    expect(problemsAtMarks(route(`access: ▶${yaml}`, { auth: '' }))).toEqual([
      `channels.user.access: ${MESSAGE}`,
    ]);
    for (const auth of [
      'jwt: { algorithms: ES256, jwksUrl: "https://a.example/" }',
      'introspection: { url: "https://a.example/" }',
    ]) {
      expect(() => parse(route(`access: ${yaml}`, { auth: `auth: { ${auth} }\n` }))).not.toThrow();
    }
  });

  it('for its automatic channel needs one too', () => {
    const keys = 'access: public, automatic: ▶authenticated';
    expect(problemsAtMarks(route(keys, { channel: 'all', auth: '' }))).toEqual([
      `channels.user.automatic: ${MESSAGE}`,
    ]);
  });

  it('is not blamed where something else is wrong with the way that is there', () => {
    problemsAtMarks(
      route('access: authenticated', { auth: 'auth: { ▶jwt: { jwksUrl: "https://a.example/" } }\n' }),
    );
  });
});

describe('an automatic channel', () => {
  it.each([
    ['everyone', 'public', 'all'],
    ['authenticated', 'public', 'all'],
    ['authenticated', 'authenticated', 'all'],
    ['authenticated', '{ where: { id: "{claims.sub}" } }', 'user.{id}'],
    ['authenticated', '[{ callout: a.b }, { where: { id: "{claims.sub}" } }]', 'user.{id}'],
    ['authenticated', '{ claim: rooms }', 'all'],
  ])('for %s on a route that is %s may be %s', (automatic, rules, channel) => {
    const { channels } = parse(route(`access: ${rules}, automatic: ${automatic}`, { channel }));
    expect(channels.user?.automatic).toBe(automatic);
  });

  it.each([
    ['everyone', 'authenticated', 'all', /^cannot be everyone on a route that not everyone may read/],
    ['everyone', '{ where: { id: "{claims.sub}" } }', 'user.{id}', /^cannot be everyone on a route/],
    ['everyone', 'public', 'user.{id}', /^cannot be everyone on a channel with parameters/],
    ['authenticated', 'public', 'user.{id}', /^needs a `where` .*: id has none$/],
    ['authenticated', 'authenticated', 'user.{id}.{x}', /: id, x has none$/],
    ['authenticated', '{ where: { id: "{claims.sub}" } }', 'user.{id}.{x}', /: x has none$/],
    [
      'authenticated',
      '[{ where: { x: "{claims.a}" } }, { where: { id: "{claims.sub}", x: "{claims.x}" } }]',
      'user.{id}.{x}',
      /: id has none$/,
    ],
    ['authenticated', '{ callout: a.b }', 'all', /^cannot be decided by a callout alone/],
    ['somebody', 'public', 'all', /^expected everyone or authenticated, got the text "somebody"/],
  ])('for %s on a route that is %s is not %s', (automatic, rules, channel, message) => {
    const text = route(`access: ${rules}, automatic: ▶${automatic}`, { channel });
    expect(problemsAtMarks(text)).toEqual([expect.stringMatching(/^channels\.user\.automatic: /)]);
    expect(problemsOf(text.replace('▶', ''))[0]?.message).toMatch(message);
  });
});
