import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { walk } from '../../src/config/outline.ts';
import type { AuthConfig } from '../../src/config/schema.ts';
import { temporaryFolder } from '../support/folder.ts';
import { keyAt, parse, problemsAtMarks, problemsOf, ROUTE } from './marked.ts';

const SECRET = 'a secret of more than thirty-two bytes';

function authOf(yaml: string, env?: Readonly<Record<string, string>>): AuthConfig {
  return parse(`${ROUTE}auth:\n${yaml}\n`, env).auth;
}

describe('the places of tokens', () => {
  it('are tried in the order written', () => {
    expect(authOf('  token: [bearer, "cookie:__Host-sid", query:access_token]').token).toEqual([
      { in: 'bearer' },
      { in: 'cookie', name: '__Host-sid' },
      { in: 'query', name: 'access_token' },
    ]);
    expect(authOf('  token: cookie:session').token).toEqual([{ in: 'cookie', name: 'session' }]);
  });

  it.each([
    'header',
    'Bearer',
    '"cookie:"',
    'cookie',
    '"cookie:a b"',
    '"cookie:a=b"',
    '"cookie:a;b"',
    '"cookie:é"',
    '"query:"',
    '"query:a&b"',
    '"query:a%20b"',
    '"query:a=b"',
    'query:channels',
    'query:lastEventId',
    'query:errors',
    'query:wait',
    'query:limit',
    '5',
  ])('are not %s', (place) => {
    expect(problemsAtMarks(`${ROUTE}auth: { token: [bearer, ▶${place}] }`)).toEqual([
      expect.stringMatching(/^auth\.token\[1\]: expected bearer, cookie:NAME or query:NAME/),
    ]);
  });

  it('are one at least', () => {
    expect(problemsAtMarks(`${ROUTE}auth: { token: ▶[] }`)).toEqual([
      'auth.token: is empty: no request could bring a token; name one place at least',
    ]);
  });
});

describe('the sections that are there only once something stands in them', () => {
  const below = (name: string) =>
    [...walk()].filter(({ path, key }) => path[1] === name && path.length > 2 && key.default !== undefined);
  it.each(
    [
      ...below('jwt').filter(({ path }) => path[2] !== 'keys'),
      ...below('introspection'),
      ...below('callout'),
    ].map(({ path, key }) => [path.join('.'), path, key.default] as const),
  )('%s: written out is the same as left out', (_, path, value) => {
    const required: Readonly<Record<string, object>> = {
      jwt: { algorithms: 'ES256', jwksUrl: 'https://a.example/keys' },
      introspection: { url: 'https://a.example/' },
      callout: { subject: 'a.b' },
    };
    const name = String(path[1]);
    const [first, second] = path.slice(2);
    const inner = second === undefined ? value : { [second]: value };
    const config = (written: object) =>
      parse(`${ROUTE}${keyAt(['auth', name], { ...required[name], ...written })}`).auth;
    // A section within may itself be there only once something stands in it.
    const left = second === undefined ? {} : { [String(first)]: {} };
    expect(config({ [String(first)]: inner })).toEqual(config(left));
  });
});

describe('introspection and callout', () => {
  it('have defaults for all but where to ask', () => {
    const { introspection } = authOf('  introspection: { url: "https://id.example.com/introspect" }');
    expect(introspection).toEqual({
      url: 'https://id.example.com/introspect',
      audience: [],
      timeoutMs: 2000,
      concurrency: 64,
    });
    expect(authOf('  callout: { subject: auth.token }').callout).toEqual({
      subject: 'auth.token',
      timeoutMs: 2000,
      concurrency: 64,
    });
    expect(authOf('  callout: { subject: a, timeout: 1m, concurrency: 1 }').callout).toEqual({
      subject: 'a',
      timeoutMs: 60_000,
      concurrency: 1,
    });
  });

  it('may name whose answers count: audiences, one or several, and an issuer', () => {
    const introspection = (keys: string) =>
      authOf(`  introspection: { url: "https://id.example.com/introspect", ${keys} }`).introspection;
    expect(introspection('audience: events, issuer: "https://id.example.com"')).toMatchObject({
      audience: ['events'],
      issuer: 'https://id.example.com',
    });
    expect(introspection('audience: [a, b]')).toMatchObject({ audience: ['a', 'b'] });
  });

  it('share nothing with the backends that routes name, which are asked as `access` says', () => {
    const callout = '  callout: { subject: auth.token, timeout: 9s, concurrency: 9 }';
    expect(authOf(callout).access).toEqual({
      timeoutMs: 2000,
      concurrency: 64,
      cache: { size: 20_000, allowTtlMs: 0, denyTtlMs: 0 },
    });
    const cache = 'cache: { size: 5, allowTtl: 10s, denyTtl: 1s }';
    const access = `  access: { timeout: 500ms, concurrency: 8, ${cache} }`;
    expect(authOf(`${callout}\n${access}`)).toMatchObject({
      callout: { timeoutMs: 9000, concurrency: 9 },
      access: { timeoutMs: 500, concurrency: 8, cache: { size: 5, allowTtlMs: 10_000, denyTtlMs: 1000 } },
    });
  });

  it.each([
    ['concurrency: ▶0', 'concurrency: expected a whole number'],
    ['timeout: ▶0', 'timeout: expected a duration'],
    ['cache: { size: ▶0 }', 'cache.size: expected a whole number'],
    ['cache: { allowTtl: ▶2h }', 'cache.allowTtl: expected a duration'],
    ['cache: { denyTtl: ▶10ms }', 'cache.denyTtl: expected a duration'],
    ['cache: { ▶ttl: 5s }', 'cache.ttl: is not a key here'],
  ])('the backends that routes name are not asked by access: { %s }', (key, message) => {
    expect(problemsAtMarks(`${ROUTE}auth: { access: { ${key} } }`)).toEqual([
      expect.stringContaining(`auth.access.${message}`),
    ]);
  });

  it('take the secret from the config, the environment or a file, whose content it is', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'secret'), ` ${SECRET}\n`);
    const load = (key: string) => {
      const introspection = `{ url: "http://127.0.0.1:1/", clientId: me, ${key}, timeout: 1s, concurrency: 2 }`;
      const text = `${ROUTE}auth: { introspection: ${introspection} }`;
      return parseConfig(text, join(folder, 'c.yaml'), { SECRET }).config.auth.introspection;
    };
    for (const key of [`clientSecret: ${SECRET}`, `clientSecret: "\${SECRET}"`, 'clientSecretFile: secret']) {
      expect(load(key)).toEqual({
        url: 'http://127.0.0.1:1/',
        audience: [],
        clientId: 'me',
        clientSecret: SECRET,
        timeoutMs: 1000,
        concurrency: 2,
      });
    }
  });

  it('have a secret once and with its id', () => {
    const url = 'url: "https://a.example/"';
    expect(
      problemsAtMarks(
        `${ROUTE}auth: { introspection: { ${url}, clientId: a, clientSecret: b, ▶clientSecretFile: ▶c } }`,
      ),
    ).toEqual([
      'auth.introspection.clientSecretFile: is given beside clientSecret: keep one of the two',
      expect.stringMatching(/^auth\.introspection\.clientSecretFile: names a file that does not exist/),
    ]);
    expect(problemsAtMarks(`${ROUTE}auth: { ▶introspection: { ${url}, clientSecret: b } }`)).toEqual([
      'auth.introspection.clientId: is missing: a secret needs a clientId',
    ]);
  });

  it('are not given both', () => {
    const [message] = problemsAtMarks(
      `${ROUTE}auth: { introspection: { url: "https://a.example/" }, ▶callout: { subject: a } }`,
    );
    expect(message).toBe('auth.callout: is given beside introspection: keep one of the two');
  });

  it('say what is missing where they are given without it', () => {
    expect(problemsAtMarks(`${ROUTE}auth: { ▶introspection: { timeout: 1s } }`)).toEqual([
      expect.stringMatching(/^auth\.introspection\.url: is required: the introspection endpoint/),
    ]);
    expect(problemsAtMarks(`${ROUTE}auth: { ▶callout: { } }`)).toEqual([
      expect.stringMatching(/^auth\.callout\.subject: is required: the subject/),
    ]);
  });

  it.each(['a.*', 'a.>', '.a', 'a.', 'a..b', '"a b"', '""', 'x'.repeat(257)])(
    'do not ask on %s',
    (subject) => {
      expect(problemsAtMarks(`${ROUTE}auth: { callout: { subject: ▶${subject} } }`)).toEqual([
        expect.stringMatching(/^auth\.callout\.subject: expected a subject without wildcards/),
      ]);
    },
  );
});

describe('a URL of a service', () => {
  it.each([
    'https://id.example.com/a?b=c',
    'http://localhost:1/',
    'http://127.1.2.3/',
    'http://[::1]:8080/x',
  ])('may be %s', (url) => expect(authOf(`  introspection: { url: "${url}" }`).introspection?.url).toBe(url));

  it.each([
    'http://id.example.com/',
    'http://localhost.example.com/',
    'http://127.0.0.1.example.com/',
    'http://10.0.0.1/',
    'https://me:x@id.example.com/',
    'file:///etc/passwd',
    'id.example.com',
    'https://',
    '',
  ])('is not %j', (url) => {
    const problems = problemsOf(
      `${ROUTE}auth: { introspection: { url: "${url}" }, jwt: { algorithms: ES256, jwksUrl: "${url}" } }`,
    );
    expect(problems.map(({ path }) => path)).toEqual(['auth.introspection.url', 'auth.jwt.jwksUrl']);
  });
});
