import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admission } from '../../src/http/admission.ts';
import { ManualClock } from '../support/clock.ts';
import { LIMITS } from './open-connection.ts';

function setUp(limits: Partial<typeof LIMITS>) {
  const clock = new ManualClock();
  return { clock, admission: new Admission(clock, { ...LIMITS, connectRatePerSecond: 1e9, ...limits }) };
}

const CONNECTIONS = 4;
const PER_IP = 2;
const RATE = 5;
const address = fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2');
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('admit' as const), address }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), nth: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 2000 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Admission beside a list of who holds a stream, and a count of what the rate still allows. */
class Model {
  readonly #real = setUp({ connections: CONNECTIONS, connectionsPerIp: PER_IP, connectRatePerSecond: RATE });
  readonly #held: string[] = [];
  #tokens = RATE;

  run(step: Step): void {
    if (step.kind === 'admit') this.#admit(step.address);
    else if (step.kind === 'release') this.#release(step.nth);
    else {
      this.#real.clock.advance(step.ms);
      this.#tokens = Math.min(RATE, this.#tokens + (step.ms / 1000) * RATE);
    }
    expect(this.#real.admission.connections).toBe(this.#held.length);
  }

  releaseAll(): void {
    while (this.#held.length > 0) this.#release(0);
    expect([this.#real.admission.connections, this.#real.admission.addresses]).toEqual([0, 0]);
  }

  #admit(address: string): void {
    const sameHost = (other: string) => (address.includes(':') ? other.includes(':') : other === address);
    const code = this.#real.admission.admit(address);
    if (this.#held.length >= CONNECTIONS) expect(code).toBe('CONNECTION_LIMIT');
    else if (this.#held.filter(sameHost).length >= PER_IP) expect(code).toBe('CONNECTION_LIMIT_IP');
    // Sums of fractions: within a hair of a whole token either answer is right.
    else if (Math.abs(this.#tokens - 1) > 1e-6)
      expect(code).toBe(this.#tokens >= 1 ? undefined : 'CONNECT_RATE');
    if (code !== undefined) return;
    this.#held.push(address);
    this.#tokens -= 1;
  }

  #release(nth: number): void {
    const [address] = this.#held.splice(nth % Math.max(1, this.#held.length), 1);
    if (address !== undefined) this.#real.admission.release(address);
  }
}

describe('admission', () => {
  it('ends at limits.connections and goes on when one has gone', () => {
    const { admission } = setUp({ connections: 2 });
    expect(['a', 'b', 'c'].map((address) => admission.admit(address))).toEqual([
      undefined,
      undefined,
      'CONNECTION_LIMIT',
    ]);
    admission.release('a');
    expect(admission.admit('c')).toBeUndefined();
  });

  it('counts by address only where there is a limit by address', () => {
    const { admission } = setUp({ connectionsPerIp: 0 });
    expect(admission.countsAddresses).toBe(false);
    for (let i = 0; i < 5; i += 1) expect(admission.admit('192.0.2.1')).toBeUndefined();
    expect(admission.addresses).toBe(0);
  });

  it('ends for one address at limits.connectionsPerIp; a /64 of IPv6 counts as one', () => {
    const { admission } = setUp({ connectionsPerIp: 1 });
    expect(admission.admit('192.0.2.1')).toBeUndefined();
    expect(admission.admit('192.0.2.1')).toBe('CONNECTION_LIMIT_IP');
    expect(admission.admit('2001:db8::1')).toBeUndefined();
    expect(admission.admit('2001:db8::2')).toBe('CONNECTION_LIMIT_IP');
    expect(admission.admit('2001:db8:0:1::1')).toBeUndefined();
  });

  it('takes one second of limits.connectRate at once, then as many as the time brings', () => {
    const { admission, clock } = setUp({ connectRatePerSecond: 10 });
    const admitted = (n: number) =>
      Array.from({ length: n }, () => admission.admit('a')).filter((code) => code === undefined).length;
    expect(admitted(20)).toBe(10);
    clock.advance(500);
    expect(admitted(20)).toBe(5);
    clock.advance(3_600_000);
    expect(admitted(20)).toBe(10);
  });

  it('is possible at a rate below one a second', () => {
    const { admission, clock } = setUp({ connectRatePerSecond: 0.5 });
    expect([admission.admit('a'), admission.admit('a')]).toEqual([undefined, 'CONNECT_RATE']);
    clock.advance(2000);
    expect(admission.admit('a')).toBeUndefined();
  });

  it('that is refused for another reason does not use up the rate', () => {
    const { admission } = setUp({ connectionsPerIp: 1, connectRatePerSecond: 2 });
    admission.admit('192.0.2.1');
    for (let i = 0; i < 10; i += 1) expect(admission.admit('192.0.2.1')).toBe('CONNECTION_LIMIT_IP');
    expect(admission.admit('192.0.2.2')).toBeUndefined();
  });

  it('never exceeds a limit, never refuses below all of them, and returns to zero with its streams', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const model = new Model();
        for (const step of steps) model.run(step);
        model.releaseAll();
      }),
      { numRuns: 300 },
    );
  });
});
