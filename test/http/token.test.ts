import { describe, expect, it } from 'vitest';
import type { TokenPlace } from '../../src/config/schema.ts';
import type { Ask } from '../../src/http/request.ts';
import { findToken } from '../../src/http/token.ts';

const BEARER: TokenPlace = { in: 'bearer' };
const COOKIE: TokenPlace = { in: 'cookie', name: 'session' };
const QUERY: TokenPlace = { in: 'query', name: 'token' };

const ASK: Ask = {
  method: 'get',
  path: '/events',
  query: '',
  origin: '',
  accept: '',
  acceptEncoding: '',
  lastEventId: '',
  authorization: '',
  cookie: '',
  userAgent: '',
  hasBody: false,
  contentType: '',
  contentLength: '',
  forwarded: '',
  trace: undefined,
};

const find = (ask: Partial<Ask>, ...places: TokenPlace[]) => findToken({ ...ASK, ...ask }, places);
const EVERYWHERE = { authorization: 'Bearer b', cookie: 'session=c', query: 'token=q' };

describe('a token is found', () => {
  it('in the first of the configured places that holds one, and in no other', () => {
    expect(find(EVERYWHERE, BEARER, COOKIE, QUERY)).toBe('b');
    expect(find(EVERYWHERE, QUERY, COOKIE, BEARER)).toBe('q');
    expect(find({ ...EVERYWHERE, query: 'a=b' }, QUERY, COOKIE, BEARER)).toBe('c');
    expect(find(EVERYWHERE, COOKIE)).toBe('c');
    expect(find(EVERYWHERE)).toBeUndefined();
    expect(find({ cookie: 'session=c', query: 'token=q' }, BEARER)).toBeUndefined();
  });

  it.each<[string, Partial<Ask>, TokenPlace]>([
    ['a cookie', { authorization: 'Bearer b', cookie: 'session=' }, COOKIE],
    ['a cookie of quotes', { authorization: 'Bearer b', cookie: 'session=""' }, COOKIE],
    ['a query parameter', { authorization: 'Bearer b', query: 'token=' }, QUERY],
  ])('in the next place where %s is empty', (_, ask, place) => {
    expect(find(ask, place, BEARER)).toBe('b');
  });

  it.each([
    ['Bearer abc.def', 'abc.def'],
    ['bearer abc', 'abc'],
    ['BEARER   abc  ', 'abc'],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Bearerabc', undefined],
    ['Bearer a b', undefined],
    ['Basic abc', undefined],
    ['X Bearer abc', undefined],
  ])('or not in the header: %j', (authorization, token) => {
    expect(find({ authorization }, BEARER)).toBe(token);
  });

  it.each([
    ['session=abc', 'abc'],
    ['a=b; session=abc; c=d', 'abc'],
    ['a=b;session=abc', 'abc'],
    ['session="abc"', 'abc'],
    ['session=a=b==', 'a=b=='],
    // The one with the more specific path comes first. RFC 6265 5.4.
    ['session=first; session=second', 'first'],
    ['sessions=abc', undefined],
    ['session2=abc; my-session=abc', undefined],
    ['Session=abc', undefined],
    ['session', undefined],
    ['a=session=abc', undefined],
    ['', undefined],
  ])('or not in a cookie: %j', (cookie, token) => {
    expect(find({ cookie }, COOKIE)).toBe(token);
  });

  it.each([
    ['token=abc', 'abc'],
    ['a=b&token=a%2Bb', 'a+b'],
    ['token=first&token=second', 'first'],
    ['tokens=abc', undefined],
    ['a=token=abc', undefined],
    ['Token=abc', undefined],
  ])('or not in the query: %j', (query, token) => {
    expect(find({ query }, QUERY)).toBe(token);
  });
});
