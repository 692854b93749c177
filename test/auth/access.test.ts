import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { claimAt, decideAccess, safeClaim } from '../../src/auth/access.ts';
import { type Identity, toIdentity } from '../../src/auth/identity.ts';
import type { AccessConfig } from '../../src/config/schema.ts';

const PUBLIC: AccessConfig = { kind: 'public' };
const AUTHENTICATED: AccessConfig = { kind: 'authenticated' };
const OWN: AccessConfig = { kind: 'where', where: { id: 'sub' } };
const LISTED: AccessConfig = { kind: 'claim', claim: 'rooms' };
const ASKED: AccessConfig = { kind: 'callout', subject: 'may.listen' };

const as = (claims: Readonly<Record<string, unknown>>) => toIdentity(claims);
const decide = (
  rules: readonly AccessConfig[],
  identity?: Identity,
  channel = 'user-42',
  params: Readonly<Record<string, string>> = { id: '42' },
) => decideAccess(rules, identity, { channel, params });

describe('without a token', () => {
  it.each<[string, readonly AccessConfig[], unknown]>([
    ['a public route is given', [PUBLIC], 'allow'],
    ['a token is asked for where one is needed', [AUTHENTICATED], 'authenticate'],
    ['a token is asked for where a claim decides', [OWN, LISTED], 'authenticate'],
    ['the backend is asked where the route names one', [OWN, ASKED], { ask: 'may.listen' }],
    ['nothing is given where there is no rule', [], 'authenticate'],
    // `check` refuses such a list; were it to come through, a condition on nothing would let everybody in.
    ['a condition on nothing needs a token as well', [{ kind: 'where', where: {} }], 'authenticate'],
  ])('%s', (_, rules, decision) => {
    expect(decide(rules)).toEqual(decision);
  });
});

describe('with a token', () => {
  it('nothing is given where there is no rule', () => {
    expect(decide([], as({ sub: '42' }))).toBe('deny');
  });

  it('any one rule that allows is enough, in whatever order', () => {
    const rules = [LISTED, OWN];
    for (const order of [rules, rules.toReversed()]) {
      expect(decide(order, as({ sub: '42' }))).toBe('allow');
      expect(decide(order, as({ sub: '43', rooms: ['user-*'] }))).toBe('allow');
      expect(decide(order, as({ sub: '43', rooms: ['chat'] }))).toBe('deny');
    }
  });

  it('a backend is asked only where no other rule allows, the first where several are named', () => {
    const another: AccessConfig = { kind: 'callout', subject: 'another' };
    for (const order of [
      [ASKED, another, OWN],
      [OWN, ASKED, another],
    ]) {
      expect(decide(order, as({ sub: '42' }))).toBe('allow');
      expect(decide(order, as({ sub: '43' }))).toEqual({ ask: 'may.listen' });
    }
  });

  it('every condition of a `where` must hold', () => {
    const rule: AccessConfig = { kind: 'where', where: { id: 'sub', team: 'org.team' } };
    const of = (claims: Readonly<Record<string, unknown>>, params = { id: '42', team: '7' }) =>
      decide([rule], as(claims), 'any', params);
    expect(of({ sub: '42', org: { team: 7 } })).toBe('allow');
    expect(of({ sub: '42', org: { team: 8 } })).toBe('deny');
    expect(of({ sub: '43', org: { team: 7 } })).toBe('deny');
    expect(of({ sub: '42' })).toBe('deny');
    expect(decide([rule], as({ sub: '42', org: { team: 7 } }), 'any', { id: '42' })).toBe('deny');
  });

  it('a parameter that is missing equals no claim that is missing', () => {
    expect(decide([OWN], as({}), 'any', {})).toBe('deny');
    expect(decide([OWN], as({ sub: '*' }), 'any', {})).toBe('deny');
  });
});

describe('a claim can stand in a subject', () => {
  it.each<[string, unknown, string]>([
    ['a string of safe characters', 'aZ0_:~-', 'aZ0_:~-'],
    ['one of 128 characters', 'x'.repeat(128), 'x'.repeat(128)],
    ['a whole number', 42, '42'],
    ['a negative one', -7, '-7'],
    ['the largest that is exact', Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ])('where it is %s', (_, value, text) => {
    expect(safeClaim({ sub: value }, 'sub')).toBe(text);
  });

  it.each<[string, unknown]>([
    ['a wildcard', '*'],
    ['the wildcard for the rest', '>'],
    ['several tokens', 'a.b'],
    ['empty', ''],
    ['a space', 'a b'],
    ['a line feed at its end', 'a\n'],
    ['not ASCII', 'é'],
    ['129 characters', 'x'.repeat(129)],
    ['10 KB', 'x'.repeat(10_000)],
    ['a fraction', 1.5],
    ['a number that is not exact', 2 ** 53],
    ['infinite', Number.POSITIVE_INFINITY],
    ['a list of one', ['42']],
    ['an object', { toString: () => '42' }],
    ['true', true],
    ['null', null],
    ['missing', undefined],
  ])('not where it is %s', (_, value) => {
    expect(safeClaim({ sub: value }, 'sub')).toBeUndefined();
  });

  it('is read by its very name before its path, and never from what every object inherits', () => {
    const claims = { 'a.b': 'name', a: { b: 'path' } };
    expect(claimAt(claims, 'a.b')).toBe('name');
    expect(claimAt({ a: { b: 'path' } }, 'a.b')).toBe('path');
    expect(claimAt({ 'https://example.com/rooms': 'x' }, 'https://example.com/rooms')).toBe('x');
    for (const path of [
      'constructor',
      '__proto__',
      'a.constructor',
      'a.b.length',
      'toString',
      'a.',
      '',
      'a.b.c',
    ])
      expect(claimAt({ a: { b: 'path' } }, path)).toBeUndefined();
  });
});

describe('a list of channels in a claim', () => {
  const allows = (rooms: unknown, channel: string) => decide([LISTED], as({ rooms }), channel) === 'allow';

  it.each([
    ['chat', 'chat'],
    ['chat-*', 'chat-lobby'],
    ['*', 'chat'],
    ['*-chat', 'my-chat'],
    ['a*c', 'abc'],
    ['a*b*c', 'axbxc'],
    ['a*b*c', 'abbbc'],
    ['*a*', 'bab'],
    ['*.*', 'a.b'],
    ['team.*', 'team.7'],
    ['**', 'ab'],
  ])('with %j holds %j', (pattern, channel) => {
    expect(allows([pattern], channel)).toBe(true);
    expect(allows(['other', pattern], channel)).toBe(true);
  });

  it.each([
    ['chat', 'chat-lobby'],
    ['chat', 'CHAT'],
    ['chat-*', 'chat-'],
    ['chat-*', 'chat'],
    ['chat-*', 'my-chat-lobby'],
    ['*-chat', 'my-chat-2'],
    ['*', 'a.b'],
    ['team.*', 'team.7.x'],
    ['a*c', 'ac'],
    ['a*c', 'a.c'],
    ['a*b*c', 'abc'],
    ['**', 'a'],
    ['>', 'chat'],
    ['team.>', 'team.7'],
    ['ch?t', 'chat'],
    ['.*', 'chat'],
    ['', 'chat'],
  ])('with %j does not hold %j', (pattern, channel) => {
    expect(allows([pattern], channel)).toBe(false);
  });

  it.each<[string, unknown]>([
    ['one text', 'chat'],
    ['an object', { 0: 'chat', length: 1 }],
    ['a list of lists', [['chat']]],
    ['a list of other things', [7, null, true, { pattern: 'chat' }]],
    ['an empty list', []],
    ['missing', undefined],
    ['null', null],
  ])('holds nothing where it is %s', (_, rooms) => {
    expect(allows(rooms, 'chat')).toBe(false);
  });

  it('may not hold a pattern longer than a channel can be', () => {
    const name = 'x'.repeat(256);
    expect(allows([name], name)).toBe(true);
    expect(allows([`${name}x`], `${name}x`)).toBe(false);
  });

  it('matches as a regular expression would that is free of its dangers', () => {
    const letters = fc.constantFrom('a', 'b', '.', '-');
    const channel = fc.string({ unit: letters, minLength: 1, maxLength: 8 });
    const pattern = fc.string({ unit: fc.oneof(letters, fc.constant('*')), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(pattern, channel, (text, name) => {
        const source = text.replaceAll('.', '\\.').replaceAll('*', '[^.]+');
        expect(allows([text], name)).toBe(new RegExp(`^${source}$`).test(name));
      }),
      { numRuns: 2000 },
    );
  });

  it('may not hold a pattern with more * than anybody needs', () => {
    expect(allows(['*a'.repeat(16)], 'xa'.repeat(16))).toBe(true);
    expect(allows(['*a'.repeat(17)], 'xa'.repeat(17))).toBe(false);
    expect(allows(['*a'.repeat(17), '*'], 'xa'.repeat(17))).toBe(true);
  });

  it('holds nothing where it is longer than anybody needs', () => {
    const rooms = (length: number) => ['chat', ...Array.from({ length: length - 1 }, (_, n) => `room-${n}`)];
    expect(allows(rooms(1000), 'chat')).toBe(true);
    expect(allows(rooms(1001), 'chat')).toBe(false);
  });

  it('is looked through once: no pattern is tried in more than one way', () => {
    // Each look for a piece of the pattern begins behind where the one before ended.
    const search = vi.spyOn(String.prototype, 'indexOf');
    onTestFinished(() => search.mockRestore());
    expect(allows([`${'*a'.repeat(14)}*c*b`], `${'a'.repeat(255)}b`)).toBe(false);
    const starts = search.mock.calls.filter(([piece]) => piece === 'a').map(([, from]) => from ?? 0);
    expect(starts).toHaveLength(14);
    expect(starts).toEqual([...new Set(starts)].sort((a, b) => a - b));
  });
});
