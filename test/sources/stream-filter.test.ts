import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  covers,
  filtersFor,
  filtersOf,
  overlaps,
  toFilter,
  unstoredBy,
} from '../../src/sources/stream-filter.ts';

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

describe('the filters of a stream', () => {
  const config = { subjects: ['a.>', 'b'] };

  it('are those of all routes, also where the stream stores nothing of them now', () => {
    expect(filtersFor(config, ['a.*', 'c.*'], '2.10.0')).toEqual(['a.*', 'c.*']);
    expect(filtersFor(config, ['c.*'], '2.9.10')).toEqual(['c.*']);
    expect(unstoredBy(config, ['a.*', 'c.*'])).toEqual(['c.*']);
    // What a source brings is not in its subjects.
    expect(unstoredBy({ ...config, sources: [{ name: 'C' }] }, ['a.*', 'c.*'])).toEqual([]);
  });

  it('are none where they let everything pass', () => {
    expect(filtersFor(config, ['a.>', 'b', 'c.*'], '2.15.0')).toEqual([]);
    const sourced = { ...config, sources: [{ name: 'C' }] };
    expect(filtersFor(sourced, ['a.>', 'b'], '2.15.0')).toEqual(['a.>', 'b']);
  });

  it('cannot be several before nats-server 2.10', () => {
    expect(filtersFor(config, ['a.*', 'c.*'], '2.9.10')).toBeUndefined();
  });
});
