import { describe, expect, it } from 'vitest';
import { ConfigError, formatProblems, readConfig } from '../../src/config/load.ts';
import { FILE, parse, problemsAtMarks, problemsOf, ROUTE } from './marked.ts';

describe('a value of the wrong type', () => {
  it('is told what is expected, with an example, what came, and how to mend it', () => {
    const messages = problemsAtMarks(`${ROUTE}
http:
  listen: ▶nowhere
  path: ▶events/
  trustedProxies: ▶10.0.0/8
  forwardedHeader: ▶x-real-ip
sse:
  retry: ▶5
  heartbeat: ▶15
  maxAge: ▶1 hour
  control: ▶yes
limits:
  connections: ▶"10000"
  connectRate: ▶2000
  pending: ▶256k
  event: ▶[1MiB]
nats: { name: ▶7, pingInterval: ▶true }
log: ▶debug
`);
    expect(messages).toEqual([
      'http.listen: expected an address and port like 0.0.0.0:8080, :8080 or 8080, got the text "nowhere": a port is missing: write it as address:port',
      'http.path: expected a path like /events: parts of A-Z a-z 0-9 _ . ~ - behind single slashes, none at the end, got the text "events/"',
      'http.trustedProxies: expected an address or network like 10.0.0.0/8 or fd00::/8, got the text "10.0.0/8"',
      'http.forwardedHeader: expected x-forwarded-for or forwarded, got the text "x-real-ip"',
      'sse.retry: expected a range of durations like 3s..10s, from 100ms to 1h, got the number 5: durations need a unit: 5s',
      'sse.heartbeat: expected a duration like 15s, from 1s to 1h, or 0 for none, got the number 15: durations need a unit: 15s or 15ms',
      'sse.maxAge: expected a duration like 15s, from 1s to 24d, or 0 for no limit, got the text "1 hour"',
      'sse.control: expected true or false, got the text "yes": write true',
      'limits.connections: expected a whole number like 16, from 1 to 10000000, got the text "10000"',
      'limits.connectRate: expected a rate like 2000/s, from 1/m to 1000000/s, got the number 2000: rates need a unit: 2000/s or 2000/m',
      'limits.pending: expected a size like 256KiB, from 1KiB to 1GiB, got the text "256k"',
      'limits.event: expected a size like 256KiB, from 64B to 64MiB, got a list',
      'nats.name: expected a name of up to 128 printable characters, got the number 7: put it in quotes: "7"',
      'nats.pingInterval: expected a duration like 15s, from 1s to 1h, got true',
      'log: expected a mapping with keys like level, format, got the text "debug"',
    ]);
  });

  it('may be a list where a mapping belongs, or the other way round', () => {
    const messages = problemsAtMarks(
      `channels: ▶[a]\nhttp: { cors: { origins: ▶{ a: 1 } } }\nlimits: ▶[1]\nops: ▶5\nsse: { control: ▶{} }\n`,
    );
    expect(messages[0]).toMatch(/^channels: is required: at least one route, .*, got a list$/);
    expect(messages[1]).toMatch(/^http\.cors\.origins: expected an origin like .*, got a mapping$/);
    expect(messages[2]).toMatch(/^limits: expected a mapping with keys like connections, .*, got a list/);
    expect(messages[4]).toBe('sse.control: expected true or false, got a mapping');
  });
});

describe('a value out of bounds', () => {
  it.each([
    ['sse', 'heartbeat', '999ms'],
    ['sse', 'maxAge', '25d'],
    ['sse', 'retry', '1ms..2s'],
    ['sse', 'retry', '3s..2h'],
    ['limits', 'connections', '0'],
    ['limits', 'connections', '-1'],
    ['limits', 'connections', '1.5'],
    ['limits', 'connections', '.inf'],
    ['limits', 'channelsPerConnection', '0'],
    ['limits', 'connectRate', '0/s'],
    ['limits', 'pending', '1023B'],
    ['limits', 'pending', '2GiB'],
    ['limits', 'stalled', '0s'],
    ['limits', 'event', '65MiB'],
    ['limits', 'requestHeaders', '1KiB'],
    ['limits', 'replay', '0'],
    ['limits', 'replay', '100001'],
    ['limits', 'history', '1023KiB'],
    ['drain', 'timeout', '2h'],
    ['nats', 'pingInterval', '0s'],
    ['http', 'listen', '65536'],
    ['http', 'path', '/'],
    ['http', 'path', '/a/../b'],
    ['http', 'path', '/a//b'],
    ['http', 'path', '/:a'],
    ['nats', 'name', '""'],
  ])('%s.%s: %s is refused', (section, key, value) => {
    const [message] = problemsAtMarks(`${ROUTE}${section}:\n  ${key}: ▶${value}\n`);
    expect(message).toMatch(`${section}.${key}: expected `);
  });

  it('says of a range that it is the wrong way round', () => {
    expect(problemsAtMarks(`${ROUTE}sse: { retry: ▶10s..3s }\n`)).toEqual([
      expect.stringContaining('the first must not be longer than the second'),
    ]);
  });
});

describe('a content coding', () => {
  it('is listed once', () => {
    expect(problemsAtMarks(`${ROUTE}sse: { compression: [gzip, zstd, ▶gzip, ▶zstd] }\n`)).toEqual([
      'sse.compression[2]: is listed before: keep one',
      'sse.compression[3]: is listed before: keep one',
    ]);
    expect(parse(`${ROUTE}sse: { compression: [zstd, gzip] }\n`).sse.compression).toEqual(['zstd', 'gzip']);
  });
});

describe('an unknown key', () => {
  it('is told what it was probably meant to be', () => {
    const messages = problemsAtMarks(`▶chanels: {}
${ROUTE}http:
  ▶lisen: 80
  ▶trusted_proxies: []
  cors: { ▶origin: [] }
▶listen: 8080
▶linger: 1s
▶zzz: 1
`);
    expect(messages).toEqual([
      'chanels: is not a key here: did you mean channels?',
      'http.lisen: is not a key here: did you mean listen?',
      'http.trusted_proxies: is not a key here: did you mean trustedProxies?',
      'http.cors.origin: is not a key here: did you mean origins?',
      'listen: is not a key here: did you mean http.listen or ops.listen?',
      'linger: is not a key here: did you mean channels.*.linger?',
      'zzz: is not a key here: known are http, ops, nats, sse, limits, drain, control, auth, channels, workers, reload, log',
    ]);
  });

  it('is not taken for a key of another section alone, whose name it has by chance', () => {
    const messages = problemsAtMarks(`${ROUTE}nats: { ▶url: nats://a:4222 }\nhttp: { ▶origins: [] }\n`);
    expect(messages).toEqual([
      'nats.url: is not a key here: known are servers, name, auth, tls, pingInterval; or did you mean auth.introspection.url?',
      'http.origins: is not a key here: did you mean http.cors.origins?',
    ]);
    expect(problemsAtMarks('channels:\n  a: { channel: a, subject: a, access: public, ▶age: 1m }\n')).toEqual(
      ['channels.a.age: is not a key here: did you mean channels.*.history.age?'],
    );
  });

  it('may be inside a route, and may be called anything', () => {
    const route = 'channel: a, subject: a, access: public';
    const messages = problemsAtMarks(
      `channels:\n  a: { ${route}, ▶evnt: x, ▶__proto__: 1, ▶constructor: 2 }\n▶__proto__: { http: 1 }\n`,
    );
    expect(messages[0]).toBe('channels.a.evnt: is not a key here: did you mean event?');
  });
});

describe('a route', () => {
  it('is not dropped in silence, whatever it is called', () => {
    const messages = problemsAtMarks(
      'channels:\n  a: { channel: a, subject: a, access: public }\n  ▶__proto__: { channel: b, subject: b }\n',
    );
    expect(messages).toEqual([
      'channels.__proto__: is no name for a route: use 1 to 64 of a to z, 0 to 9, _ and -, a letter first',
    ]);
  });

  it('without access, channel or subject is told each that is missing, and its other keys are still checked', () => {
    const messages = problemsAtMarks(
      'channels:\n  ▶▶▶a: { linger: ▶60 }\n  b: { channel: b, subject: b, ▶access: }\n',
    );
    expect(messages.map((message) => message.slice(0, 35))).toEqual([
      'channels.a.channel: is required: th',
      'channels.a.access: is required: wit',
      'channels.a.subject: is required: th',
      'channels.a.linger: expected a durat',
      'channels.b.access: is required: wit',
    ]);
    expect(messages[1]).toContain('write `access: public`');
  });

  it('with a template that is malformed or does not round-trip is told so at the half that is to blame', () => {
    const messages = problemsAtMarks(`channels:
  a: { channel: ▶"a.{x", subject: "a.{x}", access: public }
  b: { channel: ▶"b.{x}{y}", subject: "b.{x}.{y}", access: public }
  c: { channel: "c.{x}", subject: ▶"c.{y}", access: public }
  d: { channel: "d.{x}", subject: ▶"d", access: public }
  e: { channel: "e.{x}", subject: ▶"e.>.{x}", access: public }
  f: { channel: ▶"f g", subject: "f", access: public }
  g: { channel: "g", subject: "g", access: public, event: ▶"{nobody}" }
  h: { channel: "h", subject: "h", access: public, event: ▶"sidestream.open" }
`);
    for (const [index, blamed] of [
      'channel',
      'channel',
      'subject',
      'subject',
      'subject',
      'channel',
      'event',
      'event',
    ].entries()) {
      expect(messages[index]).toMatch(`${blamed}: is not a usable ${blamed} template: ${blamed} "`);
    }
  });

  it('whose channel names another route could match too is told which, and shown such a name', () => {
    const messages = problemsAtMarks(`channels:
  prices: { channel: "prices.{symbol}", subject: "market.{symbol}", access: public }
  acme: { channel: ▶prices.ACME, subject: market.ACME, access: public }
  other: { channel: "other.{x}", subject: "other.{x}", access: public }
  twin: { channel: ▶"other.{y}", subject: "twin.{y}", access: public }
`);
    expect(messages).toEqual([
      'channels.acme.channel: overlaps route prices: a channel name must match one route only, so begin them differently: both match "prices.ACME"',
      expect.stringMatching(/^channels\.twin\.channel: overlaps route other: .*: both match "other\.[^"]+"$/),
    ]);
  });

  it('is held against the others even where its other keys are wrong', () => {
    problemsAtMarks(`channels:
  ▶▶a: { channel: "a.{x}" }
  b: { channel: ▶a.b, subject: ▶"s.{x}", access: ▶nobody, binary: ▶1 }
`);
  });

  it('has a name of small letters, digits, _ and -', () => {
    const messages = problemsAtMarks(`channels:
  ▶Prices: { channel: a, subject: a, access: ▶no }
  ▶8080: { channel: b, subject: b, access: public }
  ▶"": { channel: c, subject: c, access: public }
  ▶${'x'.repeat(65)}: { channel: d, subject: d, access: public }
  ok_1-2: { channel: e, subject: e, access: public }
`);
    expect(messages[0]).toMatch(/^channels\.Prices: is no name for a route/);
  });

  it('is not nothing, and there is one at least', () => {
    expect(problemsAtMarks('channels:\n  ▶a:\n')).toEqual([
      expect.stringMatching(/^channels\.a: expected a mapping/),
    ]);
    expect(problemsAtMarks('▶channels: {}\n')).toEqual(['channels: holds no route: add at least one']);
    expect(problemsAtMarks('▶channels:\n')).toEqual([
      expect.stringMatching(/^channels: is required: at least one route/),
    ]);
    expect(problemsAtMarks('▶http: {}\n')).toEqual([expect.stringMatching(/^channels: is required/)]);
  });
});

describe('keys that do not go together', () => {
  it('any origin with others or with credentials', () => {
    const messages = problemsAtMarks(
      `${ROUTE}http:\n  cors:\n    origins: ▶["*", https://a.example]\n    credentials: ▶true\n`,
    );
    expect(messages[0]).toMatch(/^http\.cors\.origins: holds "\*" beside other origins/);
    expect(messages[1]).toMatch(/^http\.cors\.credentials: cannot be true while origins holds "\*"/);
    expect(parse(`${ROUTE}http: { cors: { origins: ["*"] } }`).http.cors.origins).toEqual(['*']);
  });

  it('metrics on the port of the streams', () => {
    expect(problemsAtMarks(`${ROUTE}ops: { listen: ▶:8080 }`)).toEqual([
      'ops.listen: takes the port of http.listen: give metrics and probes a port of their own',
    ]);
    expect(parse(`${ROUTE}ops: { listen: 0 }\nhttp: { listen: 0 }`).ops.listen.port).toBe(0);
  });

  it('two ways to log in to NATS, or half of one', () => {
    expect(problemsAtMarks(`${ROUTE}nats:\n  auth: { token: x, ▶user: me, password: x }\n`)).toEqual([
      'nats.auth.user: is a second way to log in beside token: keep one',
    ]);
    expect(problemsAtMarks(`${ROUTE}nats:\n  ▶auth: { user: me }\n`)).toEqual([
      'nats.auth.password: is missing: a user needs a password, or a passwordFile',
    ]);
    expect(problemsAtMarks(`${ROUTE}nats:\n  ▶auth: { password: x }\n`)).toEqual([
      'nats.auth.user: is missing: a password needs a user',
    ]);
  });

  it('are seen although something beside them is wrong', () => {
    problemsAtMarks(`${ROUTE}http:
  listen: 8080
  path: ▶x
  cors: { origins: ["*"], credentials: ▶true, ▶nonsense: 1 }
ops: { listen: ▶":8080", readyNeedsNats: ▶maybe }
`);
  });
});

describe('all problems of a file', () => {
  it('come in one run, in the order of the file', () => {
    const messages = problemsAtMarks(`# everything at once
http:
  listen: ▶lots
  ▶lissen: 80
  tls: { certFile: ▶/no/such/cert.pem, keyFile: ▶/no/such/key.pem }
sse:
  heartbeat: ▶\${MISSING}
  retry: ▶9s..3s
▶sse: {}
channels:
  a: { channel: "x.{a}", subject: ▶"x.{b}", access: public }
  ▶b: { channel: "y.{a}", subject: "y.{a}" }
  c: { channel: ▶y.z, subject: y.z, access: public }
`);
    expect(messages.map((message) => message.split(': ')[0])).toEqual([
      'http.listen',
      'http.lissen',
      'http.tls.certFile',
      'http.tls.keyFile',
      'sse.heartbeat',
      'sse.retry',
      'sse',
      'channels.a.subject',
      'channels.b.access',
      'channels.c.channel',
    ]);
  });

  it('are shown as file:line:column, with the line and a caret', () => {
    expect(formatProblems(problemsOf('http:\n  listen: nowhere\n  pth: /x\nchannels: {}\n'))).toBe(
      `${FILE}:2:11: http.listen: expected an address and port like 0.0.0.0:8080, :8080 or 8080, got the text "nowhere": a port is missing: write it as address:port
      listen: nowhere
              ^
${FILE}:3:3: http.pth: is not a key here: did you mean path?
      pth: ***
      ^
${FILE}:4:1: channels: holds no route: add at least one
    channels: {}
    ^`,
    );
  });

  it('are shown without what could drive a terminal, and long lines around their caret', () => {
    const [problem] = problemsOf(`${ROUTE}log: { level: "\u001b[31m" }\n`);
    expect(problem && formatProblems([problem])).not.toContain('\u001b');
    const long = formatProblems(problemsOf(`${ROUTE}http: { path: /${'a'.repeat(500)}, listen: nowhere }\n`));
    const [, line = '', caret = ''] = long.split('\n');
    expect(line.length).toBeLessThan(130);
    expect(line.slice(caret.indexOf('^')).startsWith('nowhere')).toBe(true);
  });

  it('count lines and columns right with CRLF line ends and a byte order mark', () => {
    const text = `\ufeff${ROUTE}log:\n  level: loud\n`.replaceAll('\n', '\r\n');
    expect(problemsOf(text)[0]).toMatchObject({
      line: 4,
      column: 10,
      excerpt: { text: '  level: loud', caret: 9 },
    });
  });
});

describe('a file that cannot be read', () => {
  it.each([
    ['is not there', '/no/such/config.yaml', 'ENOENT'],
    ['is a folder', '/', 'EISDIR'],
  ])('because it %s is a problem at its beginning', (_, file, code) => {
    try {
      readConfig(file, {});
      expect.fail('it was read');
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({
        code: 'CONFIG_UNREADABLE',
        problems: [
          {
            file,
            line: 1,
            column: 1,
            path: '',
            message: `cannot be read (${code}): name another file with --config FILE`,
          },
        ],
      });
    }
  });
});
