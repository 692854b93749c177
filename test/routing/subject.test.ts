import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_SUBJECT_LENGTH, subjectProblem } from '../../src/routing/subject.ts';

describe('a subject', () => {
  it.each(['a', 'a.b.c', '*', '>', 'a.*.c', 'a.>', '*.*.>', '$SYS.>', 'ä.ö', 'x'.repeat(MAX_SUBJECT_LENGTH)])(
    'may be subscribed to: %s',
    (subject) => {
      expect(subjectProblem(subject)).toBeUndefined();
    },
  );

  it.each([
    ['', 'is empty'],
    ['.a', 'empty token'],
    ['a.', 'empty token'],
    ['a..b', 'empty token'],
    ['>.a', '`>` before its last token'],
    ['a.>.*', '`>` before its last token'],
    ['a*', 'wildcard inside'],
    ['a.b>', 'wildcard inside'],
    ['**', 'wildcard inside'],
    ['a b', 'white space'],
    ['a\tb', 'white space'],
    ['a.b\r\nPUB x', 'white space'],
    ['a\u0000b', 'white space'],
    ['a\u00a0b', 'white space'],
    ['x'.repeat(MAX_SUBJECT_LENGTH + 1), `longer than ${MAX_SUBJECT_LENGTH}`],
  ])('may not: %j', (subject, problem) => {
    expect(subjectProblem(subject)).toContain(problem);
  });

  it('that may be subscribed to cannot end the line of the NATS protocol or name another argument', () => {
    const piece = fc.oneof(
      fc.constantFrom('a', '.', '*', '>', ' ', '\r', '\n', '\t', '\0'),
      fc.string({ unit: 'binary', maxLength: 2 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const subject = pieces.join('');
        if (subjectProblem(subject) === undefined) expect(subject).toMatch(/^[^\s\u0000-\u0020\u007f]+$/);
      }),
      { numRuns: 1000 },
    );
  });
});
