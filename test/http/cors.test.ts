import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cors } from '../../src/http/cors.ts';

const APP = 'https://app.example.com';
const headers = (cors: Cors, origin: string) => Object.fromEntries(cors.headers(origin));
const preflight = (cors: Cors, origin: string) => Object.fromEntries(cors.preflight(origin));

describe('CORS with exact origins', () => {
  const cors = new Cors({ origins: [APP, 'http://localhost:3000'], credentials: true });

  it('lets a page of a listed origin read answers and their Retry-After, with cookies where configured', () => {
    expect(headers(cors, APP)).toEqual({
      Vary: 'Origin',
      'Access-Control-Allow-Origin': APP,
      'Access-Control-Expose-Headers': 'Retry-After',
      'Access-Control-Allow-Credentials': 'true',
    });
    expect(headers(new Cors({ origins: [APP], credentials: false }), APP)).not.toHaveProperty(
      'Access-Control-Allow-Credentials',
    );
  });

  it('gives any other origin nothing but the Vary that caches need, and never reflects it', () => {
    const near = [
      'null',
      '',
      '*',
      'https://app.example.com.evil.test',
      'https://app.example.com/',
      'http://app.example.com',
      'HTTPS://APP.EXAMPLE.COM',
      `${APP}:443`,
      ` ${APP}`,
    ];
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...near), fc.string(), fc.webUrl()), (origin) => {
        fc.pre(origin !== APP && origin !== 'http://localhost:3000');
        expect(cors.headers(origin)).toEqual([['Vary', 'Origin']]);
        expect(cors.preflight(origin)).toEqual([['Vary', 'Origin']]);
      }),
    );
  });

  it('answers a preflight with what may be sent', () => {
    expect(preflight(cors, APP)).toMatchObject({
      'Access-Control-Allow-Origin': APP,
      'Access-Control-Allow-Methods': 'GET',
      'Access-Control-Allow-Headers': expect.stringContaining('Last-Event-ID'),
      'Access-Control-Max-Age': '7200',
    });
  });
});

describe('CORS for any origin', () => {
  it('says so without naming one, and without cookies', () => {
    const cors = new Cors({ origins: ['*'], credentials: false });
    const expected = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Retry-After' };
    expect(headers(cors, APP)).toEqual(expected);
    expect(headers(cors, '')).toEqual(expected);
    expect(preflight(cors, APP)).toMatchObject({ ...expected, 'Access-Control-Allow-Methods': 'GET' });
  });
});

describe('CORS without origins', () => {
  it('adds nothing', () => {
    const cors = new Cors({ origins: [], credentials: false });
    expect([cors.headers(APP), cors.preflight(APP)]).toEqual([[], []]);
  });
});
