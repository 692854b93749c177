import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { parse, problemsAtMarks } from './marked.ts';

/** The config of one route, written in one line behind what every route needs. */
const written = (keys: string) => `channels:\n  a: { channel: "a.{x}", access: public, ${keys} }\n`;
const SUBJECT = 'subject: "a.{x}"';
const STREAM = `${SUBJECT}, stream: A`;
const KV = 'kv: b, key: "a.{x}"';

function routeOf(keys: string, env: Readonly<Record<string, string>> = {}): RouteConfig {
  const { a } = parse(written(keys), env).channels;
  return a ?? expect.fail('the route is not there');
}

describe('what feeds a route', () => {
  it('is core NATS, where nothing else is said', () => {
    expect(routeOf(SUBJECT)).toMatchObject({
      subject: 'a.{x}',
      source: { kind: 'core' },
      replay: { kind: 'none' },
      history: { size: 100, ageMs: 60_000, bytes: 1_048_576 },
    });
  });

  it('is a stream, where one is named: its memory is filled from the last minutes, and larger', () => {
    expect(routeOf(STREAM)).toMatchObject({
      subject: 'a.{x}',
      source: { kind: 'stream', stream: 'A', warmMs: 300_000 },
      history: { size: 1000, ageMs: 300_000, bytes: 1_048_576 },
    });
    expect(routeOf(`${STREAM}, warm: 0s`).source).toEqual({ kind: 'stream', stream: 'A', warmMs: 0 });
    expect(routeOf(`${STREAM}, history: { age: 1m }`).source).toMatchObject({ warmMs: 60_000 });
    expect(routeOf(`${STREAM}, history: { age: 10m }`).source).toMatchObject({ warmMs: 300_000 });
  });

  it('is a bucket, where one is named: its keys are subjects below its own', () => {
    expect(routeOf(KV)).toMatchObject({
      subject: '$KV.b.a.{x}',
      source: { kind: 'kv', bucket: 'b' },
      replay: { kind: 'none' },
      history: { size: 1000, ageMs: 300_000, bytes: 1_048_576 },
    });
    expect(routeOf(KV)).not.toHaveProperty('key');
    expect(routeOf('kv: b, key: "{x}.*.a/b=c.>", envelope: true').subject).toBe('$KV.b.{x}.*.a/b=c.>');
  });

  it('keeps each bound of its history that is written, and the others as they would be', () => {
    expect(routeOf(`${STREAM}, history: { size: 5 }`).history).toEqual({
      size: 5,
      ageMs: 300_000,
      bytes: 1_048_576,
    });
    expect(routeOf(`${SUBJECT}, history: { size: 0, age: 2m, bytes: 1KiB }`).history).toEqual({
      size: 0,
      ageMs: 120_000,
      bytes: 1024,
    });
  });

  it.each(['NOTIFY', 'a-b_c', 'Größe', '$X', 'x'.repeat(255)])('may be a stream called %s', (name) =>
    expect(routeOf(`${SUBJECT}, stream: "${name}"`).source).toMatchObject({ stream: name }),
  );

  it.each(['a b', 'a.b', '*', 'a>', 'a/b', 'a\\\\b', 'a\\tb', 'x'.repeat(256), ''])(
    'is no stream called %j',
    (name) =>
      expect(problemsAtMarks(written(`${SUBJECT}, stream: ▶"${name}"`))[0]).toMatch(
        'channels.a.stream: expected the name of a stream like NOTIFY, without white space and . * > / \\',
      ),
  );

  it.each(['a.b', 'a b', 'ü', '*', '$b', 'x'.repeat(253), ''])('is no bucket called %j', (name) =>
    expect(problemsAtMarks(written(`key: "a.{x}", kv: ▶"${name}"`))[0]).toMatch(
      'channels.a.kv: expected the name of a key-value bucket',
    ),
  );

  it.each([
    '',
    '.a.{x}',
    'a..{x}',
    'a.{x}.',
    '>.{x}',
    'a*.{x}',
    'a.{x}y',
    'a b.{x}',
    'a:b.{x}',
    'ü.{x}',
    `{x}.${'a'.repeat(509)}`,
  ])('has no keys like %j', (key) =>
    expect(problemsAtMarks(written(`kv: b, key: ▶"${key}"`))[0]).toMatch(
      'channels.a.key: expected a key template like app.{app}',
    ),
  );

  it('has keys that lead back to channels, or is told so in the words of the file', () => {
    const problem = (key: string) => problemsAtMarks(written(`kv: b, key: ▶"${key}"`));
    expect(problem('a')).toEqual([
      'channels.a.key: is not a usable key template: key "a" does not round-trip: the channel\'s {x} does not stand in it',
    ]);
    expect(problem('a.{x}.{y}')).toEqual([
      'channels.a.key: is not a usable key template: key "a.{x}.{y}" names {y}, which the channel does not; use * for a token that the channel does not name',
    ]);
  });
});

describe('keys that belong to another source', () => {
  it('a route has one source', () => {
    expect(problemsAtMarks(written(`${STREAM}, ▶kv: b`))).toEqual([
      'channels.a.kv: is given beside stream: a route has one source, so keep one of the two',
    ]);
  });

  it('a bucket needs a key and no subject', () => {
    expect(problemsAtMarks(written(`${KV}, ▶${SUBJECT}`))).toEqual([
      'channels.a.subject: is given beside kv: write its keys under key in its place',
    ]);
    expect(problemsAtMarks(written('kv: b').replace('  a', '  ▶a'))).toEqual([
      'channels.a.key: is required beside kv: the key template, like app.{app}',
    ]);
  });

  it('a key needs a bucket', () => {
    const message =
      'channels.a.key: is of no use without its bucket: name that under kv, or write a subject in its place';
    expect(problemsAtMarks(written(`${SUBJECT}, ▶key: x`))).toEqual([message]);
    expect(problemsAtMarks(written('▶key: "a.{x}"'))).toEqual([message]);
  });

  it('only streams are read back at start', () => {
    const message = 'channels.a.warm: is of no use without a stream to read: take it out';
    expect(problemsAtMarks(written(`${SUBJECT}, ▶warm: 5m`))).toEqual([message]);
    expect(problemsAtMarks(written(`${KV}, ▶warm: 5m`))).toEqual([message]);
  });

  it('a bucket gives its current values and nothing else', () => {
    for (const replay of ['none', 'last', '5000', 'all', '1m']) {
      expect(problemsAtMarks(written(`${KV}, ▶replay: ${replay}`)), replay).toEqual([
        'channels.a.replay: is of no use beside kv, where the current values always come first: take it out',
      ]);
    }
  });

  it('are not judged by a source that was misread', () => {
    problemsAtMarks(written('kv: ▶"a b", key: "a.{x}"'));
    problemsAtMarks(written(`${SUBJECT}, stream: ▶a.b, warm: 5m`));
    problemsAtMarks(written('subject: ▶5, stream: A'));
    problemsAtMarks(written(`${SUBJECT}, stream: ▶5, replay: 500`));
    problemsAtMarks(written('kv: b, key: ▶5'));
    problemsAtMarks(written(`${SUBJECT}, stream: "▶\${MISSING}", warm: 5m`));
  });
});

describe('automatic channels', () => {
  const auth = 'auth: { callout: { subject: auth.token } }\n';
  const route = (name: string, source: string, keys = 'access: public, automatic: everyone') =>
    `  ${name}: { channel: ${name}, ${source}, ${keys} }\n`;
  const streams = (count: number) =>
    Array.from({ length: count }, (_, n) => route(`s${n}`, `subject: s${n}, stream: S${n}`)).join('');
  const core = (name: string) => route(name, `subject: ${name}`);
  const taken = (routes: string) => Object.keys(parse(`${auth}channels:\n${routes}`).channels).length;
  const problem = (routes: string) => problemsAtMarks(`${auth}channels:\n${routes}`);
  const marked = (text: string) => text.replace('automatic: ', 'automatic: ▶');

  it('are of no more logs than a connection can read, or every request would be refused', () => {
    const message =
      'is one log more than the 5 that a connection can read, and nobody can leave an automatic channel: have pages ask for some of them (all core routes are one log, each stream and each bucket is one more)';
    expect(problem(streams(5) + marked(core('a')) + core('b'))).toEqual([`channels.a.automatic: ${message}`]);
    expect(problem(streams(5) + marked(route('k', 'kv: K, key: k')))).toEqual([
      `channels.k.automatic: ${message}`,
    ]);
    const forTokens = marked(route('t', 'subject: t', 'access: authenticated, automatic: authenticated'));
    expect(problem(streams(5) + forTokens)).toEqual([`channels.t.automatic: ${message}`]);
  });

  it('may be of five logs, however many they are', () => {
    expect(taken(streams(4) + core('a') + core('b') + core('c'))).toBe(7);
    expect(taken(streams(5) + route('again', 'subject: again, stream: S0'))).toBe(6);
    // A bucket and its stream are one log.
    expect(taken(streams(4) + route('k', 'kv: K, key: k') + route('l', 'subject: l, stream: KV_K'))).toBe(6);
  });

  it('count only where every token opens them, and other channels not at all', () => {
    const rest = [
      route('asked', 'subject: asked', 'access: public'),
      route('some', 'subject: some', 'access: { claim: rooms }, automatic: authenticated'),
      '  mine: { channel: "u.{id}", subject: "u.{id}", automatic: authenticated, access: { where: { id: "{claims.sub}" } } }\n',
    ];
    expect(taken(streams(5) + rest.join(''))).toBe(8);
  });

  it('are not counted by keys that were misread', () => {
    problem(streams(5) + core('a').replace('subject: a', 'subject: a, stream: ▶a.b'));
    problem(streams(5) + core('a').replace('everyone', '▶nobody'));
  });
});

describe('replay', () => {
  it.each([
    ['none', { kind: 'none' }],
    ['last', { kind: 'last', count: 1 }],
    ['1', { kind: 'last', count: 1 }],
    ['100', { kind: 'last', count: 100 }],
    ['all', { kind: 'all' }],
    ['1s', { kind: 'since', ageMs: 1000 }],
    ['60s', { kind: 'since', ageMs: 60_000 }],
  ])('%s is read, on any route', (text, replay) => {
    expect(routeOf(`${SUBJECT}, replay: ${text}`).replay).toEqual(replay);
    expect(routeOf(`${STREAM}, replay: ${text}`).replay).toEqual(replay);
    expect(routeOf(`${STREAM}, replay: "\${REPLAY}"`, { REPLAY: text }).replay).toEqual(replay);
  });

  it.each(['some', '-1', '1.5', '100001', '0s', '999ms', '367d', 'true', '[1]', '""', '1e99'])(
    '%s is refused',
    (text) =>
      expect(problemsAtMarks(written(`${STREAM}, replay: ▶${text}`))[0]).toMatch(
        'channels.a.replay: expected none, last, all, a whole number from 1 to 100000, or a duration like 10m from 1s to 366d, got ',
      ),
  );

  it('0 is told how nothing is written', () => {
    expect(problemsAtMarks(written(`${STREAM}, replay: ▶0`))[0]).toMatch('got the number 0: write none');
  });

  it('of a core route is no more than its history keeps', () => {
    const many =
      'channels.a.replay: asks for more events than history.size keeps on a route without a stream: raise that, lower this, or name a stream';
    expect(problemsAtMarks(written(`${SUBJECT}, replay: ▶101`))).toEqual([`${many}: 101 against 100`]);
    expect(problemsAtMarks(written(`${SUBJECT}, replay: ▶6, history: { size: 5 }`))).toEqual([
      `${many}: 6 against 5`,
    ]);
    for (const replay of ['last', 'all', '1s']) {
      expect(problemsAtMarks(written(`${SUBJECT}, replay: ▶${replay}, history: { size: 0 }`))).toEqual([
        `${many}: 1 against 0`,
      ]);
    }
    const old =
      'channels.a.replay: asks for older events than history.age keeps on a route without a stream: raise that, lower this, or name a stream';
    expect(problemsAtMarks(written(`${SUBJECT}, replay: ▶61s`))).toEqual([`${old}: 61s against 1m`]);
    expect(problemsAtMarks(written(`${SUBJECT}, replay: ▶3m, history: { age: 2m }`))).toEqual([
      `${old}: 3m against 2m`,
    ]);
    expect(routeOf(`${SUBJECT}, replay: none, history: { size: 0 }`).replay).toEqual({ kind: 'none' });
    for (const keys of [`${STREAM}, replay: 101`, `${STREAM}, replay: 7d`, `${STREAM}, replay: all`]) {
      expect(routeOf(`${keys}, history: { size: 0 }`).history.size).toBe(0);
    }
  });

  it('does not show in its problems what came from the environment', () => {
    const text = written(`${SUBJECT}, replay: ▶"\${REPLAY}"`);
    const [message] = problemsAtMarks(text, { REPLAY: '101' });
    expect(message).not.toContain('101');
    expect(message).toContain('REPLAY');
  });

  it('is no more than limits.replay', () => {
    const limited = (replay: string, limit: string) =>
      `${written(`${STREAM}, replay: ${replay}`)}limits: { replay: ${limit} }\n`;
    expect(problemsAtMarks(limited('▶11', '10'))).toEqual([
      'channels.a.replay: is more than limits.replay lets a channel give: lower it, or raise that: 11 against 10',
    ]);
    expect(problemsAtMarks(written(`${STREAM}, replay: ▶1001`))).toHaveLength(1);
    expect(parse(limited('10', '10')).limits.replay).toBe(10);
    // How many they come to is known only when somebody joins.
    expect(parse(limited('all', '10')).limits.replay).toBe(10);
    problemsAtMarks(limited('1001', '▶many'));
  });
});

describe('history', () => {
  it('of one channel is no more than that of all', () => {
    const limited = (history: string, limit: string) =>
      `${written(`${SUBJECT}, history: ${history}`)}limits: { history: ${limit} }\n`;
    expect(problemsAtMarks(limited('{ bytes: ▶3MiB }', '2MiB'))).toEqual([
      'channels.a.history.bytes: is more than limits.history leaves for all channels together: lower it, or raise that: 3MiB against 2MiB',
    ]);
    expect(parse(limited('{ bytes: 2MiB }', '2MiB')).limits.historyBytes).toBe(2_097_152);
    expect(parse(limited('{ size: 0, bytes: 3MiB }', '2MiB')).limits.historyBytes).toBe(2_097_152);
    expect(parse(limited('{}', '1MiB')).limits.historyBytes).toBe(1_048_576);
    problemsAtMarks(limited('{ bytes: 3MiB }', '▶little'));
  });

  it.each([
    ['size', '-1'],
    ['size', '1000001'],
    ['age', '0s'],
    ['age', '99ms'],
    ['age', '25d'],
    ['bytes', '1B'],
    ['bytes', '2GiB'],
    ['bytes', '0'],
  ])('%s: %s is refused', (key, value) =>
    expect(problemsAtMarks(written(`${SUBJECT}, history: { ${key}: ▶${value} }`))[0]).toMatch(
      `channels.a.history.${key}: expected `,
    ),
  );

  it('is a mapping of its bounds', () => {
    expect(problemsAtMarks(written(`${SUBJECT}, history: ▶100`))[0]).toMatch(
      'channels.a.history: expected a mapping with keys like size, age, bytes, got the number 100',
    );
  });
});
