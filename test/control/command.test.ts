import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTROL_CODES, type Operation, Refused, readCommand } from '../../src/control/command.ts';
import { readTime } from '../../src/control/time.ts';

const NOW_MS = Date.UTC(2026, 0, 1, 12, 0, 0, 250);
const TTL_MS = 3_600_000;
const END_OF_SECOND_MS = Date.UTC(2026, 0, 1, 12, 0, 0, 999);

function read(operation: Operation, payload: unknown) {
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return readCommand(operation, bytes, { nowMs: NOW_MS, revocationTtlMs: TTL_MS });
}

/** The code and the text of what must be refused. */
function refused(operation: Operation, payload: unknown): string {
  const result = read(operation, payload);
  if (!(result instanceof Refused)) throw new Error(`${JSON.stringify(payload)} was taken`);
  return `${result.code}: ${result.message}`;
}

const revocation = (target: object, untilMs = NOW_MS + TTL_MS) => ({
  operation: 'revoke',
  revocation: { target, untilMs },
});

describe('a revocation', () => {
  it('of a user holds for all tokens issued up to now, to the second as `iat` has it', () => {
    expect(read('revoke', { user: '42' })).toEqual(
      revocation({ user: '42', issuedBeforeMs: END_OF_SECOND_MS }),
    );
  });

  it('of a user may hold for tokens issued up to another time', () => {
    const expected = revocation({ user: '42', issuedBeforeMs: Date.UTC(2026, 0, 1) });
    expect(read('revoke', { user: '42', issuedBefore: Date.UTC(2026, 0, 1) / 1000 })).toEqual(expected);
    expect(read('revoke', { user: '42', issuedBefore: '2026-01-01T00:00:00Z' })).toEqual(expected);
  });

  it('may name one token, or everybody', () => {
    expect(read('revoke', { tokenId: 'a.b c' })).toEqual(revocation({ tokenId: 'a.b c' }));
    expect(read('revoke', { issuedBefore: '2026-01-01T01:00:00+01:00' })).toEqual(
      revocation({ issuedBeforeMs: Date.UTC(2026, 0, 1) }),
    );
  });

  it('ends when the last such token does, where that is said', () => {
    const untilMs = NOW_MS + 60_000;
    expect(read('revoke', { tokenId: 'a', expires: untilMs / 1000 })).toEqual(
      revocation({ tokenId: 'a' }, untilMs),
    );
    const expires = new Date(untilMs).toISOString();
    expect(read('revoke', { tokenId: 'a', expires })).toEqual(revocation({ tokenId: 'a' }, untilMs));
  });

  it('lasts as long as it says, however much longer than is configured for others', () => {
    const expires = Date.UTC(2100, 0, 1) / 1000;
    expect(read('revoke', { tokenId: 'a', expires })).toEqual(
      revocation({ tokenId: 'a' }, Date.UTC(2100, 0, 1)),
    );
  });
});

describe('a disconnection', () => {
  it('names a user or a connection', () => {
    expect(read('disconnect', { user: '42' })).toEqual({ operation: 'disconnect', target: { user: '42' } });
    expect(read('disconnect', { connection: 'c' })).toEqual({
      operation: 'disconnect',
      target: { connection: 'c' },
    });
  });
});

describe('a command is refused', () => {
  it('when it is not one JSON object in UTF-8', () => {
    for (const payload of [
      '',
      '{',
      'user=42',
      '42',
      '"42"',
      '[]',
      '[{"user":"42"}]',
      'null',
      'true',
      '{} {}',
    ])
      expect(refused('revoke', payload)).toMatch(/^CONTROL_MALFORMED/);
    const latin1 = Buffer.from('{"user":"J\xfcrgen"}', 'latin1');
    expect(readCommand('revoke', latin1, { nowMs: NOW_MS, revocationTtlMs: TTL_MS })).toMatchObject({
      code: 'CONTROL_MALFORMED',
    });
  });

  it('when it is larger than 16 KiB, and not when it is just that', () => {
    const user = (bytes: number) => ({ user: 'x'.repeat(bytes - '{"user":""}'.length) });
    expect(read('revoke', user(16_384))).not.toBeInstanceOf(Refused);
    expect(refused('revoke', user(16_385))).toBe('CONTROL_TOO_LARGE: 16385 bytes; at most 16384 are read');
  });

  it('when a field is unknown, which is then named, and not said back at length', () => {
    expect(refused('revoke', { user: '42', usr: '43' })).toBe(
      'CONTROL_INVALID: unknown field "usr"; there are user, tokenId, issuedBefore, expires',
    );
    expect(refused('disconnect', { tokenId: 'a' })).toContain('there are user, connection');
    expect(refused('revoke', { connection: 'c' })).toContain('unknown field "connection"');
    expect(refused('revoke', '{"__proto__":{"user":"42"}}')).toContain('unknown field "__proto__"');
    expect(refused('revoke', { user: '42', constructor: 1 })).toContain('unknown field "constructor"');
    expect(refused('revoke', { ['x'.repeat(1000)]: 1 }).length).toBeLessThan(150);
  });

  it.each<[Operation, unknown, string]>([
    ['revoke', {}, 'one of user, tokenId and issuedBefore'],
    ['revoke', { expires: 9_999_999_999 }, 'one of user, tokenId and issuedBefore'],
    ['revoke', { user: 42 }, 'user must be a string that is not empty, not a number'],
    ['revoke', { user: '' }, 'not an empty one'],
    ['revoke', { user: null }, 'not null'],
    ['revoke', { user: ['42'] }, 'not an array'],
    ['revoke', { tokenId: {} }, 'tokenId must be a string that is not empty, not an object'],
    ['revoke', { user: '42', tokenId: 'a' }, 'tokenId names one token'],
    ['revoke', { tokenId: 'a', issuedBefore: 1 }, 'tokenId names one token'],
    ['revoke', { issuedBefore: NOW_MS }, 'issuedBefore must be seconds (not milliseconds)'],
    ['revoke', { issuedBefore: -1 }, 'issuedBefore must be seconds'],
    ['revoke', { issuedBefore: '1767225600' }, 'issuedBefore must be seconds'],
    ['revoke', { user: '42', issuedBefore: null }, 'issuedBefore must be seconds'],
    ['revoke', { user: '42', expires: 'tomorrow' }, 'expires must be seconds'],
    ['revoke', { user: '42', expires: NOW_MS / 1000 }, 'expires is in the past'],
    ['revoke', { user: '42', expires: '2200-01-01T00:00:00Z' }, 'expires is more than a hundred years ahead'],
    ['disconnect', {}, 'user or connection'],
    ['disconnect', { user: '42', connection: 'c' }, 'do not go together'],
    ['disconnect', { connection: 7 }, 'connection must be a string'],
  ])('%s %j', (operation, payload, text) => {
    expect(refused(operation, payload)).toMatch(/^CONTROL_INVALID: /);
    expect(refused(operation, payload)).toContain(text);
  });

  it('and never says a value back: it may be a token', () => {
    for (const payload of [{ user: ['secret'] }, { expires: 'secret' }, '{"user":"secret"', '"secret"'])
      expect(refused('revoke', payload)).not.toContain('secret');
  });

  it('by a code, whatever the bytes are', () => {
    const anything = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .dictionary(
          fc.constantFrom('user', 'tokenId', 'issuedBefore', 'expires', 'connection'),
          fc.jsonValue(),
        )
        .map((object) => Buffer.from(JSON.stringify(object))),
    );
    fc.assert(
      fc.property(anything, fc.constantFrom<Operation>('revoke', 'disconnect'), (bytes, operation) => {
        const result = readCommand(operation, bytes, { nowMs: NOW_MS, revocationTtlMs: TTL_MS });
        if (result instanceof Refused) return result.code in CONTROL_CODES;
        if (result.operation === 'disconnect') return true;
        const { untilMs } = result.revocation;
        return untilMs > NOW_MS && untilMs < Date.UTC(2127, 0, 1);
      }),
    );
  });
});

describe('a time', () => {
  it('is in seconds since 1970, or as RFC 3339 writes it', () => {
    expect(readTime(1.5)).toBe(1500);
    expect(readTime(0)).toBe(0);
    for (const text of [
      '2026-01-01T12:00:00Z',
      '2026-01-01t12:00:00z',
      '2026-01-01T12:00:00.000Z',
      '2026-01-01T13:30:00+01:30',
      '2026-01-01T02:00:00-10:00',
    ])
      expect(readTime(text)).toBe(Date.UTC(2026, 0, 1, 12));
    expect(readTime('2028-02-29T00:00:00Z')).toBe(Date.UTC(2028, 1, 29));
  });

  it('is nothing else', () => {
    for (const value of [
      -1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      253_402_300_800,
      true,
      null,
      undefined,
      '',
      '2026-01-01',
      '2026-01-01 12:00:00Z',
      '2026-01-01T12:00:00',
      '2026-02-29T00:00:00Z',
      '2026-02-31T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-00-01T00:00:00Z',
      '2026-01-00T00:00:00Z',
      '2026-01-01T25:00:00Z',
      '2026-01-01T12:60:00Z',
      '2026-01-01T12:00:00Z or so',
      '1969-12-31T23:59:59Z',
      'Thu, 01 Jan 2026 12:00:00 GMT',
    ])
      expect(readTime(value), String(value)).toBeUndefined();
  });

  it('survives the way out and in', () => {
    const years = { min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true };
    fc.assert(fc.property(fc.date(years), (date) => readTime(date.toISOString()) === date.getTime()));
  });
});
