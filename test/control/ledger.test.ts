import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toIdentity } from '../../src/auth/identity.ts';
import { type Revocation, Revocations } from '../../src/auth/revocations.ts';
import { Ledger } from '../../src/control/revocation/ledger.ts';
import { covers, decodeRecord, encodeRecord, keyOf, merge } from '../../src/control/revocation/record.ts';
import { ManualClock } from '../support/clock.ts';

function setUp(max?: number) {
  const clock = new ManualClock();
  const revocations = new Revocations(clock, max);
  return { clock, revocations, ledger: new Ledger(revocations, clock), nowMs: clock.wall() };
}

const userKey = (user: string) => keyOf({ user, issuedBeforeMs: 0 });
const time = fc.integer({ min: 0, max: 2 ** 50 });
const target = fc.oneof(
  fc.record({ user: fc.string({ minLength: 1, unit: 'binary' }), issuedBeforeMs: time }),
  fc.record({ tokenId: fc.string({ minLength: 1, unit: 'binary' }) }),
  fc.record({ issuedBeforeMs: time }),
);
const revocation: fc.Arbitrary<Revocation> = fc.record({ target, untilMs: time });

describe('a record', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(revocation, (given) => {
        expect(decodeRecord(keyOf(given.target), Buffer.from(encodeRecord(given)))).toEqual(given);
      }),
    );
  });

  it('has a key that a bucket takes, whatever the user is called', () => {
    fc.assert(fc.property(revocation, (given) => /^[a-z0-9.]{1,80}$/.test(keyOf(given.target))));
  });

  it('has the same key as others of its user, whenever the tokens were issued', () => {
    const key = keyOf({ user: '42', issuedBeforeMs: 1 });
    expect(keyOf({ user: '42', issuedBeforeMs: 2 })).toBe(key);
    expect(keyOf({ user: '43', issuedBeforeMs: 1 })).not.toBe(key);
    expect(keyOf({ tokenId: '42' })).not.toBe(key);
    // `printf 42 | sha256sum`
    expect(key).toBe('user.73475cb40a568e8da8a045ced110137e159f890ac4da883b6b17dc651b3a8049');
  });

  it('is nothing else that may stand in a bucket', () => {
    const value = { user: '42', issuedBeforeMs: 1, untilMs: 1 };
    const read = (key: string, changes: object) =>
      decodeRecord(key, Buffer.from(JSON.stringify({ ...value, ...changes })));
    expect(read(userKey('42'), {})).toBeDefined();
    for (const changes of [
      { untilMs: undefined },
      { untilMs: '1' },
      { issuedBeforeMs: undefined },
      { issuedBeforeMs: '1' },
      { user: undefined },
      { user: 42 },
      { user: '43' },
      { tokenId: 'a' },
    ])
      expect(read(userKey('42'), changes), JSON.stringify(changes)).toBeUndefined();
    expect(read('everybody', {})).toBeUndefined();
    for (const text of ['', '{', 'null', '1', '[]', '{}', '{"issuedBeforeMs":1,"untilMs":1e999}'])
      expect(decodeRecord('everybody', Buffer.from(text)), text).toBeUndefined();
  });

  it('merged with another covers both, in either order', () => {
    const sameKey = fc.oneof(
      fc.tuple(fc.record({ target: fc.constant({ tokenId: 'a' }), untilMs: time })),
      fc.tuple(
        fc.record({ target: fc.record({ user: fc.constant('42'), issuedBeforeMs: time }), untilMs: time }),
      ),
    );
    fc.assert(
      fc.property(sameKey, sameKey, ([a], [b]) => {
        fc.pre(keyOf(a.target) === keyOf(b.target));
        const both = merge(a, b);
        expect(both).toEqual(merge(b, a));
        expect([covers(both, a), covers(both, b)]).toEqual([true, true]);
        expect(covers(a, b)).toBe(JSON.stringify(both) === JSON.stringify(a));
      }),
    );
  });
});

describe('the ledger', () => {
  it('refuses what it takes', () => {
    const { ledger, revocations, nowMs } = setUp();
    expect(ledger.add({ target: { user: '42', issuedBeforeMs: nowMs }, untilMs: nowMs + 1000 })).toBe('news');
    expect(revocations.isRevoked(toIdentity({ sub: '42' }))).toBe(true);
    expect(revocations.isRevoked(toIdentity({ sub: '43' }))).toBe(false);
  });

  it('tells what is new from what it knows', () => {
    const { ledger, nowMs } = setUp();
    const add = (issuedBeforeMs: number, untilMs: number) =>
      ledger.add({ target: { user: '42', issuedBeforeMs }, untilMs: nowMs + untilMs });
    expect(add(100, 1000)).toBe('news');
    expect(add(100, 1000)).toBe('known');
    expect(add(50, 500)).toBe('known');
    expect(add(200, 500)).toBe('news');
    expect(add(50, 2000)).toBe('news');
    expect(add(200, 2000)).toBe('known');
    expect(ledger.get(userKey('42'))).toEqual({
      target: { user: '42', issuedBeforeMs: 200 },
      untilMs: nowMs + 2000,
    });
  });

  it('takes nothing that has ended, and does not hand it out once it has', () => {
    const { ledger, clock, nowMs } = setUp();
    expect(ledger.add({ target: { tokenId: 'over' }, untilMs: nowMs })).toBe('known');
    ledger.add({ target: { tokenId: 'short' }, untilMs: nowMs + 1000 });
    ledger.add({ target: { tokenId: 'long' }, untilMs: nowMs + 2000 });
    clock.advance(1000);
    expect(ledger.missing(new Map())).toEqual([keyOf({ tokenId: 'long' })]);
  });

  it('misses what a store has not, or has narrower', () => {
    const { ledger, nowMs } = setUp();
    const key = userKey('42');
    const wide = { target: { user: '42', issuedBeforeMs: 100 }, untilMs: nowMs + 1000 };
    ledger.add(wide);
    const missing = (stored: Revocation) => ledger.missing(new Map([[key, stored]]));
    expect(missing(wide)).toEqual([]);
    expect(missing({ ...wide, untilMs: nowMs + 999 })).toEqual([key]);
    expect(missing({ ...wide, target: { user: '42', issuedBeforeMs: 99 } })).toEqual([key]);
    expect(missing({ ...wide, untilMs: nowMs + 2000 })).toEqual([]);
  });

  it('does not store again what was deleted, and still refuses it', () => {
    const { ledger, revocations, nowMs } = setUp();
    ledger.add({ target: { tokenId: 'a' }, untilMs: nowMs + 1000 });
    ledger.forget(keyOf({ tokenId: 'a' }));
    expect(ledger.missing(new Map())).toEqual([]);
    expect(revocations.isRevoked(toIdentity({ jti: 'a' }))).toBe(true);
  });

  it('does not grow with what has ended', () => {
    const { ledger, clock, nowMs } = setUp();
    for (let second = 0; second < 20; second += 1) {
      for (let i = 0; i < 500; i += 1)
        ledger.add({ target: { tokenId: `${second}-${i}` }, untilMs: nowMs + (second + 1) * 1000 });
      clock.advance(1000);
    }
    expect(ledger.size).toBeLessThanOrEqual(1500);
  });

  it('does not grow without bound either: it takes what can be refused, and says when that is not so', () => {
    const { ledger, nowMs } = setUp(2);
    const add = (tokenId: string) => ledger.add({ target: { tokenId }, untilMs: nowMs + 1000 });
    expect(['1', '2', '3', '1'].map(add)).toEqual(['news', 'news', 'full', 'known']);
    expect(ledger.size).toBe(2);
    expect(ledger.get(keyOf({ tokenId: '3' }))).toBeUndefined();
  });

  it('knows what lasts for longer than a time', () => {
    const { ledger, nowMs } = setUp();
    for (const ms of [1000, 1001]) ledger.add({ target: { tokenId: `${ms}` }, untilMs: nowMs + ms });
    expect(ledger.lasting(1000).map(({ target }) => target)).toEqual([{ tokenId: '1001' }]);
  });
});
