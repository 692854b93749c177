import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expand } from '../../src/config/environment.ts';
import { FILE, parse, problemsAtMarks, problemsOf, ROUTE } from './marked.ts';

const env = { HOST: 'example.com', PORT: '8443', EMPTY: '', BRACES: `\${HOST}` };
const textOf = (text: string) => expand(text, env).text;

describe('variables of the environment', () => {
  it('are replaced anywhere in a text, as often as they stand there', () => {
    expect(textOf(`\${HOST}`)).toBe('example.com');
    expect(textOf(`tls://\${HOST}:\${PORT}/\${HOST}`)).toBe('tls://example.com:8443/example.com');
    expect(expand(`\${HOST}\${PORT}`, env).variables).toEqual(['HOST', 'PORT']);
  });

  it('give way to their default when they are not set or empty, and only then', () => {
    expect(textOf(`\${MISSING:-fallback}`)).toBe('fallback');
    expect(textOf(`\${EMPTY:-fallback}`)).toBe('fallback');
    expect(textOf(`\${HOST:-fallback}`)).toBe('example.com');
    expect(textOf(`\${EMPTY}\${MISSING:-}`)).toBe('');
  });

  it('may stand in a default, which may also hold templates', () => {
    expect(textOf(`\${MISSING:-\${HOST}:\${PORT}}`)).toBe('example.com:8443');
    expect(textOf(`\${MISSING:-prices.{symbol}}`)).toBe('prices.{symbol}');
    expect(textOf(`\${HOST:-prices.{symbol}}!`)).toBe('example.com!');
  });

  it('are not looked for in what a variable holds', () => {
    expect(textOf(`\${BRACES}`)).toBe(`\${HOST}`);
  });

  it('are left alone behind a second dollar sign', () => {
    expect(textOf(`$\${HOST} and $\${`)).toBe(`\${HOST} and \${`);
    expect(textOf('$ $$ {HOST} $HOST')).toBe('$ $$ {HOST} $HOST');
  });

  it('are only the environment’s own, not what every object has', () => {
    expect(expand(`\${constructor}`, env).faults).toHaveLength(1);
  });

  it('change nothing in a text without ${', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes(`\${`));
        expect(expand(text, env)).toEqual({ text, variables: [], faults: [] });
      }),
    );
  });

  it('never make the expansion throw', () => {
    const pieces = fc.array(fc.constantFrom('$', '{', '}', 'A', ':-', 'HOST', ' '), { maxLength: 30 });
    fc.assert(fc.property(pieces, (parts) => void textOf(parts.join(''))));
  });
});

describe('a config value from the environment', () => {
  it('is read as what its key wants, in quotes or not', () => {
    const text = `${ROUTE}http: { listen: "\${HOST}:\${PORT}" }
limits: { connections: "\${N}", pending: "\${SIZE}" }
ops:
  readyNeedsNats: \${FLAG}
nats:
  name: \${N}
  auth: { token: "\${N}" }
`;
    const config = parse(text, {
      PORT: '0',
      N: '123',
      SIZE: '64KiB',
      FLAG: 'true',
      HOST: 'localhost',
    });
    expect(config.http.listen).toEqual({ host: 'localhost', port: 0 });
    expect(config.limits).toMatchObject({ connections: 123, pendingBytes: 65_536 });
    expect(config.ops.readyNeedsNats).toBe(true);
    expect(config.nats.name).toBe('123');
    expect(config.nats.auth).toEqual({ token: '123' });
  });

  it('counts as not given when it is empty, as if nothing were written there', () => {
    const text = `${ROUTE}nats: { name: "\${NAME:-}", auth: { user: "\${USER}" } }\n`;
    expect(parse(text, { USER: '' }).nats).toMatchObject({ name: 'sidestream', auth: {} });
    expect(
      problemsOf(`channels: { a: { channel: a, subject: a, access: "\${ACCESS:-}" } }`)[0]?.message,
    ).toMatch(/^is required/);
  });

  it('may be any part of a template', () => {
    const text = `channels: { a: { channel: "a.{x}", subject: "\${PREFIX:-dev}.{x}", access: public } }`;
    expect(parse(text).channels.a?.subject).toBe('dev.{x}');
    expect(parse(text, { PREFIX: 'live' }).channels.a?.subject).toBe('live.{x}');
  });

  it('is a problem at its very place when it is not set, and says so once', () => {
    const messages = problemsAtMarks(
      `${ROUTE}http:
  listen: example.com:▶\${MISSING_PORT}
  cors: { origins: ["▶\${MISSING_ORIGIN}", 'https://a.example'], credentials: true }
  path: $\${NOT_ASKED}▶\${MISSING_PATH}
`.replace('$${NOT_ASKED}', '/x'),
    );
    expect(messages).toEqual([
      expect.stringMatching(
        /^http\.listen: names the environment variable MISSING_PORT, which is not set: set it, or/,
      ),
      expect.stringMatching(/^http\.cors\.origins\[0\]: names the environment variable MISSING_ORIGIN/),
      expect.stringMatching(/^http\.path: names the environment variable MISSING_PATH/),
    ]);
  });

  it('that is not set is given no default where it is a secret, which would then stand in the file', () => {
    const unset = (text: string) => problemsAtMarks(`${ROUTE}${text}`)[0];
    const secret = /names the environment variable MISSING, which is not set: set it$/;
    expect(unset(`nats: { auth: { token: "▶\${MISSING}" } }`)).toMatch(secret);
    const key = (members: string) => `auth: { jwt: { algorithms: [HS256], keys: [{ ${members} }] } }`;
    expect(unset(key(`secret: "▶\${MISSING}"`))).toMatch(secret);
    expect(unset(key(`jwk: { kty: oct, k: "▶\${MISSING}" }`))).toMatch(secret);
    // The address of a server is one only with a password in it.
    const advice = `set it, or write \${MISSING:-default}`;
    expect(unset(`nats: { servers: ["▶\${MISSING}"] }`)).toContain(advice);
    expect(unset(`nats: { name: "▶\${MISSING}" }`)).toContain(advice);
  });

  it('that is not set is a problem once also where it is all of a list', () => {
    expect(problemsAtMarks(`${ROUTE}nats: { servers: "▶\${MISSING}" }`)).toEqual([
      expect.stringMatching(/^nats\.servers: names the environment variable MISSING/),
    ]);
  });

  it('is a problem when its braces are not closed or its name is none', () => {
    const messages = problemsAtMarks(
      `${ROUTE}nats:\n  name: a-▶\${NAME\n  auth: { user: "▶\${1X}", password: x }\n`,
    );
    expect(messages[0]).toMatch(/^nats\.name: begins a variable/);
    expect(messages[1]).toMatch(/^nats\.auth\.user: begins a variable/);
  });

  it('is pointed at behind escaped and unused ones before it', () => {
    problemsAtMarks(`${ROUTE}nats:\n  name: $\${X}\${SET:-a\${Y}b}▶\${MISSING}\n`, { SET: 'set' });
  });

  it('is told from a YAML flow mapping with a word on quotes', () => {
    const messages = problemsAtMarks(`${ROUTE}nats:\n  servers: [$▶{NATS_URL}]\n`);
    expect(messages[0]).toContain('needs quotes');
  });

  it('does not come from the process when an environment is given', () => {
    expect(process.env.PATH).toBeDefined();
    expect(problemsOf(`${ROUTE}nats: { name: "\${PATH}" }`)[0]).toMatchObject({
      file: FILE,
      path: 'nats.name',
    });
  });
});
