import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RedactionConfig, RouteConfig } from '../../src/config/schema.ts';
import { isKeyed, PayloadReader, payloadReader } from '../../src/routing/payload.ts';
import { isWithin, parsePointer } from '../../src/routing/pointer.ts';
import { routeConfig } from '../support/route.ts';

const at = (text: string, replacement = '#'): RedactionConfig => ({
  kind: 'pointer',
  pointer: parsePointer(text) ?? expect.fail(`no pointer: ${text}`),
  replacement,
});
const matching = (pattern: string, flags = '', replacement = '#'): RedactionConfig => ({
  kind: 'pattern',
  pattern,
  flags,
  replacement,
});

/** What is left of a payload. */
function redact(redact: readonly RedactionConfig[], text: string): string | undefined {
  return new PayloadReader({ redact, map: {}, latestBy: 'subject' }).read(text)?.text;
}

describe('a JSON pointer', () => {
  it.each([
    ['/a', ['a']],
    ['/a~1b/~0/0', ['a/b', '~', '0']],
    ['/~01', ['~1']],
    ['/', ['']],
    ['/ä b/*', ['ä b', '*']],
    ['', undefined],
    ['a', undefined],
    ['/a~', undefined],
    ['/a~2', undefined],
  ])('%s leads by %j', (text, tokens) => expect(parsePointer(text)).toEqual(tokens));

  it('is known to lie within another', () => {
    const within = (inner: string, outer: string) =>
      isWithin(parsePointer(inner) ?? [], parsePointer(outer) ?? []);
    expect(within('/a/b', '/a')).toBe(true);
    expect(within('/a', '/a')).toBe(true);
    expect(within('/a/0/b', '/a/*')).toBe(true);
    expect(within('/*/b', '/a')).toBe(true);
    expect([within('/a', '/a/b'), within('/a/b', '/a/c'), within('/ab', '/a')]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('what pointers lead to is replaced', () => {
  it.each([
    ['a member', ['/a'], '{"a":1,"b":1}', '{"a":"#","b":1}'],
    [
      'whatever it is',
      ['/a', '/b', '/c'],
      '{"a":{"x":["}"]},"b":[1,"]"],"c":null}',
      '{"a":"#","b":"#","c":"#"}',
    ],
    ['an item', ['/1/0'], '[0,[1,2]]', '[0,["#",2]]'],
    ['every item', ['/*/a'], '[{"a":1},{"b":{"a":1}},{"a":2}]', '[{"a":"#"},{"b":{"a":1}},{"a":"#"}]'],
    ['every member', ['/*/a'], '{"x":{"a":1},"y":[{"a":1}]}', '{"x":{"a":"#"},"y":[{"a":1}]}'],
    [
      'any and one',
      ['/*/a', '/x/b'],
      '{"x":{"a":1,"b":1},"y":{"a":1,"b":1}}',
      '{"x":{"a":"#","b":"#"},"y":{"a":"#","b":1}}',
    ],
    ['the outer of two', ['/a', '/a/b'], '{"a":{"b":1}}', '{"a":"#"}'],
    ['each of two of one name', ['/a'], '{"a":1,"b":2,"a":{"a":3}}', '{"a":"#","b":2,"a":"#"}'],
    ['a name that is escaped', ['/pass~1word'], '{"p\\u0061ss\\/word":"x"}', '{"p\\u0061ss\\/word":"#"}'],
    ['an empty name', ['/'], '{"":1}', '{"":"#"}'],
    [
      'a name that objects have',
      ['/__proto__/x', '/constructor'],
      '{"__proto__":{"x":1},"constructor":1}',
      '{"__proto__":{"x":"#"},"constructor":"#"}',
    ],
    [
      'in all the white space there may be',
      ['/a/0'],
      ' {\t"a" :\r\n[ 1 , 2 ] } ',
      ' {\t"a" :\r\n[ "#" , 2 ] } ',
    ],
    [
      'behind hard strings',
      ['/b'],
      '{"a":"\\\\\\"{[","b":1,"c":"\\\\"}',
      '{"a":"\\\\\\"{[","b":"#","c":"\\\\"}',
    ],
    ['nothing where nothing is', ['/a/b', '/0'], '{"a":1}', '{"a":1}'],
    ['nothing in a scalar', ['/a'], ' "a" ', ' "a" '],
    ['nothing in nothing', ['/a'], '', ''],
    ['nothing in an empty object', ['/a'], '{}', '{}'],
  ])('%s', (_, pointers, text, expected) => {
    expect(
      redact(
        pointers.map((pointer) => at(pointer)),
        text,
      ),
    ).toBe(expected);
  });

  it('by text that is escaped as it needs', () => {
    expect(redact([at('/a', '"\n')], '{"a":1}')).toBe('{"a":"\\"\\n"}');
  });

  it('and what is no JSON is not let through', () => {
    for (const text of ['{"a":1', '{a:1}', 'a', '{"a":1}{"a":1}', '\uFEFF{"a":1}', ' '])
      expect(redact([at('/a')], text)).toBeUndefined();
  });

  it('however deep it lies', () => {
    const [open, close] = ['{"a":['.repeat(50_000), ']}'.repeat(50_000)];
    expect(redact([at('/a/0/a')], `${open}1${close}`)).toBe('{"a":[{"a":"#"}]}');
    expect(redact([matching('1')], `${open}1${close}`)).toBe(`${open}"#"${close}`);
  });
});

describe('what patterns match is replaced', () => {
  it.each([
    ['in strings', '{"a":"pin 1234!"}', '{"a":"pin #!"}'],
    ['in strings that are escaped', '{"a":"\\u0031\\u003234 \\n"}', '{"a":"# \\n"}'],
    ['in names', '{"1234":{"a":1}}', '{"#":{"a":1}}'],
    ['in numbers', '[1234, 123, -12345.5]', '["#", 123, "-#.5"]'],
    ['in numbers as they read', '[1.234e3, 12e2, 5e-1]', '["#", "#", 5e-1]'],
    ['at the top', '1234', '"#"'],
    ['in text', 'pin 1234, "1234"', 'pin #, "#"'],
    ['nowhere else', '{"a": 12.50, "b": "x\\u0041"}', '{"a": 12.50, "b": "x\\u0041"}'],
  ])('%s', (_, text, expected) => expect(redact([matching('\\d{4}')], text)).toBe(expected));

  it('each in turn, and beside pointers', () => {
    const rules = [matching('abc', 'i', 'x'), at('/b', '-'), matching('x+', '', '#')];
    expect(redact(rules, '{"a":"ABCabc","b":"abc"}')).toBe('{"a":"#","b":"-"}');
  });

  it('also in what events are named after, but not in what only tells them apart', () => {
    const reader = new PayloadReader({
      redact: [matching('\\d+')],
      map: { event: ['type'], id: ['id'] },
      latestBy: { pointer: ['user'] },
    });
    expect(reader.read('{"type":"t1","id":22,"user":"u3"}')).toMatchObject({
      event: 't#',
      id: '22',
      shownId: '#',
      key: '"u3"',
    });
  });
});

/** JSON of some shape, in which a secret stands anywhere: as a value, in a text, as a name; twice under one name, or escaped. */
const SECRET = 's3cr3t';
const escaped = (text: string) =>
  [...text].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const token = fc
  .constantFrom(
    SECRET,
    `a${SECRET}b`,
    `${SECRET}${SECRET}`,
    'plain',
    '',
    'hide',
    'keep',
    'quote " and \\ ',
    'ü😀',
  )
  .chain((text) =>
    fc.constantFrom(
      JSON.stringify(text),
      /[^\u0020-\u007e]/.test(text) ? JSON.stringify(text) : `"${escaped(text)}"`,
    ),
  );
const scalar = fc.oneof(
  token,
  fc.constantFrom('true', 'null', '0', '-1.50', '12345678901234567890', '1e400', '1.0E+2'),
);
const space = fc.constantFrom('', '', ' ', '\n\t');
const { value: anyJson } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar,
    fc
      .array(fc.tuple(space, tie('value'), space), { maxLength: 4 })
      .map((items) => `[${items.map((item) => item.join('')).join(',')}]`),
    fc
      .array(fc.tuple(space, token, space, tie('value')), { maxLength: 4 })
      .map((members) => `{${members.map(([a, name, b, value]) => `${a}${name}${b}:${value}`).join(',')}}`),
  ),
}));

/** Every text and name in a JSON value, and under which names it stands. */
function* texts(
  value: unknown,
  path: readonly string[] = [],
): Generator<{ text: string; path: readonly string[] }> {
  if (typeof value === 'string') yield { text: value, path };
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    if (!Array.isArray(value)) yield { text: name, path };
    yield* texts(inner, [...path, name]);
  }
}

describe('whatever the payload', () => {
  it('no text that a pattern matches is left in it, raw or read', () => {
    fc.assert(
      fc.property(anyJson, (text) => {
        const shown = redact([matching(SECRET)], text) ?? expect.fail('it is JSON');
        for (const { text } of texts(JSON.parse(shown))) expect(text).not.toContain(SECRET);
        expect(shown).not.toContain(SECRET);
        expect(shown).not.toContain(escaped(SECRET));
      }),
      { numRuns: 1000 },
    );
  });

  it('no value that a pointer leads to is left in it', () => {
    fc.assert(
      fc.property(anyJson, (text) => {
        const shown =
          redact([at('/hide'), at('/*/hide'), at('/keep/*/hide')], text) ?? expect.fail('it is JSON');
        for (const { text, path } of texts(JSON.parse(shown))) {
          const hidden = path.indexOf('hide');
          if (hidden === 0 || hidden === 1 || (hidden === 2 && path[0] === 'keep')) expect(text).toBe('#');
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('all else of it stays as it was, to the letter', () => {
    fc.assert(
      fc.property(anyJson, (text) => {
        expect(redact([at('/nowhere/at/all'), matching('no such text')], text)).toBe(text);
        const { shown, hidden } = { shown: redact([at('/hide')], text) ?? '', hidden: JSON.parse(text) };
        if (typeof hidden !== 'object' || hidden === null || Array.isArray(hidden)) expect(shown).toBe(text);
        else if ('hide' in hidden) expect(JSON.parse(shown)).toEqual({ ...hidden, hide: '#' });
        else expect(shown).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  it('a field is what the reader of the payload finds there', () => {
    fc.assert(
      fc.property(
        fc.json({ stringUnit: fc.constantFrom('a', '"', '\\', 'é') }),
        fc.json(),
        (first, second) => {
          const text = `{"x": [${second}, {"type":${first}}], "y":${second}}`;
          const reader = new PayloadReader({
            redact: [],
            map: { event: ['x', '1', 'type'] },
            latestBy: 'subject',
          });
          const value: unknown = JSON.parse(first);
          const isScalar = typeof value !== 'object';
          const { event } = reader.read(text) ?? {};
          if (value === null) expect(event).toBeUndefined();
          else if (!isScalar) expect(event).toBeNull();
          else if (typeof value === 'number') expect(Number(event)).toBe(value);
          else expect(event).toBe(String(value));
        },
      ),
    );
  });
});

describe('events of a route replace one another', () => {
  it.each<[string, Partial<RouteConfig>, boolean]>([
    ['nothing', {}, false],
    ['slow: latest', { slow: 'latest' }, true],
    ['slow: drop', { slow: 'drop' }, false],
    ['throttle', { throttleMs: 100 }, true],
    ['rateLimit over: latest', { rateLimit: { ratePerSecond: 1, burst: 1, over: 'latest' } }, true],
    ['rateLimit over: drop', { rateLimit: { ratePerSecond: 1, burst: 1, over: 'drop' } }, false],
  ])('or do not, by %s', (_, policy, expected) => {
    const config = routeConfig({ channel: 'a', subject: 'a', latestBy: { pointer: ['k'] }, ...policy });
    expect(isKeyed(config)).toBe(expected);
    expect(payloadReader(config)?.read('{"k":1}')?.key).toBe(expected ? '1' : undefined);
  });
});
