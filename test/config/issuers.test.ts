import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as algorithms from '../../src/auth/algorithms.ts';
import type { JwtIssuerOptions } from '../../src/auth/issuer.ts';
import { ALGORITHMS } from '../../src/config/issuers.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { AuthConfig } from '../../src/config/schema.ts';
import { temporaryFolder } from '../support/folder.ts';
import { parse, problemsAtMarks, ROUTE } from './marked.ts';

const SECRET = 'a secret of more than thirty-two bytes';

function issuersOf(yaml: string): AuthConfig['jwt'] {
  return parse(`${ROUTE}auth: { jwt: ${yaml} }`).auth.jwt;
}

describe('an issuer', () => {
  const DEFAULTS = {
    audience: [],
    algorithms: ['ES256'],
    keys: [],
    clockToleranceMs: 5000,
    requiredClaims: [],
    maxTokenAgeMs: 0,
    jwks: { timeoutMs: 5000, cooldownMs: 30_000, maxAgeMs: 600_000, maxBytes: 524_288 },
  };

  it('may be one mapping or a list of them, and has defaults for all but algorithms and keys', () => {
    const issuer = { ...DEFAULTS, jwksUrl: 'https://a.example/keys' };
    const text = '{ algorithms: ES256, jwksUrl: "https://a.example/keys" }';
    expect(issuersOf(`${text}`)).toEqual([issuer]);
    expect(issuersOf(`[${text}, { issuer: b, algorithms: [HS256], keys: { secret: ${SECRET} } }]`)).toEqual([
      issuer,
      { ...DEFAULTS, issuer: 'b', algorithms: ['HS256'], keys: [{ secret: SECRET }] },
    ]);
  });

  it('keeps every value, with the unit of its name, and absolute paths of files, which are not read', () => {
    const folder = temporaryFolder();
    for (const name of ['secret', 'key.pem', 'set.json', 'ca.pem']) writeFileSync(join(folder, name), 'x');
    const text = `${ROUTE}auth:
  jwt:
    - issuer: https://id.example.com/
      audience: https://api.example.com
      algorithms: [RS256, PS256]
      keys:
        - { kid: a, algorithm: RS256, publicKey: "-----BEGIN PUBLIC KEY-----\\nx\\n-----END PUBLIC KEY-----" }
        - { kid: b, publicKeyFile: key.pem }
        - { jwk: { kty: RSA, n: AQAB, e: AQAB, key_ops: [verify] } }
        - { jwksFile: set.json }
      jwksUrl: https://id.example.com:8443/keys?v=1
      jwksCaFile: ca.pem
      clockTolerance: 0
      type: at+jwt
      requiredClaims: [sub, jti]
      maxTokenAge: 90d
      jwks: { timeout: 1s, cooldown: 1m, maxAge: 1h, maxBytes: 1MiB }
    - algorithms: HS512
      keys: { secretFile: secret }
`;
    // That it can be assigned is part of the test: what the verifier takes is what the config gives.
    const jwt: readonly JwtIssuerOptions[] = parseConfig(text, join(folder, 'c.yaml'), {}).config.auth.jwt;
    expect(jwt).toEqual([
      {
        issuer: 'https://id.example.com/',
        audience: ['https://api.example.com'],
        algorithms: ['RS256', 'PS256'],
        keys: [
          {
            kid: 'a',
            algorithm: 'RS256',
            publicKey: '-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----',
          },
          { kid: 'b', publicKeyFile: join(folder, 'key.pem') },
          { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB', key_ops: ['verify'] } },
          { jwksFile: join(folder, 'set.json') },
        ],
        jwksUrl: 'https://id.example.com:8443/keys?v=1',
        jwksCaFile: join(folder, 'ca.pem'),
        clockToleranceMs: 0,
        type: 'at+jwt',
        requiredClaims: ['sub', 'jti'],
        maxTokenAgeMs: 7_776_000_000,
        jwks: { timeoutMs: 1000, cooldownMs: 60_000, maxAgeMs: 3_600_000, maxBytes: 1_048_576 },
      },
      { ...DEFAULTS, algorithms: ['HS512'], keys: [{ secretFile: join(folder, 'secret') }] },
    ]);
  });

  it('may name every algorithm that can be verified, and no other', () => {
    expect(ALGORITHMS).toEqual(algorithms.ALGORITHMS);
    for (const name of ['none', 'None', 'HS1', 'RSA-OAEP', 'ES256K', '""']) {
      const [message] = problemsAtMarks(
        `${ROUTE}auth: { jwt: { algorithms: [▶${name}], jwksUrl: "https://a.example/" } }`,
      );
      expect(message).toMatch(/^auth\.jwt\.algorithms\[0\]: expected HS256, .* or Ed25519, got/);
    }
  });

  it('has its files looked up by their place', () => {
    const messages = problemsAtMarks(`${ROUTE}auth:
  jwt:
    - { issuer: a, algorithms: HS256, keys: { secretFile: ▶/no/such/a } }
    - { issuer: b, algorithms: RS256, keys: [{ publicKeyFile: ▶/no/such/b }, { jwksFile: ▶/no/such/c }] }
`);
    expect(messages.map((message) => message.split(': ', 1)[0])).toEqual([
      'auth.jwt[0].keys.secretFile',
      'auth.jwt[1].keys[0].publicKeyFile',
      'auth.jwt[1].keys[1].jwksFile',
    ]);
  });
});

describe('the rules for issuers', () => {
  const key = `keys: { secret: ${SECRET} }`;
  const url = 'jwksUrl: "https://a.example/"';

  it.each([
    [
      'without algorithms',
      `▶jwt: { ${url} }`,
      'auth.jwt.algorithms: is required: the algorithms that the issuer signs with, like [RS256]',
    ],
    [
      'with an empty list of them',
      `jwt: { algorithms: ▶[], ${url} }`,
      'auth.jwt.algorithms: is empty: name the algorithms that the issuer signs with',
    ],
    ['without keys', '▶jwt: { algorithms: RS256 }', 'auth.jwt.keys: is missing: give a key or a jwksUrl'],
    [
      'with an empty list of them',
      'jwt: { algorithms: RS256, keys: ▶[] }',
      'auth.jwt.keys: is missing: give a key or a jwksUrl',
    ],
    [
      'with HS and other algorithms',
      `jwt: { algorithms: ▶[HS256, RS256], ${url} }`,
      /^auth\.jwt\.algorithms: holds HS algorithms beside others/,
    ],
    [
      'with HS algorithms and a URL',
      `jwt: { algorithms: HS256, ${key}, ▶${url} }`,
      /^auth\.jwt\.jwksUrl: is given with HS algorithms/,
    ],
    [
      'with a key that holds none',
      `jwt: { algorithms: RS256, keys: [▶{ kid: a }] }`,
      /^auth\.jwt\.keys\[0\]: holds no key: give one of secret, .*, jwksFile/,
    ],
    [
      'with a key that is two',
      `jwt: { algorithms: HS256, keys: { secret: ${SECRET}, ▶jwk: { kty: oct, k: x } } }`,
      'auth.jwt.keys.jwk: is given beside secret: keep one of the two',
    ],
    [
      'with a kid that is in its key',
      'jwt: { algorithms: RS256, keys: { ▶kid: a, jwksFile: ▶/no/such } }',
      /^auth\.jwt\.keys\.kid: is given beside jwksFile/,
    ],
    [
      'with a key for another algorithm',
      `jwt: { algorithms: HS256, keys: { algorithm: ▶HS384, secret: ${SECRET} } }`,
      'auth.jwt.keys.algorithm: is none of the algorithms of the issuer',
    ],
    [
      'with a secret for public keys',
      `jwt: { algorithms: [RS256, ES256], keys: { ▶secret: ${SECRET} } }`,
      'auth.jwt.keys.secret: does not fit RS256, ES256: HS algorithms take a secret, the others a public key',
    ],
    [
      'with a public key for a secret',
      'jwt: { algorithms: HS256, keys: { ▶publicKey: "-----BEGIN PUBLIC KEY-----" } }',
      /^auth\.jwt\.keys\.publicKey: does not fit HS256/,
    ],
    [
      'with a private key',
      'jwt: { algorithms: RS256, keys: { publicKey: ▶"-----BEGIN PRIVATE KEY-----" } }',
      /^auth\.jwt\.keys\.publicKey: expected a public key/,
    ],
    [
      'with a private key behind a public one',
      'jwt: { algorithms: RS256, keys: { publicKey: ▶"-----BEGIN PUBLIC KEY-----\\nx\\n-----BEGIN RSA PRIVATE KEY-----" } }',
      /^auth\.jwt\.keys\.publicKey: expected a public key/,
    ],
    [
      'with a short secret',
      'jwt: { algorithms: HS256, keys: { secret: ▶"0123456789012345678901234567890 " } }',
      'auth.jwt.keys.secret: has less than 32 bytes: `openssl rand -base64 32` makes one',
    ],
    [
      'with a secret too short for its algorithm',
      `jwt: { algorithms: [HS256, HS512], keys: { algorithm: HS512, secret: ▶${SECRET} } }`,
      /has less than 64 bytes/,
    ],
    [
      'with a JWK that is none',
      'jwt: { algorithms: RS256, keys: { jwk: ▶{ n: a } } }',
      /^auth\.jwt\.keys\.jwk: expected a JWK/,
    ],
    [
      'that stands there twice',
      `jwt: [{ issuer: a, algorithms: RS256, ${url} }, { issuer: ▶a, algorithms: RS256, ${url} }]`,
      'auth.jwt[1].issuer: has an entry above already: put its keys there',
    ],
    [
      'without a name, twice',
      `jwt: [{ algorithms: RS256, ${url} }, ▶{ algorithms: HS256, ${key} }]`,
      /^auth\.jwt\[1\]\.issuer: has no issuer, as an entry above/,
    ],
  ])('refuse one %s', (_, yaml, message) => {
    const messages = problemsAtMarks(`${ROUTE}auth: { ${yaml} }`).filter(
      (text) => !text.includes('names a file'),
    );
    expect(messages).toEqual([typeof message === 'string' ? message : expect.stringMatching(message)]);
  });

  it('take a secret that is long enough for one of its algorithms', () => {
    expect(issuersOf(`{ algorithms: [HS256, HS512], ${key} }`)).toHaveLength(1);
  });

  it('are seen although something beside them is wrong', () => {
    problemsAtMarks(`${ROUTE}auth:
  token: ▶[]
  failureRate: ▶30
  jwt:
    - { issuer: a, ${url}, algorithms: [▶none], keys: [▶{ ▶kty: x }, { secret: x, ▶jwk: { kty: oct } }] }
    - { issuer: ▶a, ${url}, algorithms: ▶[], clockTolerance: ▶5 }
`);
  });
});
