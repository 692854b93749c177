import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTROL_CODES } from '../../src/control/codes.ts';
import { readInput } from '../../src/control/input.ts';
import { ControlError, type Spec } from '../../src/control/operation.ts';
import { disconnect } from '../../src/control/operations/disconnect.ts';
import { revoke } from '../../src/control/operations/revoke.ts';
import { readObject } from '../../src/control/payload.ts';
import { toRevocation } from '../../src/control/revocation/revoke.ts';
import { readTime } from '../../src/control/revocation/time.ts';

const NOW_MS = Date.UTC(2026, 0, 1, 12, 0, 0, 250);
const TTL_MS = 3_600_000;
const END_OF_SECOND_MS = Date.UTC(2026, 0, 1, 12, 0, 0, 999);

type Operation = 'revoke' | 'disconnect';

/** What is acted on. */
function readBytes(operation: Operation, bytes: Uint8Array): unknown {
  const object = readObject(bytes);
  const bounds = { nowMs: NOW_MS, revocationTtlMs: TTL_MS };
  return operation === 'revoke'
    ? toRevocation(readInput(revoke, object), bounds)
    : readInput(disconnect as Spec, object);
}

function read(operation: Operation, payload: unknown): unknown {
  return readBytes(operation, Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)));
}

/** The code and the text of what must be refused. */
function refused(operation: Operation, payload: unknown): string {
  try {
    read(operation, payload);
  } catch (error) {
    if (error instanceof ControlError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error(`${JSON.stringify(payload)} was taken`);
}

const revocation = (target: object, untilMs = NOW_MS + TTL_MS) => ({ target, untilMs });

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
    expect(read('disconnect', { user: '42' })).toEqual({ user: '42' });
    expect(read('disconnect', { connection: 'c' })).toEqual({ connection: 'c' });
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
    expect(() => readBytes('revoke', latin1)).toThrow('the payload is not JSON in UTF-8');
  });

  it('when it is larger than 16 KiB, and not when it is just that', () => {
    const user = (bytes: number) => ({ user: 'x'.repeat(bytes - '{"user":""}'.length) });
    expect(() => read('revoke', user(16_384))).not.toThrow();
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
    expect(refused('revoke', { ['x'.repeat(1000)]: 1 }).length).toBeLessThan(200);
    // A terminal shows the log.
    expect(refused('revoke', { 'a\u009b2J\u202e': 1 })).toContain('unknown field "a\ufffd2J\ufffd"');
  });

  it.each<[Operation, unknown, string]>([
    ['revoke', {}, 'one of user, tokenId and issuedBefore'],
    ['revoke', { expires: 9_999_999_999 }, 'one of user, tokenId and issuedBefore'],
    ['revoke', { user: 42 }, 'user: expected string, received number'],
    ['revoke', { user: '' }, 'user: Too small: expected string to have >=1 characters'],
    ['revoke', { user: null }, 'user: expected string, received null'],
    ['revoke', { user: ['42'] }, 'user: expected string, received array'],
    ['revoke', { tokenId: {} }, 'tokenId: expected string, received object'],
    ['revoke', { user: '42', tokenId: 'a' }, 'tokenId names one token'],
    ['revoke', { tokenId: 'a', issuedBefore: 1 }, 'tokenId names one token'],
    ['revoke', { issuedBefore: NOW_MS }, 'issuedBefore: must be seconds (not milliseconds)'],
    ['revoke', { issuedBefore: -1 }, 'issuedBefore: must be seconds'],
    ['revoke', { issuedBefore: '1767225600' }, 'issuedBefore: must be seconds'],
    ['revoke', { user: '42', issuedBefore: null }, 'issuedBefore: must be seconds'],
    ['revoke', { user: '42', expires: 'tomorrow' }, 'expires: must be seconds'],
    ['revoke', { user: '42', expires: NOW_MS / 1000 }, 'expires is in the past'],
    ['revoke', { user: '42', expires: '2200-01-01T00:00:00Z' }, 'expires is more than a hundred years ahead'],
    ['disconnect', {}, 'user, connection or channel'],
    ['disconnect', { user: '42', connection: 'c' }, 'do not go together'],
    ['disconnect', { connection: 7 }, 'connection: expected string'],
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
        try {
          const result = readBytes(operation, bytes);
          if (operation === 'disconnect') return true;
          const { untilMs } = result as { untilMs: number };
          return untilMs > NOW_MS && untilMs < Date.UTC(2127, 0, 1);
        } catch (error) {
          return error instanceof ControlError && error.code in CONTROL_CODES;
        }
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
