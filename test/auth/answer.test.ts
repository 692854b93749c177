import { describe, expect, it } from 'vitest';
import { Failed, readClaims, readObject } from '../../src/auth/answer.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const NOW = NOW_MS / 1000;

describe('the claims of an answer', () => {
  it('become an identity with its times in milliseconds', () => {
    const claims = { sub: '42', exp: NOW + 60, iat: NOW - 60, jti: 'one', role: 'admin' };
    expect(readClaims(claims, NOW_MS)).toEqual({
      subject: '42',
      claims,
      expiresAtMs: NOW_MS + 60_000,
      issuedAtMs: NOW_MS - 60_000,
      tokenId: 'one',
    });
  });

  it('may be none at all: somebody without a name', () => {
    expect(readClaims({}, NOW_MS)).toMatchObject({ subject: undefined, expiresAtMs: undefined });
  });

  it('take null for absent, as some JSON libraries write it', () => {
    expect(readClaims({ sub: null, exp: null, iat: null, jti: null }, NOW_MS)).toMatchObject({
      subject: undefined,
      expiresAtMs: undefined,
    });
  });

  it('are expired from the second of their expiry on', () => {
    expect(readClaims({ exp: NOW }, NOW_MS)).toMatchObject({ rejected: 'expired' });
    expect(readClaims({ exp: 0 }, NOW_MS)).toMatchObject({ rejected: 'expired' });
    expect(readClaims({ exp: NOW + 0.001 }, NOW_MS)).toMatchObject({ expiresAtMs: NOW_MS + 1 });
  });

  it('are not yet valid before nbf, unless by no more than clocks differ', () => {
    expect(readClaims({ nbf: NOW + 6 }, NOW_MS)).toMatchObject({ rejected: 'not-yet-valid' });
    expect(readClaims({ nbf: NOW + 5, sub: '42' }, NOW_MS)).toMatchObject({ subject: '42' });
    expect(readClaims({ nbf: null, sub: '42' }, NOW_MS)).toMatchObject({ subject: '42' });
  });

  it.each([
    ['an expiry in quotes, which would else be no expiry', { exp: `${NOW + 60}` }],
    ['an expiry in milliseconds, which would else be in the year 57968', { exp: NOW_MS + 60_000 }],
    ['an expiry in words', { exp: '2026-01-01T00:00:00Z' }],
    ['a time of issue in milliseconds', { iat: NOW_MS }],
    ['a beginning in quotes', { nbf: `${NOW}` }],
    ['a user as a number', { sub: 42 }],
    ['a user as an array', { sub: ['42'] }],
    ['an id as an object', { jti: {} }],
    ['claims as an array', [{ sub: '42' }]],
    ['claims as a string', 'sub'],
    ['claims as null', null],
    ['no claims', undefined],
  ])('are unusable with %s', (_, claims) => {
    expect(readClaims(claims, NOW_MS)).toMatchObject({ fault: 'malformed' });
  });
});

describe('the bytes of an answer', () => {
  const read = (text: string | Uint8Array) => readObject(Buffer.from(text));

  it('are one JSON object', () => {
    expect(read('{"fault":"of theirs","détail":[1]}')).toEqual({ fault: 'of theirs', détail: [1] });
    expect(read('\uFEFF{}')).toEqual({});
  });

  it.each([
    ['nothing', ''],
    ['text', 'secret-of-somebody'],
    ['half an object', '{"sub":"secret-of-somebody'],
    ['two objects', '{}{}'],
    ['an array', '[{}]'],
    ['a string', '"secret-of-somebody"'],
    ['null', 'null'],
    ['other bytes than UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['an abyss of brackets', '['.repeat(100_000)],
  ])('are unusable when they are %s, and are not quoted', (_, bytes) => {
    const answer = read(bytes);
    expect(answer).toBeInstanceOf(Failed);
    expect(JSON.stringify(answer)).not.toContain('secret');
  });
});
