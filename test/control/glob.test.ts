import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesGlob } from '../../src/control/glob.ts';

describe('a filter', () => {
  it('takes the name itself, and what its stars leave open', () => {
    for (const [pattern, text] of [
      ['a.b', 'a.b'],
      ['*', ''],
      ['*', 'anything'],
      ['chat-*', 'chat-lobby'],
      ['chat-*', 'chat-'],
      ['*-lobby', 'chat-lobby'],
      ['c*t*y', 'chat-lobby'],
      ['**b**', 'abc'],
    ] as const)
      expect(matchesGlob(pattern, text), `${pattern} takes ${text}`).toBe(true);
    for (const [pattern, text] of [
      ['a.b', 'axb'],
      ['chat', 'chat-lobby'],
      ['chat-*', 'chat'],
      ['*a', 'ab'],
      ['a*a', 'a'],
    ] as const)
      expect(matchesGlob(pattern, text), `${pattern} takes ${text}`).toBe(false);
  });

  it('is what an expression of the same meaning says', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (glob, name) => {
        const parts = glob.split('*').map((part) => part.replaceAll('.', '\\.'));
        expect(matchesGlob(glob, name)).toBe(new RegExp(`^${parts.join('.*')}$`).test(name));
      }),
    );
  });
});
