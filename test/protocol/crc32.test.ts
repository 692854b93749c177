import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32, crc32ByTable, crcOfBoth, shiftOf } from '../../src/protocol/crc32.ts';

const bytes = fc.uint8Array({ maxLength: 300 });

describe('CRC-32', () => {
  it('of the nine digits is what everybody’s is', () => {
    for (const crc of [crc32, crc32ByTable]) expect(crc(Buffer.from('123456789'))).toBe(0xcbf43926 | 0);
    for (const crc of [crc32, crc32ByTable]) expect(crc(new Uint8Array())).toBe(0);
  });

  it('is the same by the table as by Node', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        expect(crc32ByTable(text)).toBe(crc32(text));
      }),
    );
  });

  it('of two texts in a row can be had from theirs', () => {
    fc.assert(
      fc.property(bytes, bytes, (first, second) => {
        const both = crcOfBoth(crc32(first), crc32(second), shiftOf(second.length));
        expect(both).toBe(crc32(Buffer.concat([first, second])));
      }),
    );
  });

  it('of texts of any length, up to what 32 bits can say', () => {
    const length = fc.integer({ min: 0, max: 2 ** 31 });
    fc.assert(
      fc.property(length, length, (a, b) => {
        // Two shifts in a row are that of both lengths; times a text of nothing but a shift.
        expect(crcOfBoth(shiftOf(a), 0, shiftOf(b))).toBe(shiftOf(a + b));
      }),
    );
    const zeros = new Uint8Array(1 << 20);
    expect(crcOfBoth(crc32(zeros), crc32(zeros), shiftOf(zeros.length))).toBe(
      crc32(Buffer.concat([zeros, zeros])),
    );
  });

  it('and its parts are int32, which V8 keeps without a box', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        for (const number of [crc32(text), crc32ByTable(text), shiftOf(text.length)])
          expect(number).toBe(number | 0);
      }),
    );
  });
});
