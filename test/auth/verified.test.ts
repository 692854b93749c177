import { LRUCache } from 'lru-cache';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { toIdentity, type Verification } from '../../src/auth/identity.ts';
import { OPTIONS, rejected, setUp } from './cached.ts';

describe('a good token', () => {
  it('is checked once, and then known at once', async () => {
    const { inner, cached, verify } = setUp();
    expect(cached.peek('anna')).toBeUndefined();
    const found = await verify('anna');
    expect(cached.peek('anna')).toBe(found);
    expect(await verify('anna')).toBe(found);
    expect(inner.asked).toEqual(['anna']);
    expect([cached.hits, cached.misses]).toEqual([2, 1]);
  });

  it('is known up to its expiry, and not at it', async () => {
    const { clock, inner, cached, verify, expiring } = setUp();
    inner.find = (token) => expiring(token, 5_000);
    await verify('anna');
    clock.advance(4_999);
    expect(cached.peek('anna')).toBeDefined();
    clock.advance(1);
    expect(cached.peek('anna')).toBeUndefined();
    expect(cached.size).toBe(0);
    await verify('anna');
    expect(inner.asked).toEqual(['anna', 'anna']);
  });

  it('is forgotten at its expiry even when only the wall clock got there, as after a sleep', async () => {
    const { clock, inner, cached, verify, expiring } = setUp();
    inner.find = (token) => expiring(token, 5_000);
    await verify('anna');
    const asleep = clock.wall() + 5_000;
    clock.wall = () => asleep;
    expect(cached.peek('anna')).toBeUndefined();
  });

  it('is checked again after the longest time to live, however late it expires', async () => {
    const { clock, inner, cached, verify, expiring } = setUp();
    inner.find = (token) => expiring(token, 3_600_000);
    await verify('anna');
    clock.advance(OPTIONS.maxTtlMs - 1);
    expect(cached.peek('anna')).toBeDefined();
    clock.advance(1);
    expect(cached.peek('anna')).toBeUndefined();
  });

  it('does not live longer by being used', async () => {
    const { clock, inner, verify } = setUp();
    for (let i = 0; i < 10; i += 1) {
      await verify('anna');
      clock.advance(OPTIONS.maxTtlMs / 4);
    }
    expect(inner.asked).toHaveLength(3);
  });

  it('that is already over when it is found is handed on and not kept', async () => {
    const { inner, cached, verify, expiring } = setUp();
    inner.find = (token) => expiring(token, 0);
    expect(await verify('anna')).toMatchObject({ subject: 'anna' });
    expect(cached.size).toBe(0);
  });

  it('is not kept at all where the longest time to live is none', async () => {
    const { cached, verify } = setUp({ maxTtlMs: 0 });
    await verify('anna');
    expect(cached.size).toBe(0);
  });

  it('that was not used for longest goes first when there are too many', async () => {
    const { cached, verify } = setUp({ maxTokens: 2 });
    for (const token of ['anna', 'ben', 'anna', 'cleo']) await verify(token);
    expect(['anna', 'ben', 'cleo'].map((token) => cached.peek(token) !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
    expect(cached.size).toBe(2);
  });
});

describe('tokens with much in them', () => {
  const KIB = 1024;

  it('are kept in smaller numbers: the cache is bounded in bytes, too', async () => {
    const { inner, cached, verify } = setUp({ maxTokens: 4 });
    inner.find = (sub) => toIdentity({ sub, rooms: 'x'.repeat(7 * KIB) });
    for (const token of ['a', 'b', 'c']) await verify(token);
    expect(['a', 'b', 'c'].map((token) => cached.peek(token) !== undefined)).toEqual([false, true, true]);
  });

  it('are checked each time where they alone are more, or cannot be measured', async () => {
    const { inner, cached, verify } = setUp({ maxTokens: 1 });
    inner.find = (sub) => toIdentity({ sub, rooms: 'x'.repeat(5 * KIB) });
    await verify('anna');
    let abyss: unknown = 0;
    for (let depth = 0; depth < 20_000; depth += 1) abyss = [abyss];
    inner.find = (sub) => toIdentity({ sub, abyss });
    expect(await verify('ben')).toMatchObject({ subject: 'ben' });
    expect(cached.size).toBe(0);
  });
});

describe('a bad token', () => {
  it.each(['invalid', 'malformed', 'expired'] as const)(
    'that is %s is not checked again for a while',
    async (fault) => {
      const { clock, inner, cached, verify } = setUp();
      inner.find = () => rejected(fault);
      await verify('rubbish');
      clock.advance(OPTIONS.badTtlMs - 1);
      expect(cached.peek('rubbish')).toMatchObject({ rejected: fault });
      clock.advance(1);
      expect(cached.peek('rubbish')).toBeUndefined();
      inner.find = (token) => toIdentity({ sub: token });
      expect(await verify('rubbish')).toMatchObject({ subject: 'rubbish' });
    },
  );

  it.each(['unavailable', 'not-yet-valid', 'revoked'] as const)(
    'that is %s is checked each time',
    async (fault) => {
      const { inner, cached, verify } = setUp();
      inner.find = () => rejected(fault);
      await verify('anna');
      await verify('anna');
      expect(cached.peek('anna')).toBeUndefined();
      expect(inner.asked).toHaveLength(2);
      expect([cached.hits, cached.misses, cached.size]).toEqual([0, 2, 0]);
    },
  );

  it('is checked each time where it is to be remembered for no time', async () => {
    const { inner, cached, verify } = setUp({ badTtlMs: 0 });
    inner.find = () => rejected('invalid');
    await verify('rubbish');
    await verify('rubbish');
    expect(inner.asked).toHaveLength(2);
    expect(cached.size).toBe(0);
  });

  it('pushes no good one out, in whatever numbers it comes', async () => {
    const { inner, cached, verify } = setUp({ maxTokens: 5 });
    await verify('anna');
    inner.find = () => rejected('invalid');
    for (let i = 0; i < 100; i += 1) await verify(`rubbish ${i}`);
    expect(cached.peek('anna')).toMatchObject({ subject: 'anna' });
    expect(cached.size).toBe(6);
  });
});

it('holds no token, only its hash', async () => {
  const set = vi.spyOn(LRUCache.prototype, 'set');
  onTestFinished(() => set.mockRestore());
  const { inner, verify } = setUp();
  inner.find = () => toIdentity({ sub: 'anna' });
  await verify('the-token-of-anna');
  expect(set).toHaveBeenCalledOnce();
  expect(JSON.stringify(set.mock.calls)).not.toContain('the-token');
  expect(set.mock.calls[0]?.[0]).toMatch(/^[A-Za-z0-9+/]{43}=$/);
});

describe('tickets', () => {
  const ticketed = (sub: string, untilMs: number, expiresAtMs = untilMs + 3_600_000): Verification => ({
    ...toIdentity({ sub, exp: expiresAtMs / 1000 }),
    ticket: { key: sub, untilMs },
  });

  it('are known until they would be refused for their age, not until their session ends', async () => {
    const { clock, inner, cached, verify } = setUp();
    inner.find = (token) => ticketed(token, clock.wall() + 5_000);
    await verify('a');
    clock.advance(4_999);
    expect(cached.peek('a')).toMatchObject({ ticket: { key: 'a' } });
    clock.advance(1);
    expect([cached.peek('a'), cached.size]).toEqual([undefined, 0]);
  });

  it('in any number push no other token out', async () => {
    const { clock, inner, cached, verify } = setUp();
    await verify('anna');
    inner.find = (token) => ticketed(token, clock.wall() + 5_000);
    for (let i = 0; i < OPTIONS.maxTokens * 2; i += 1) await verify(`ticket ${i}`);
    expect(cached.peek('anna')).toBeDefined();
    expect(cached.size).toBe(OPTIONS.maxTokens + 1);
  });
});
