import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DURATION_PATTERN,
  formatDuration,
  formatRange,
  formatRate,
  formatSize,
  parseDuration,
  parseRange,
  parseRate,
  parseSize,
  RANGE_PATTERN,
  RATE_PATTERN,
  SIZE_PATTERN,
} from '../../src/config/units.ts';

const whole = fc.oneof(
  fc.nat(),
  fc.nat({ max: 1000 }).map((n) => n * 1000),
  fc.nat({ max: 64 }).map((n) => n * 1024 ** 2),
);

describe('units', () => {
  it('reads every unit that the reference names', () => {
    expect(['250ms', '15s', '10m', '1h', '2d', '0', '0s'].map(parseDuration)).toEqual([
      250, 15_000, 600_000, 3_600_000, 172_800_000, 0, 0,
    ]);
    expect(['512B', '256KiB', '1MiB', '1GiB', '1KB', '1MB', '1GB', '0'].map(parseSize)).toEqual([
      512, 262_144, 1_048_576, 1_073_741_824, 1000, 1_000_000, 1_000_000_000, 0,
    ]);
    expect(['2000/s', '600/m', '60/h', '0'].map(parseRate)).toEqual([2000, 10, 60 / 3600, 0]);
    expect(['3s..10s', '5s'].map(parseRange)).toEqual([
      { min: 3000, max: 10_000 },
      { min: 5000, max: 5000 },
    ]);
  });

  it('refuses bare numbers, signs, fractions, spaces, unknown units and numbers too large to be exact', () => {
    const never = [
      '',
      '15',
      '-1s',
      '+1s',
      '1.5s',
      '15 s',
      ' 15s',
      '15S',
      '1w',
      '15s\n',
      's',
      '1e3s',
      '9007199254740993ms',
    ];
    expect(never.map(parseDuration)).toEqual(never.map(() => undefined));
    expect(['1', '1K', '1kb', '1TiB', '-1B', '1.5MiB', '9007199254740993B'].map(parseSize)).toEqual(
      Array(7).fill(undefined),
    );
    expect(['1', '1/', '/s', '1/d', '1 /s', '1/ms', '9007199254740993/s'].map(parseRate)).toEqual(
      Array(7).fill(undefined),
    );
    expect(['', '..', '3s..', '..3s', '3..10s', '1s..2s..3s', '3s-10s'].map(parseRange)).toEqual(
      Array(7).fill(undefined),
    );
  });

  it('refuses names that every object has', () => {
    expect(parseSize('1constructor')).toBeUndefined();
    expect(parseRate('1/toString')).toBeUndefined();
  });

  it('reads back every duration, size, rate and range that it writes', () => {
    fc.assert(
      fc.property(whole, whole, (a, b) => {
        const range = { min: Math.min(a, b), max: Math.max(a, b) };
        expect(parseDuration(formatDuration(a))).toBe(a);
        expect(parseSize(formatSize(a))).toBe(a);
        expect(parseRange(formatRange(range))).toEqual(range);
        expect(parseRate(formatRate(a))).toBe(a);
        expect(parseRate(formatRate(a / 60))).toBe(a / 60);
        expect(parseRate(formatRate(a / 3600))).toBe(a / 3600);
      }),
    );
  });

  it('writes the shortest exact text', () => {
    expect([0, 1, 1500, 15_000, 90_000, 600_000, 86_400_000].map(formatDuration)).toEqual([
      '0s',
      '1ms',
      '1500ms',
      '15s',
      '90s',
      '10m',
      '1d',
    ]);
    expect([0, 1, 1000, 1024, 262_144, 1_048_576, 1_000_000_000].map(formatSize)).toEqual([
      '0B',
      '1B',
      '1KB',
      '1KiB',
      '256KiB',
      '1MiB',
      '1GB',
    ]);
    expect([0, 10, 0.5, 1 / 3600].map(formatRate)).toEqual(['0/s', '10/s', '30/m', '1/h']);
  });

  it('has patterns for editors that agree with what is read', () => {
    const texts = fc.oneof(
      fc.string(),
      fc
        .tuple(
          fc.nat({ max: 9999 }),
          fc.constantFrom('', 'ms', 's', 'm', 'd', 'B', 'KiB', 'MB', '/s', '/m', 's..9s'),
        )
        .map(([n, unit]) => `${n}${unit}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(new RegExp(DURATION_PATTERN).test(text)).toBe(parseDuration(text) !== undefined);
        expect(new RegExp(SIZE_PATTERN).test(text)).toBe(parseSize(text) !== undefined);
        expect(new RegExp(RATE_PATTERN).test(text)).toBe(parseRate(text) !== undefined);
        expect(new RegExp(RANGE_PATTERN).test(text) || text === '0').toBe(parseRange(text) !== undefined);
      }),
    );
  });
});
