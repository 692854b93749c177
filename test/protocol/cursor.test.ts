import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EPOCH_LENGTH,
  formatCursor,
  formatPosition,
  MAX_CURSOR_LENGTH,
  MAX_LOGS,
  parseCursor,
} from '../../src/protocol/cursor.ts';

const epoch = fc.stringMatching(/^[A-Za-z0-9-]{1,32}$/);
const position = fc.record({ epoch, offset: fc.maxSafeNat() });

describe('a cursor', () => {
  it('comes back as the position it was made of', () => {
    fc.assert(
      fc.property(position, ({ epoch, offset }) => {
        expect(parseCursor(formatPosition(epoch, offset))).toEqual([{ epoch, offset }]);
      }),
    );
  });

  it('may be of several logs', () => {
    fc.assert(
      fc.property(fc.array(position, { minLength: 1, maxLength: 2 }), (positions) => {
        const text = positions.map(({ epoch, offset }) => formatPosition(epoch, offset)).join('_');
        expect(parseCursor(text)).toEqual(positions);
      }),
    );
  });

  it('fits into what Chromium lets pass, in characters that no browser mangles', () => {
    fc.assert(
      fc.property(position, ({ epoch, offset }) => {
        const text = formatPosition(epoch, offset);
        expect(text).toMatch(/^[A-Za-z0-9._-]+$/);
        expect(text.length).toBeLessThanOrEqual(MAX_CURSOR_LENGTH);
      }),
    );
  });

  it('of as many logs as one connection may read fits, however far they have got, and comes back', () => {
    const epochs = fc.array(fc.stringMatching(new RegExp(`^[A-Za-z0-9]{${EPOCH_LENGTH}}$`)), {
      minLength: 1,
      maxLength: MAX_LOGS,
    });
    fc.assert(
      fc.property(epochs, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (epochs, offset) => {
        const logs = epochs.map((epoch) => ({ epoch }));
        const text = formatCursor(logs, () => offset);
        expect(text.length).toBeLessThanOrEqual(MAX_CURSOR_LENGTH);
        expect(parseCursor(text)).toEqual(epochs.map((epoch) => ({ epoch, offset })));
      }),
    );
  });

  it('leaves out a log that is not known yet, and is empty where none is', () => {
    const logs = [{ epoch: undefined }, { epoch: 'e' }, { epoch: undefined }, { epoch: 'f' }];
    expect(formatCursor(logs, () => 3)).toBe('e.3_f.3');
    expect(formatCursor([{ epoch: undefined }], () => 3)).toBe('');
  });

  it('never throws, and takes no text that it would not write', () => {
    const nearly = fc.array(
      fc.constantFrom('a', '0', '1', '9007199254740991', '.', '_', '-', ' ', 'é', '\n', '+', 'e'),
      { maxLength: 12 },
    );
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary', maxLength: 200 }),
      nearly.map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, (text) => {
        const positions = parseCursor(text);
        if (positions === undefined) return;
        expect(positions.map(({ epoch, offset }) => formatPosition(epoch, offset)).join('_')).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['nothing', ''],
    ['no offset', 'abc'],
    ['an empty offset', 'abc.'],
    ['an empty epoch', '.1'],
    ['a sign', 'abc.-1'],
    ['a leading zero', 'abc.01'],
    ['an exponent', 'abc.1e3'],
    ['a number that JavaScript cannot hold', 'abc.9007199254740992'],
    ['an epoch that is too long', `${'a'.repeat(33)}.1`],
    ['an empty position', 'a.1_'],
    ['a line end', 'a.1\n'],
    ['more than 128 characters', Array.from({ length: 40 }, () => 'a.1').join('_')],
  ])('is refused: %s', (_, text) => {
    expect(parseCursor(text)).toBeUndefined();
  });
});
