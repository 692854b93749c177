import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, Pattern } from '../../src/routing/pattern.ts';
import { compileProgram } from '../../src/routing/pattern-program.ts';
import { States } from '../../src/routing/pattern-states.ts';

const MIB = 1024 * 1024;

function compiled(source: string, flags?: string): Pattern {
  const pattern = compilePattern(source, flags);
  return pattern instanceof Pattern ? pattern : expect.fail(pattern.problem);
}

/** Needs another state for every text of so many letters. */
const manyStates = (count: number) => `[ab]*a[ab]{${count}}`;

describe('both ways to search', () => {
  it.each([
    ['\\d{3,5}', ''],
    ['a.*b|[^a]b', ''],
    ['\\b[ab]+\\B', 'i'],
    ['^(a|é)*|1$', 's'],
    [manyStates(12), ''],
    ['(?:a|1[b-]?){2,}(?:é|😀)?', ''],
  ])('find the same by %s (%s)', (source, flags) => {
    const unit = fc.constantFrom('a', 'b', 'A', '1', '2', ' ', '\n', '-', 'é', '😀', '\ud83d', '\ude00');
    const pattern = compiled(source, flags);
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
        expect(pattern.find(text)).toEqual(pattern.findByThreads(text));
      }),
      { numRuns: 300 },
    );
  });

  it('find the same where there are more states than are remembered, and in texts that come after', () => {
    const pattern = compiled(manyStates(20));
    // Nearly every stretch of 21 letters is another one.
    const letters = Array.from({ length: 20_000 }, (_, i) =>
      (i * i * 7919 + i * 31) % 1009 > 500 ? 'a' : 'b',
    );
    for (const text of [`${letters.join('')} aa`, 'ab'.repeat(30), `b${'a'.repeat(25)} b`])
      expect(pattern.find(text)).toEqual(pattern.findByThreads(text));
  });
});

describe('states that are looked up', () => {
  const statesOf = (source: string) => {
    const program = compileProgram(source, '');
    return 'steps' in program ? new States(program) : expect.fail(program.problem);
  };

  it('are enough for what few states and few kinds of characters are to', () => {
    const states = statesOf('[a-f]+\\d{13,19}|\\w+@\\w+|[^x]é');
    expect(states.find('f1234567890123 a@b xé yé')).toEqual([
      [0, 14],
      [15, 18],
      [22, 24],
    ]);
  });

  it('are given up where they become too many, and begin anew with the next text', () => {
    const states = statesOf(manyStates(12));
    let bits = 1;
    const letters = Array.from({ length: 8_000 }, () => {
      bits = (bits * 1_103_515_245 + 12_345) % 2_147_483_648;
      return bits > 1_000_000_000 ? 'a' : 'b';
    });
    expect(states.find(letters.join(''))).toBeUndefined();
    expect(states.find(`a${'b'.repeat(12)}-a`)).toEqual([[0, 13]]);
  });
});

describe('the longest that a pattern may take', () => {
  it('does not grow with its steps where the states that it comes to are few', () => {
    const [short, long] = [compiled('\\d'), compiled('\\d{13,200}')];
    expect(long.worstMs(MIB)).toBe(short.worstMs(MIB));
    expect(long.worstMs(4 * MIB)).toBe(4 * long.worstMs(MIB));
  });

  it('does where they are too many', () => {
    expect(compiled(manyStates(100)).worstMs(MIB)).toBeGreaterThan(20 * compiled('[ab]').worstMs(MIB));
  });
});

describe('a pattern that is made to be hard to read', () => {
  it.each([
    ['(){4294967295}', 'counts to more than 1000'],
    ['(?:a{0}){99999999999999999999}', 'counts to more than 1000'],
    ['(?:){0,1001}', 'counts to more than 1000'],
    [`${'('.repeat(51)}a${')'.repeat(51)}`, 'more than 50 deep'],
    ['('.repeat(20_000), 'longer than 2000 characters'],
    ['a?'.repeat(500), 'more than 500 steps'],
  ])('%.40s cannot be used, and is told why at once', (source, problem) => {
    const pattern = compilePattern(source);
    expect(pattern).toEqual({ problem: expect.stringContaining(problem) });
  });

  it('may be as deep and count as far as is allowed', () => {
    expect(compiled(`${'('.repeat(50)}a${')'.repeat(50)}`).find('bab')).toEqual([[1, 2]]);
    expect(compiled('(){1000}a(?:b{0}){1000}').find('bab')).toEqual([[1, 2]]);
  });
});
