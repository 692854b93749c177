import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers, filtersOf, overlaps, toFilter } from '../../src/sources/stream-filter.ts';

describe('the filters of several subjects', () => {
  it.each([
    [
      ['a.*', 'b.c'],
      ['a.*', 'b.c'],
    ],
    [['a.*', 'a.b', 'a.*'], ['a.*']],
    [['a.>', 'a.*', 'a.b.c'], ['a.>']],
    [['*.b', 'a.*'], []],
    [['a.>', '*.b'], []],
    [
      ['a', 'a.b', 'a.b.c'],
      ['a', 'a.b', 'a.b.c'],
    ],
    [['>', 'a'], []],
    [[], []],
  ])('%j are %j', (subjects, filters) => {
    expect(filtersOf(subjects)).toEqual(filters);
  });

  it('let through what any of them matches, and overlap nowhere', () => {
    const token = fc.constantFrom('a', 'b', '*');
    const filter = fc
      .tuple(fc.array(token, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([tokens, isOpen]) => [...tokens, ...(isOpen ? ['>'] : [])].join('.'));
    const subject = fc
      .array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 4 })
      .map((t) => t.join('.'));
    fc.assert(
      fc.property(fc.array(filter, { minLength: 1, maxLength: 4 }), subject, (subjects, concrete) => {
        const filters = filtersOf(subjects);
        if (filters.length === 0) return;
        const matches = (list: readonly string[]) => list.filter((one) => covers(one, concrete)).length;
        expect(matches(filters)).toBe(matches(subjects) > 0 ? 1 : 0);
      }),
    );
  });

  it('overlap exactly where some subject matches both', () => {
    expect(overlaps('a.*', '*.b')).toBe(true);
    expect(overlaps('a.>', 'a.b.c')).toBe(true);
    expect(overlaps('a.>', 'a')).toBe(false);
    expect(overlaps('a.*', 'a.b.c')).toBe(false);
    expect(overlaps('a.b', 'a.c')).toBe(false);
  });

  it('have * for parameters', () => {
    expect(toFilter('market.{symbol}.*.{side}.>')).toBe('market.*.*.*.>');
  });
});
