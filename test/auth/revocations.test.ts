import { describe, expect, it } from 'vitest';
import { toIdentity } from '../../src/auth/identity.ts';
import { Revocations, type RevocationTarget } from '../../src/auth/revocations.ts';
import { ManualClock } from '../support/clock.ts';

const HOUR_MS = 3_600_000;

function setUp(max?: number) {
  const clock = new ManualClock();
  const revocations = new Revocations(clock, max);
  const startMs = clock.wall();
  const revoke = (target: RevocationTarget, forMs = HOUR_MS) =>
    revocations.add({ target, untilMs: startMs + forMs });
  /** Whether a token is refused that was issued so long after the start. */
  const refuses = (claims: Readonly<Record<string, unknown>>, issuedMs?: number) =>
    revocations.isRevoked(
      toIdentity({ ...claims, ...(issuedMs !== undefined && { iat: (startMs + issuedMs) / 1000 }) }),
    );
  return { clock, revocations, startMs, revoke, refuses };
}

describe('what is revoked is refused', () => {
  it('a user’s tokens that were issued up to then, and nobody else’s', () => {
    const { revoke, refuses, startMs } = setUp();
    revoke({ user: '42', issuedBeforeMs: startMs });
    expect(refuses({ sub: '42' }, -1)).toBe(true);
    expect(refuses({ sub: '42' }, 0)).toBe(true);
    expect(refuses({ sub: '42' }, 1)).toBe(false);
    expect(refuses({ sub: '43' }, 0)).toBe(false);
    expect(refuses({}, 0)).toBe(false);
  });

  it('a token that does not say when it was issued: it cannot be shown to be newer', () => {
    const { revoke, refuses, startMs } = setUp();
    revoke({ user: '42', issuedBeforeMs: startMs });
    expect(refuses({ sub: '42' })).toBe(true);
    expect(refuses({ sub: '42', iat: 'later' })).toBe(true);
  });

  it('one token by its id, whoever it is of', () => {
    const { revoke, refuses } = setUp();
    revoke({ tokenId: '7' });
    expect(refuses({ sub: '42', jti: '7' }, 1)).toBe(true);
    expect(refuses({ jti: '7' })).toBe(true);
    expect(refuses({ sub: '7', jti: '8' })).toBe(false);
  });

  it('everybody’s tokens that were issued up to then', () => {
    const { revoke, refuses, startMs } = setUp();
    revoke({ issuedBeforeMs: startMs });
    for (const claims of [{ sub: '42' }, { sub: '43', jti: '7' }, {}]) {
      expect(refuses(claims, 0)).toBe(true);
      expect(refuses(claims, 1)).toBe(false);
    }
  });
});

describe('a revocation', () => {
  const targets: readonly [string, (startMs: number) => RevocationTarget][] = [
    ['of a user', (issuedBeforeMs) => ({ user: '42', issuedBeforeMs })],
    ['of a token', () => ({ tokenId: '7' })],
    ['of everybody', (issuedBeforeMs) => ({ issuedBeforeMs })],
  ];

  it.each(targets)(
    '%s ends at its time, is counted no more once it is swept, and not before',
    (_, target) => {
      const { clock, revocations, revoke, refuses, startMs } = setUp();
      revoke(target(startMs));
      clock.advance(HOUR_MS - 1);
      revocations.sweep();
      expect(refuses({ sub: '42', jti: '7' }, 0)).toBe(true);
      expect(revocations.size).toBe(1);
      clock.advance(1);
      expect(refuses({ sub: '42', jti: '7' }, 0)).toBe(false);
      revocations.sweep();
      expect(revocations.size).toBe(0);
    },
  );

  it.each(targets)('%s that has ended is not taken', (_, target) => {
    const { revocations, revoke, startMs } = setUp();
    revoke(target(startMs), 0);
    expect(revocations.size).toBe(0);
  });

  it.each(targets)('%s is not shortened by a later one', (_, target) => {
    const { clock, revoke, refuses, startMs } = setUp();
    revoke(target(startMs), 2 * HOUR_MS);
    revoke(target(startMs), HOUR_MS);
    clock.advance(HOUR_MS);
    expect(refuses({ sub: '42', jti: '7' }, 0)).toBe(true);
  });

  it.each([
    ['of a user', (issuedBeforeMs: number) => ({ user: '42', issuedBeforeMs })],
    ['of everybody', (issuedBeforeMs: number) => ({ issuedBeforeMs })],
  ])('%s is not narrowed by a later one, in whatever order they come', (_, target) => {
    for (const order of [
      [0, 1000],
      [1000, 0],
    ]) {
      const { revoke, refuses, startMs } = setUp();
      for (const ms of order) revoke(target(startMs + ms));
      expect(refuses({ sub: '42' }, 1000)).toBe(true);
      expect(refuses({ sub: '42' }, 1001)).toBe(false);
    }
  });
});

describe('as many revocations as are remembered', () => {
  const kinds: readonly [string, (name: string) => RevocationTarget, (name: string) => object][] = [
    ['tokens', (tokenId) => ({ tokenId }), (jti) => ({ jti })],
    ['users', (user) => ({ user, issuedBeforeMs: Number.MAX_SAFE_INTEGER }), (sub) => ({ sub })],
  ];

  it.each(kinds)('are all refused still when more come, and that is told: %s', (_, target, claims) => {
    const { revocations, revoke, refuses } = setUp(3);
    expect(['1', '2', '3', '4'].map((name) => revoke(target(name)))).toEqual([true, true, true, false]);
    expect(['1', '2', '3', '4'].map((name) => refuses({ ...claims(name) }))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(revocations.size).toBe(3);
  });

  it.each(kinds)('may still be made to last longer: %s', (_, target, claims) => {
    const { clock, revoke, refuses } = setUp(2);
    for (const name of ['1', '2']) revoke(target(name));
    expect(revoke(target('1'), 2 * HOUR_MS)).toBe(true);
    clock.advance(HOUR_MS);
    expect(['1', '2'].map((name) => refuses({ ...claims(name) }))).toEqual([true, false]);
  });

  it.each(kinds)('make room as they end, before they are swept: %s', (_, target, claims) => {
    const { clock, revoke, refuses } = setUp(2);
    for (const name of ['1', '2', '3']) revoke(target(name));
    clock.advance(HOUR_MS);
    expect(revoke(target('3'), 2 * HOUR_MS)).toBe(true);
    expect(refuses({ ...claims('3') })).toBe(true);
  });

  it('leave room for everybody', () => {
    const { revoke, refuses, startMs } = setUp(1);
    revoke({ tokenId: '7' });
    expect(revoke({ issuedBeforeMs: startMs })).toBe(true);
    expect(refuses({ sub: '42' }, 0)).toBe(true);
  });
});
