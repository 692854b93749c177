import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, Pattern } from '../../src/routing/pattern.ts';
import type { Stretch } from '../../src/routing/pattern-threads.ts';

function compiled(source: string, flags?: string): Pattern {
  const pattern = compilePattern(source, flags);
  return pattern instanceof Pattern ? pattern : expect.fail(pattern.problem);
}

const problemOf = (source: string, flags?: string) => {
  const pattern = compilePattern(source, flags);
  return pattern instanceof Pattern ? expect.fail('it can be used') : pattern.problem;
};

/** What lies in any match, found by asking JavaScript of every stretch there is. */
function covered(source: string, flags: string, text: string): Stretch[] {
  const hidden = new Set<number>();
  for (let start = 0; start < text.length; start += 1) {
    for (let end = start + 1; end <= text.length; end += 1) {
      const here = `(?<=^[^]{${start}})(?:${source})(?=[^]{${text.length - end}}$)`;
      if (new RegExp(here, `u${flags}`).test(text)) for (let at = start; at < end; at += 1) hidden.add(at);
    }
  }
  const found: [number, number][] = [];
  for (const at of [...hidden].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last?.[1] === at) last[1] = at + 1;
    else found.push([at, at + 1]);
  }
  return found;
}

const atom = fc.constantFrom(
  ...[
    'a',
    'b',
    '.',
    '[ab]',
    '[^a]',
    '\\w',
    '\\W',
    '\\d',
    '\\x61',
    '\\u{62}',
    '\\u0031',
    ' ',
    '\\n',
    '\\.',
    '-',
  ],
  ...['\\b', '\\B', '^', '$'],
);
const quantifier = fc.constantFrom(
  '',
  '',
  '',
  '*',
  '+',
  '?',
  '{2}',
  '{1,}',
  '{0,2}',
  '{1,2}',
  '*?',
  '+?',
  '{0}',
);
const { source: anySource } = fc.letrec<{ source: string; piece: string }>((tie) => ({
  source: fc
    .array(fc.array(tie('piece'), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
    .map((ways) => ways.map((way) => way.join('')).join('|')),
  piece: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc
      .tuple(atom, quantifier)
      .map(([atom, quantifier]) => (/^(\^|\$|\\[bB])$/.test(atom) ? atom : `${atom}${quantifier}`)),
    fc
      .tuple(fc.constantFrom('(', '(?:'), tie('source'), quantifier)
      .map(([open, inner, by]) => `${open}${inner})${by}`),
  ),
}));
const anyText = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '1', ' ', '\n', '-', 'é'), maxLength: 7 });

describe('a pattern', () => {
  it('finds what lies in any match that JavaScript knows, and nothing else', () => {
    fc.assert(
      fc.property(anySource, fc.constantFrom('', 'i', 's', 'is'), anyText, (source, flags, text) => {
        // Bounds within bounds come to more than it takes, now and then.
        const pattern = compilePattern(source, flags);
        fc.pre(pattern instanceof Pattern || !pattern.problem.includes('more than 500 steps'));
        expect(compiled(source, flags).find(text)).toEqual(covered(source, flags, text));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['\\d{4}', '', 'card 4111 1111', 'card # #'],
    ['[\\w.+-]+@[\\w-]+(\\.[\\w-]+)+', '', 'to: a.b@x.example.', 'to: #.'],
    ['bearer [A-Za-z0-9._~+/-]+=*', 'i', 'Bearer eyJ.x-y_z== end', '# end'],
    ['a|ab|b', '', 'xaby', 'x#y'],
    ['\\d', '', '12 3', '# #'],
    ['(^| )no( |$)', '', 'no yes no', '#yes#'],
    ['\\p{Lu}\\u{1F600}', '', 'É😀', '#'],
    ['\\uD83D\\uDE00', '', 'x😀y', 'x#y'],
    ['[^a]', '', 'a😀a', 'a#a'],
    ['.', '', 'a\nb', '#\n#'],
    ['a*', '', 'bab', 'b#b'],
    ['\\bK\\b', 'i', 'k \u212a ak', '# # ak'],
  ])('%s (%s) hides in %j what it matches', (source, flags, text, hidden) => {
    expect(compiled(source, flags).replace(text, '#')).toBe(hidden);
  });

  it('takes what stands in its place as it is', () => {
    expect(compiled('a').replace('bab', '$&$1')).toBe('b$&$1b');
  });

  it.each([
    ['(a+)+$', `${'a'.repeat(200_000)}b`],
    ['(a|a)*$', `${'a'.repeat(200_000)}b`],
    ['a+b', 'a'.repeat(200_000)],
    ['.*.*.*=.*', 'x'.repeat(200_000)],
    ['a.*b|a', 'a'.repeat(200_000)],
  ])('%s comes to an end on a text that is made to be slow', (source, text) => {
    // JavaScript's own takes minutes for the quickest of these, and longer than the world lasts for the first.
    expect(compiled(source).find(text).length).toBeLessThan(2);
  });

  it.each([
    ['(', 'Invalid regular expression'],
    ['a{2,1}', 'Invalid regular expression'],
    ['a{', 'Invalid regular expression'],
    ['(?=a)b', 'look-around'],
    ['(?<!a)b', 'look-around'],
    ['(?<name>a)', 'named group'],
    ['(a)\\1', 'back-reference'],
    ['\\d{501}', 'more than 500 steps'],
    ['(\\d{100}){100}', 'more than 500 steps'],
    ['((a{400})*){400}', 'more than 500 steps'],
  ])('%s cannot be used, and is told why', (source, problem) => {
    expect(problemOf(source)).toContain(problem);
  });
});
