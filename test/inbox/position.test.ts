import { describe, expect, it } from 'vitest';
import { positionOf, wanted } from '../../src/inbox/position.ts';

const LOG = { epoch: 'abc' };
const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};

describe('an id', () => {
  it('is the position in the channel’s own log, whatever else it holds', () => {
    expect(positionOf('abc.7', LOG)).toBe(7);
    expect(positionOf('xyz.9_abc.7_q.1', LOG)).toBe(7);
  });

  it.each([
    ['', 'INBOX_INVALID'],
    ['7', 'INBOX_INVALID'],
    ['abc.07', 'INBOX_INVALID'],
    ['abc.9007199254740993', 'INBOX_INVALID'],
    ['other.7', 'INBOX_POSITION'],
  ])('%s is refused: %s', (id, code) => {
    expect(codeOf(() => positionOf(id, LOG))).toBe(code);
  });

  it('is not known while the log is not', () => {
    expect(codeOf(() => positionOf('abc.7', { epoch: undefined }))).toBe('INBOX_UNAVAILABLE');
  });
});

describe('a mark', () => {
  it('asks for what it says and no more', () => {
    expect(wanted({ through: 'abc.5' }, LOG, 9)).toEqual({ epoch: 'abc', through: 5, read: [] });
    expect(wanted({ ids: ['abc.5', 'abc.2', 'abc.5'] }, LOG, 9)).toEqual({
      epoch: 'abc',
      through: 0,
      read: [2, 5],
    });
    expect(wanted({ all: true }, LOG, 9)).toEqual({ epoch: 'abc', through: 9, read: [] });
  });

  it('of what has not come yet is refused', () => {
    for (const mark of [{ through: 'abc.10' }, { ids: ['abc.1', 'abc.10'] }])
      expect(codeOf(() => wanted(mark, LOG, 9))).toBe('INBOX_POSITION');
  });
});
