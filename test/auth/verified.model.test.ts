import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Verification } from '../../src/auth/identity.ts';
import { OPTIONS, rejected, setUp } from './cached.ts';

const token = fc.constantFrom('a', 'b', 'c');
const lifeMs = fc.option(
  fc.integer({ min: 1, max: 100 }).map((seconds) => seconds * 1000),
  { nil: undefined },
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('verify' as const), token }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 40_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('issue' as const), lifeMs }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The cache beside a list of what was found, each with its time. */
class Model {
  readonly #real = setUp();
  readonly #found = new Map<string, { readonly verification: Verification; readonly untilMs: number }>();
  /** How long tokens that are checked from now on live; `undefined`: they are bad. */
  #lifeMs: number | undefined = 1_000;

  constructor() {
    const { inner, expiring } = this.#real;
    inner.find = (sub) => (this.#lifeMs === undefined ? rejected('invalid') : expiring(sub, this.#lifeMs));
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'verify') await this.#verify(step.token);
    else if (step.kind === 'pass') this.#real.clock.advance(step.ms);
    else this.#lifeMs = step.lifeMs;
  }

  async #verify(token: string): Promise<void> {
    const { clock, inner, cached, verify } = this.#real;
    const found = this.#found.get(token);
    const known = found !== undefined && found.untilMs > clock.now() ? found.verification : undefined;
    const before = inner.asked.length;
    expect(cached.peek(token)).toBe(known);
    const verification = await verify(token);
    expect(inner.asked.length - before).toBe(known === undefined ? 1 : 0);
    if (known !== undefined) return expect(verification).toBe(known);
    const ttlMs = this.#lifeMs === undefined ? OPTIONS.badTtlMs : Math.min(this.#lifeMs, OPTIONS.maxTtlMs);
    this.#found.set(token, { verification, untilMs: clock.now() + ttlMs });
  }
}

it('whatever comes in whatever order, the cache answers as a list with times would', async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const model = new Model();
    for (const step of steps) await model.run(step);
  });
  await fc.assert(property, { numRuns: 200 });
});
