import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, formatProblems, parseConfig } from '../../src/config/load.ts';
import { problemsOf, ROUTE } from './marked.ts';

/** Stands in for every secret; must not come out again. */
const SECRET = 'hunter2';

const env = { SECRET, PREFIX: `${SECRET}.x`, NUMBER: SECRET };

/** Everything that could be printed or logged about a config. */
function shown(text: string): string {
  try {
    parseConfig(text, 'config.yaml', env);
    return '';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [
      formatProblems(error.problems),
      error.message,
      JSON.stringify(error),
      JSON.stringify(error.fields),
    ].join('\n');
  }
}

describe('a secret is never shown', () => {
  it.each([
    ['of the wrong type', `nats: { auth: { token: [${SECRET}], password: { x: ${SECRET} }, user: [a] } }`],
    ['in a list with a number', `nats: { auth: { token: [5, "${SECRET}"] } }`],
    ['beside a problem on its line', `nats: { auth: { password: ${SECRET}, user: [1] } } # or ${SECRET}`],
    ['under a key misspelt', `nats: { auth: { passwrd: ${SECRET}, tokn: "${SECRET}" } }`],
    ['under a section that is none', `natz: { auth: { token: ${SECRET} } }`],
    ['where a section belongs', `nats: { auth: ${SECRET} }\nauth: ${SECRET}`],
    ['in a list where a section belongs', `nats: [${SECRET}]`],
    ['in the URL of a server', `nats: { servers: ["nats://me:${SECRET}@nats:4222"] }`],
    ['in a server that is no list', `nats: { servers: "nats://me:${SECRET}@nats:4222" }`],
    ['given twice', `nats:\n  auth:\n    token: a\n    token: ${SECRET}`],
    [
      'on several lines',
      `nats:\n  auth:\n    user: [1]\n    password: |\n      a\n      ${SECRET}\n    token: b`,
    ],
    ['behind an alias', `nats: { auth: { password: &p "${SECRET}", user: [1] }, name: [*p] }`],
    ['as a key for tokens', `auth: { jwt: { algorithms: [HS256, x], keys: [{ secret: ${SECRET} }] } }`],
    ['too short for a key', `auth: { jwt: { algorithms: HS256, keys: { secret: ${SECRET} } } }`],
    ['as a key misspelt', `auth: { jwt: { keys: [{ secrt: ${SECRET} }, { kid: 1, sceret: "${SECRET}" }] } }`],
    ['as a key without its mapping', `auth: { jwt: { keys: [${SECRET}] } }`],
    [
      'in a JWK',
      `auth: { jwt: { keys: [{ jwk: { kty: oct, k: ${SECRET} }, kid: 5 }, { jwk: { k: ${SECRET} } }] } }`,
    ],
    ['in a JWK that is text', `auth: { jwt: { keys: { jwk: '{"kty":"oct","k":"${SECRET}"}' } } }`],
    ['in a private key', `auth: { jwt: { keys: { publicKey: "-----BEGIN PRIVATE KEY-----\\n${SECRET}" } } }`],
    ['of a client', `auth: { introspection: { url: x, clientId: [1], clientSecret: ${SECRET} } }`],
    ['in the URL of a service', `auth: { introspection: { url: "https://me:${SECRET}@id.example/" } }`],
    ['in the query of a service', `auth: { jwt: { jwksUrl: "http://id.example/?key=${SECRET}" } }`],
    ['as a key', `nats: { auth: { "a ${SECRET}": 1, ? "token: ${SECRET}" : 2 } }`],
    ['in a second document', `--- { token: ${SECRET} }\n`],
    [
      'from the environment',
      `http: { listen: "\${SECRET}", path: "/\${SECRET}/" }\nlimits: { connections: "\${NUMBER}" }`,
    ],
    [
      'from the environment into a list',
      `http: { cors: { origins: ["\${SECRET}"] }, trustedProxies: ["\${SECRET}/8"] }`,
    ],
    ['from the environment as a file', `http: { tls: { certFile: "\${SECRET}", keyFile: "/\${SECRET}" } }`],
    [
      'from the environment into a choice',
      `log: { level: "\${SECRET}" }\nops: { readyNeedsNats: "\${SECRET}" }`,
    ],
    ['as a default', `limits: { pending: "\${MISSING:-${SECRET}}" }`],
    ['beside a variable that is not set', `nats: { name: "\${SECRET}-\${NOT_SET}" }`],
  ])('%s', (_, text) => {
    const output = shown(`${ROUTE}${text}\n`);
    expect(output).toContain('config.yaml:');
    expect(output).not.toContain(SECRET);
  });

  it.each([
    ['template that does not parse', `a: { channel: "\${PREFIX}.{x", subject: "a.{x}", access: public }`],
    [
      'subject that does not round-trip',
      `a: { channel: "a.{x}", subject: "\${PREFIX}.{y}", access: public }`,
    ],
    ['event that names nothing', `a: { channel: a, subject: a, access: public, event: "{\${SECRET}}" }`],
    [
      'channel that another one overlaps',
      `a: { channel: "\${PREFIX}.{x}", subject: "a.{x}", access: public }\n  b: { channel: "\${PREFIX}.{y}", subject: "b.{y}", access: public }`,
    ],
    [
      'channel that overlaps another',
      `b: { channel: "{y}.{z}.{x}", subject: "b.{y}.{z}.{x}", access: public }\n  a: { channel: "\${PREFIX}.{x}", subject: "a.{x}", access: public }`,
    ],
  ])('from the environment in a %s', (_, routes) => {
    const output = shown(`channels:\n  ${routes}\n`);
    expect(output).toContain('config.yaml:');
    expect(output).not.toContain(SECRET);
  });

  it.each([
    ['an open quote', `nats:\n  auth:\n    password: "${SECRET}\n`],
    ['a colon in it', `nats:\n  auth:\n    password: ${SECRET}: x\n`],
    ['a wrong escape', `nats: { auth: { token: "${SECRET}\\q" } }\n`],
    ['a tab', `nats:\n  auth:\n    password: |\n\t${SECRET}\n`],
    ['a reserved character', `nats:\n  auth:\n    token: @${SECRET}\n`],
    [
      'two keys on a line',
      `nats: { auth: { user: me token: ${SECRET} } }\nlog: { level: me password: ${SECRET} }\n`,
    ],
    ['no colon', `nats:\n  auth:\n    user: me\n    password ${SECRET}\n`],
    ['brackets', `nats:\n  servers: [nats://me:${SECRET}@nats:4222\n`],
    ['a list item out of line', `nats:\n  servers:\n    - nats://a\n   - nats://me:${SECRET}@b\n`],
    ['nothing but itself', `${SECRET}\n`],
    ['a key for tokens', `auth: { jwt: { algorithms: HS256, keys: [{ secret: ${SECRET} }\n`],
    [
      'a key for tokens without a colon',
      `auth:\n  jwt:\n    keys:\n      - kid: a\n        secret ${SECRET}\n`,
    ],
    ['a JWK', `auth:\n  jwt:\n    keys:\n      jwk:\n        kty: oct\n        k: ${SECRET}\n  token: [\n`],
    ['a JWK on one line', `auth: { jwt: { keys: { jwk: { kid: a, kty: oct, k: ${SECRET} } } }\n`],
    ['the URL of a service', `auth:\n  jwt: { jwksUrl: https://a.example/?key=${SECRET}, algorithms: [ }\n`],
  ])('in broken YAML: %s', (_, text) => {
    const output = shown(`${text}${ROUTE}`);
    expect(output).toContain('config.yaml:');
    expect(output).not.toContain(SECRET);
  });

  it('in a JWK whose member lacks its name', () => {
    const output = shown(
      `auth: { jwt: { algorithms: [HS256], keys: [{ secret: short }, { jwk: { kty: oct, ${SECRET} } }] } }\n${ROUTE}`,
    );
    expect(output).toContain('has less than 32 bytes');
    expect(output).not.toContain(SECRET);
  });

  it('in a comment', () => {
    const output = shown(`nats:\n  auth:\n    tok: # ${SECRET}\n${ROUTE}`);
    expect(output).toContain('nats.auth.tok');
    expect(output).not.toContain(SECRET);
  });

  it.each([`nats: { auth: { user:   : "${SECRET}" } }`, `nats:\n  auth:\n    password: "${SECRET}\n`])(
    'in broken syntax, where no line is shown at all: %j',
    (text) => {
      const output = shown(`${text}\n${ROUTE}`);
      expect(output).toContain('config.yaml:');
      expect(output).not.toContain(SECRET);
    },
  );

  it('whatever happens to the file', () => {
    const text = `nats:
  servers: ["nats://me:${SECRET}@nats:4222"]
  name: \${SECRET}
  auth:
    user: me
    password: "${SECRET}"
    token: ${SECRET} # ${SECRET}
    tokenFile: \${SECRET}
auth:
  jwt:
    - algorithms: [HS256]
      keys: [{ secret: ${SECRET} }, { kid: a, jwk: { kty: oct, k: ${SECRET} } }]
  introspection:
    url: https://me:${SECRET}@id.example.com/?key=${SECRET}
    clientId: me
    clientSecret: ${SECRET}
${ROUTE}log: { level: \${SECRET} }
`;
    const edit = fc.record({
      at: fc.nat({ max: text.length }),
      length: fc.nat({ max: 12 }),
      insert: fc.constantFrom(
        '',
        ' ',
        '\n',
        '\t',
        '"',
        "'",
        ':',
        ': ',
        '{',
        '}',
        '[',
        ']',
        '#',
        '- ',
        '|',
        '>',
        '&a ',
        '*a',
        '!t ',
        '---\n',
        '?',
      ),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const edited = edits.reduce(
          (now, { at, length, insert }) => now.slice(0, at) + insert + now.slice(at + length),
          text,
        );
        expect(shown(edited)).not.toContain(SECRET);
      }),
      // One seed: what remains to be found takes some 50,000 edits each, and must not turn up in somebody else's change.
      { numRuns: 2000, seed: 20 },
    );
  });
});

describe('what is no secret', () => {
  it('is shown, with the rest of its line', () => {
    const [problem] = problemsOf(
      `${ROUTE}nats: { name: edge, auth: { password: ${SECRET}, user: me }, pingInterval: 5 }\n`,
    );
    expect(problem?.message).toContain('got the number 5');
    expect(problem?.excerpt?.text).toBe(
      'nats: { name: edge, auth: { password: ***, user: *** }, pingInterval: 5 }',
    );
    expect(problem?.excerpt?.text[problem.excerpt.caret]).toBe('5');
  });

  it('is shown by the name of its variable, where it came from the environment', () => {
    const [problem] = problemsOf(`${ROUTE}limits: { connections: "\${NUMBER:-ten}" }\n`);
    expect(problem?.message).toContain(
      'got something else (not shown: it comes from the environment, NUMBER)',
    );
    expect(problem?.excerpt?.text).toBe(`limits: { connections: \${NUMBER} }`);
  });
});
