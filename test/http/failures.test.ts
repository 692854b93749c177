import { describe, expect, it } from 'vitest';
import { Failures } from '../../src/http/failures.ts';
import { ManualClock } from '../support/clock.ts';

/** Bad tokens that an address may bring at once. */
const BURST = 20;
const MAX_ADDRESSES = 10_000;
const RATE = 0.5;
const ADDRESS = '192.0.2.1';

function setUp() {
  const clock = new ManualClock();
  const failures = new Failures(clock, RATE);
  const fail = (address: string, times = 1) => {
    for (let i = 0; i < times; i += 1) failures.failed(address);
  };
  return { clock, failures, fail };
}

describe('an address that brings bad tokens', () => {
  it('may have so many at once, and is then slowed down to the rate', () => {
    const { clock, failures, fail } = setUp();
    fail(ADDRESS, BURST - 1);
    expect(failures.mayVerify(ADDRESS)).toBe(true);
    fail(ADDRESS);
    expect(failures.mayVerify(ADDRESS)).toBe(false);
    clock.advance(1000 / RATE - 1);
    expect(failures.mayVerify(ADDRESS)).toBe(false);
    clock.advance(1);
    expect(failures.mayVerify(ADDRESS)).toBe(true);
    fail(ADDRESS);
    expect(failures.mayVerify(ADDRESS)).toBe(false);
  });

  it('has no more at once again, however long it was quiet', () => {
    const { clock, failures, fail } = setUp();
    fail(ADDRESS, BURST);
    clock.advance(86_400_000);
    fail(ADDRESS, BURST - 1);
    expect(failures.mayVerify(ADDRESS)).toBe(true);
    fail(ADDRESS);
    expect(failures.mayVerify(ADDRESS)).toBe(false);
  });

  it('hinders no other, but all of its IPv6 network of 64 bits', () => {
    const { failures, fail } = setUp();
    fail('2001:db8::1', BURST / 2);
    fail('2001:db8::2', BURST / 2);
    expect(failures.mayVerify('2001:db8::3')).toBe(false);
    expect(failures.mayVerify('2001:db8:0:1::1')).toBe(true);
    expect(failures.mayVerify(ADDRESS)).toBe(true);
  });
});

describe('many addresses', () => {
  it('are remembered up to a bound; the one that failed longest ago gives way', () => {
    const { failures, fail } = setUp();
    fail('first', BURST);
    fail('second', BURST);
    for (let i = 0; i < MAX_ADDRESSES - 2; i += 1) fail(`host-${i}`);
    // Fails once more: now `second` is the one that failed longest ago.
    fail('first');
    fail('one too many');
    expect(failures.addresses).toBe(MAX_ADDRESSES);
    expect(failures.mayVerify('first')).toBe(false);
    expect(failures.mayVerify('second')).toBe(true);
  });

  it('are not remembered for good tokens, nor for being asked about', () => {
    const { failures } = setUp();
    expect(failures.mayVerify(ADDRESS)).toBe(true);
    expect(failures.addresses).toBe(0);
  });
});
