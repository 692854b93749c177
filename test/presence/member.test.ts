import { describe, expect, it } from 'vitest';
import { chosenClaims, keyOf, shown } from '../../src/presence/member.ts';

const visitor = (claims: Record<string, unknown>) => ({ subject: 'u', claims });

describe('a member', () => {
  it('is a user, or without one a stream; one can never be taken for the other', () => {
    expect(keyOf('c1', { subject: '42', claims: {} })).toBe(keyOf('c2', { subject: '42', claims: {} }));
    expect(keyOf('c1', undefined)).not.toBe(keyOf('c2', undefined));
    expect(keyOf('x', undefined)).not.toBe(keyOf('c1', { subject: 'x', claims: {} }));
    expect(keyOf('x', undefined)).not.toBe(keyOf('c1', { subject: 'c:x', claims: {} }));
    expect(shown(keyOf('c1', { subject: 'c:x', claims: {} }), undefined)).toEqual({ user: 'c:x' });
    expect(shown(keyOf('c1', { subject: '', claims: {} }), undefined)).toEqual({ user: '' });
    expect(shown(keyOf('c1', { subject: undefined, claims: {} }), undefined)).toEqual({ id: 'c1' });
  });

  it('shows the claims that were chosen, of any type, and no other', () => {
    const claims = { name: 'Ada', secret: 's', roles: ['a', { b: 1 }], old: null, zero: 0, no: false };
    const names = ['roles', 'name', 'old', 'zero', 'no', 'missing'];
    const { secret: _, ...others } = claims;
    expect(chosenClaims(names, visitor(claims))).toEqual(others);
    expect(chosenClaims(['missing'], visitor(claims))).toBeUndefined();
    expect(chosenClaims([], visitor(claims))).toBeUndefined();
    expect(chosenClaims(['name'], undefined)).toBeUndefined();
  });

  it('shows nothing that a token only inherits, and is not changed by a claim’s name', () => {
    const claims = JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}');
    expect(chosenClaims(['toString', 'valueOf'], visitor(claims))).toBeUndefined();
    const chosen = chosenClaims(['__proto__', 'constructor'], visitor(claims)) ?? {};
    expect(Object.getPrototypeOf(chosen)).toBe(Object.prototype);
    expect(JSON.stringify(chosen)).toBe('{"__proto__":{"admin":true},"constructor":1}');
  });

  it.each([
    [{ a: 'x', b: 'x'.repeat(1024), c: 'x' }, ['a']],
    [{ a: 'é'.repeat(600), b: 1 }, []],
    [{ a: { deep: Array(1000).fill(1) } }, []],
    [{ a: 'x'.repeat(1024 - '{"a":""}'.length) }, ['a']],
    [{ a: 'x'.repeat(1025 - '{"a":""}'.length) }, []],
  ])('shows no more than 1 KiB of them', (claims, names) => {
    const chosen = chosenClaims(['a', 'b', 'c'], visitor(claims));
    expect(Object.keys(chosen ?? {})).toEqual(names);
  });
});
