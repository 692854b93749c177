import { describe, expect, it } from 'vitest';
import { AccessCallouts } from '../../src/auth/access-callout.ts';
import { type Identity, toIdentity } from '../../src/auth/identity.ts';
import type { AuthConfig } from '../../src/config/schema.ts';
import { ManualClock } from '../support/clock.ts';
import { recordLog } from './recorded-log.ts';

const CACHE = { size: 100, allowTtlMs: 5000, denyTtlMs: 1000 };
const ANNA = toIdentity({ sub: 'anna', jti: '1' });

interface Asked {
  readonly subject: string;
  readonly channel: string;
  readonly claims: unknown;
}

/** Backends that answer what they are told to; where that throws, nobody listens. */
function setUp(cache: Partial<AuthConfig['access']['cache']> = {}, concurrency = 4) {
  const clock = new ManualClock();
  const asked: Asked[] = [];
  const backend = {
    answer: (_: Asked): unknown => ({ allow: true }),
    /** What an answer waits for. */
    until: Promise.resolve(),
  };
  const request = async (subject: string, payload: Uint8Array) => {
    const question: Asked = { ...JSON.parse(Buffer.from(payload).toString()), subject };
    asked.push(question);
    await backend.until;
    return Buffer.from(JSON.stringify(backend.answer(question)));
  };
  const options = { timeoutMs: 20_000, concurrency, maxBytes: 1000, cache: { ...CACHE, ...cache } };
  const { log, lines } = recordLog();
  const callouts = new AccessCallouts(options, { clock, log, request });
  const ask = (
    channel = 'chat',
    { who = ANNA as Identity | null, address = '192.0.2.1', subject = 'may' } = {},
  ) => callouts.ask(subject, who ?? undefined, channel, { address });
  return { clock, asked, lines, backend, callouts, ask };
}

describe('an answer that may be remembered', () => {
  it('is given without asking again until its time is over', async () => {
    const { ask, asked, clock } = setUp();
    expect(await ask()).toBe('allow');
    clock.advance(CACHE.allowTtlMs - 1);
    expect(await ask()).toBe('allow');
    expect(asked).toHaveLength(1);
    clock.advance(1);
    expect(await ask()).toBe('allow');
    expect(asked).toHaveLength(2);
  });

  it('is a yes or a no, each for a time of its own', async () => {
    const { ask, asked, clock, backend } = setUp();
    backend.answer = () => ({ allow: false });
    expect(await ask()).toBe('deny');
    backend.answer = () => ({ allow: true });
    clock.advance(CACHE.denyTtlMs - 1);
    expect(await ask()).toBe('deny');
    clock.advance(1);
    expect(await ask()).toBe('allow');
    backend.answer = () => ({ allow: false });
    clock.advance(CACHE.denyTtlMs);
    expect(await ask()).toBe('allow');
    expect(asked).toHaveLength(2);
  });

  it('may be a no alone, or a yes alone', async () => {
    for (const [cache, allow] of [
      [{ allowTtlMs: 0 }, true],
      [{ denyTtlMs: 0 }, false],
    ] as const) {
      const { ask, asked, backend, callouts } = setUp(cache);
      backend.answer = () => ({ allow });
      await ask();
      await ask();
      expect(asked).toHaveLength(2);
      expect(callouts.remembered).toBe(0);
      backend.answer = () => ({ allow: !allow });
      await ask();
      await ask();
      expect(asked).toHaveLength(3);
      expect(callouts.remembered).toBe(1);
    }
  });

  it('is the answer to that question alone: not of another user, token, channel, address or backend', async () => {
    const { ask, asked } = setUp();
    const others = [
      () => ask('chat', { who: toIdentity({ sub: 'ben', jti: '1' }) }),
      () => ask('chat', { who: toIdentity({ sub: 'anna', jti: '2' }) }),
      () => ask('chat', { who: null }),
      () => ask('news'),
      () => ask('chat', { address: '192.0.2.2' }),
      () => ask('chat', { subject: 'may.not' }),
    ];
    await ask();
    for (const [index, other] of others.entries()) {
      await other();
      expect(asked).toHaveLength(index + 2);
    }
    for (const again of [ask, ...others]) await again();
    expect(asked).toHaveLength(1 + others.length);
  });

  it('is asked for once by all who ask at the same time', async () => {
    const { ask, asked, backend } = setUp();
    let resolve = () => {};
    backend.until = new Promise((done) => {
      resolve = done;
    });
    const answers = Array.from({ length: 100 }, () => ask());
    resolve();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['allow']));
    expect(asked).toHaveLength(1);
  });

  it('gives way to newer ones over the bound, whatever their number', async () => {
    const { ask, asked, callouts } = setUp({ size: 3 });
    for (const channel of ['a', 'b', 'c', 'd']) await ask(channel);
    expect(callouts.remembered).toBe(3);
    await ask('d');
    await ask('b');
    expect(asked).toHaveLength(4);
    await ask('a');
    expect(asked).toHaveLength(5);
    expect(callouts.remembered).toBe(3);
  });
});

describe('what is no answer', () => {
  const silence = (): unknown => {
    throw new Error('nobody listens');
  };

  it.each([
    ['silence', silence],
    ['nonsense', () => ({ allow: 'yes' })],
    ['too much', () => ({ allow: true, pad: 'x'.repeat(1000) })],
  ])('is never remembered: %s', async (_, answer) => {
    const { ask, asked, backend, callouts } = setUp();
    backend.answer = answer;
    expect(await ask()).toBe('unavailable');
    expect(callouts.remembered).toBe(0);
    backend.answer = () => ({ allow: true });
    expect(await ask()).toBe('allow');
    expect(asked).toHaveLength(2);
  });

  it('does not outweigh what is remembered', async () => {
    const { ask, backend } = setUp();
    expect(await ask()).toBe('allow');
    backend.answer = silence;
    expect(await ask()).toBe('allow');
    expect(await ask('news')).toBe('unavailable');
  });
});

describe('claims too deeply nested to be written down', () => {
  it('are allowed nothing, which is said once in a while, and nobody is asked about them', async () => {
    const { ask, asked, lines, clock } = setUp();
    let abyss: unknown = 0;
    for (let depth = 0; depth < 20_000; depth += 1) abyss = [abyss];
    const who = toIdentity({ sub: 'anna', abyss });
    for (let i = 0; i < 3; i += 1) expect(await ask('chat', { who })).toBe('deny');
    expect([asked.length, lines.length]).toEqual([0, 1]);
    clock.advance(10_000);
    expect(await ask('chat', { who })).toBe('deny');
    expect(lines.map((line) => JSON.parse(line).heldBack)).toEqual([0, 2]);
    expect(await ask()).toBe('allow');
  });
});

describe('each backend', () => {
  it('has places of its own: one that never answers keeps nobody from another', async () => {
    const { ask, backend, callouts } = setUp({ allowTtlMs: 0 }, 1);
    backend.until = new Promise(() => undefined);
    const held = Array.from({ length: 6 }, (_, index) => ask(`room-${index}`, { subject: 'dead' }));
    // One place and four that wait: the sixth is turned away.
    expect(await held.at(-1)).toBe('unavailable');
    backend.until = Promise.resolve();
    expect(await ask('chat', { subject: 'alive' })).toBe('allow');
    expect(callouts.counts).toMatchObject({ questions: 2, faults: { busy: 1 } });
  });
});
