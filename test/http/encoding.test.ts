import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Encoding, negotiateCoding } from '../../src/http/encoding.ts';
import { zstd } from '../../src/protocol/zstd.ts';

const hasZstd = zstd !== undefined;
const BOTH = ['zstd', 'gzip'] as const;
const chosen = (header: string, codings: readonly ('gzip' | 'zstd')[] = BOTH) =>
  negotiateCoding(header, codings);

describe('the content coding of a response', () => {
  it('is the first of ours that a browser takes', () => {
    for (const browser of ['gzip, deflate, br, zstd', 'zstd,br,gzip', 'ZSTD, GZip']) {
      expect(chosen(browser), browser).toBe('zstd');
      expect(chosen(browser, ['gzip', 'zstd']), browser).toBe('gzip');
      expect(chosen(browser, ['gzip']), browser).toBe('gzip');
    }
    expect(chosen('gzip, deflate, br')).toBe('gzip');
    expect(chosen('deflate, br')).toBeUndefined();
  });

  it('is none where nothing is configured, or nothing asked for', () => {
    expect(chosen('gzip, zstd', [])).toBeUndefined();
    for (const header of ['', ' ', ',', 'identity']) expect(chosen(header), header).toBeUndefined();
  });

  it.each([
    ['gzip;q=1.0, zstd;q=0.9', 'gzip'],
    ['gzip;q=0.5, zstd;q=0.5', 'zstd'],
    ['gzip;q=0.001', 'gzip'],
    ['gzip ; q=0.2 , zstd\t;\tQ=0.1', 'gzip'],
    ['zstd;q=0, gzip', 'gzip'],
    ['zstd;q=0.000, gzip;q=0.', undefined],
    ['gzip;q=0, gzip', undefined],
  ])('goes by the client’s weights: %s', (header, coding) => expect(chosen(header)).toBe(coding));

  it.each([
    ['*', 'zstd'],
    ['zstd;q=0, *', 'gzip'],
    ['*;q=0.1', 'zstd'],
    ['*;q=0', undefined],
    ['gzip, *;q=0', 'gzip'],
    ['gzip;q=0.5, *;q=0.8', 'zstd'],
    ['gzip;q=0, zstd;q=0, *', undefined],
  ])('takes * for what is not named: %s', (header, coding) => expect(chosen(header)).toBe(coding));

  it.each([
    ['identity;q=0, gzip;q=0.1', 'gzip'],
    ['identity;q=0', undefined],
    ['identity;q=0, *', 'zstd'],
    ['identity, gzip;q=0.9', undefined],
    ['identity, gzip', 'gzip'],
    ['identity;q=0.5, gzip;q=0.6', 'gzip'],
    ['gzip;q=0.5, *;q=0.8, zstd;q=0', undefined],
  ])('leaves a response as it is where the client likes that better: %s', (header, coding) =>
    expect(chosen(header)).toBe(coding),
  );

  it('knows gzip by its old name too', () => {
    expect(chosen('x-gzip')).toBe('gzip');
    expect(chosen('x-gzip;q=0, gzip')).toBeUndefined();
  });

  it.each([
    'gzip;q=2',
    'gzip;q=-1',
    'gzip;q=0.1234',
    'gzip;q=',
    'gzip;q',
    'gzip;level=9',
    'gzip;q=1;q=1',
    'gzip zstd',
    'gzip;q=1.5',
    '"gzip"',
    'gzip=1',
    'gzip\0',
  ])('does not go by a malformed member: %s', (member) => {
    expect(chosen(member)).toBeUndefined();
    expect(chosen(`${member}, zstd;q=0.3`)).toBe('zstd');
  });

  it('is one that was offered, whatever the header', () => {
    const member = fc.tuple(
      fc.constantFrom('gzip', 'zstd', 'x-gzip', 'br', '*', 'identity', ''),
      fc.constantFrom('', ';q=0', ';q=0.5', ';q=1', ';q=x', '; q=0.25'),
    );
    const header = fc.oneof(
      fc.string(),
      fc.array(member.map((parts) => parts.join(''))).map((members) => members.join(',')),
    );
    fc.assert(
      fc.property(header, fc.subarray([...BOTH]), (text, codings) => {
        expect([undefined, ...codings]).toContain(chosen(text, codings));
      }),
    );
  });
});

describe('the headers of a response', () => {
  const encoding = new Encoding({ compression: ['gzip'] });

  it('say which coding it has, and that it depends on the request, also where it has none', () => {
    expect(encoding.headers(encoding.choose('gzip'))).toEqual([
      ['Vary', 'Accept-Encoding'],
      ['Content-Encoding', 'gzip'],
    ]);
    expect(encoding.headers(encoding.choose('br'))).toEqual([['Vary', 'Accept-Encoding']]);
  });

  it('say nothing of it where compression is not configured', () => {
    const none = new Encoding({ compression: [] });
    expect(none.isOffered).toBe(false);
    expect(none.choose('gzip')).toBeUndefined();
    expect(none.headers(undefined)).toEqual([]);
  });

  it('never name a coding that this Node does not have', () => {
    const both = new Encoding({ compression: BOTH });
    expect(both.choose('gzip, zstd')?.name).toBe(hasZstd ? 'zstd' : 'gzip');
    expect(both.choose('zstd')?.name).toBe(hasZstd ? 'zstd' : undefined);
    expect(new Encoding({ compression: ['zstd'] }).isOffered).toBe(hasZstd);
  });
});
