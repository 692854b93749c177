import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compact,
  covers,
  decodeState,
  encodeState,
  isRead,
  keyOf,
  merge,
  nothingRead,
  type ReadState,
} from '../../src/inbox/state.ts';

const offsets = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 12 });
const states = fc
  .record({ through: fc.integer({ min: 0, max: 30 }), read: offsets })
  .map(({ through, read }): ReadState => merge(nothingRead('e'), { epoch: 'e', through, read }));
const ALL = Array.from({ length: 32 }, (_, offset) => offset);
const readBy = (state: ReadState) => ALL.filter((offset) => isRead(state, offset));

describe('what was read', () => {
  it('by two devices at once is what either read, whichever is first', () => {
    fc.assert(
      fc.property(states, states, (a, b) => {
        const both = [...new Set([...readBy(a), ...readBy(b)])].sort((x, y) => x - y);
        expect(readBy(merge(a, b))).toEqual(both);
        expect(merge(a, b)).toEqual(merge(b, a));
        expect(covers(merge(a, b), a) && covers(merge(a, b), b)).toBe(true);
        if (covers(a, b)) expect(readBy(b).every((offset) => isRead(a, offset))).toBe(true);
        else expect(merge(a, b)).not.toEqual(a);
      }),
    );
  });

  it('is the same in fewer words where nothing before is unread, and never less', () => {
    fc.assert(
      fc.property(states, fc.integer({ min: 1, max: 31 }), (state, before) => {
        const fewer = compact(state, before);
        expect(readBy(fewer)).toEqual(ALL.filter((offset) => offset < before || isRead(state, offset)));
        expect(fewer.read.every((offset) => offset > fewer.through)).toBe(true);
        expect(covers(fewer, state)).toBe(true);
      }),
    );
  });

  it('of a log that was made anew means nothing', () => {
    const old: ReadState = { epoch: 'old', through: 9, read: [] };
    expect(merge(old, nothingRead('new'))).toEqual(nothingRead('new'));
    expect(covers(old, nothingRead('new'))).toBe(false);
  });

  it('comes back from the bucket as it was', () => {
    fc.assert(
      fc.property(states, (state) => {
        const bytes = new TextEncoder().encode(encodeState('user-42', state));
        expect(decodeState('user-42', bytes)).toEqual(state);
        expect(decodeState('user-43', bytes)).toBeUndefined();
      }),
    );
    expect(keyOf('user-42')).toMatch(/^channel\.[0-9a-f]{64}$/);
  });

  it.each([
    ['', '{', '[]', 'null', '{}'],
    ['{"channel":"c","epoch":"e","through":-1,"read":[]}'],
    ['{"channel":"c","epoch":"e","through":1.5,"read":[]}'],
    ['{"channel":"c","epoch":7,"through":1,"read":[]}'],
    ['{"channel":"c","epoch":"e","through":1,"read":["2"]}'],
    [JSON.stringify({ channel: 'c', epoch: 'e', through: 0, read: Array(1001).fill(1) })],
  ])('is nothing where the bucket holds what is none of ours', (...texts) => {
    for (const text of texts) expect(decodeState('c', new TextEncoder().encode(text))).toBeUndefined();
  });
});
