import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Caller, ControlError } from '../../src/control/operation.ts';
import { type AnySpread, readParts, takePart } from '../../src/control/parts.ts';
import { revokeOperations } from '../../src/control/revocation/revoke.ts';
import { createLog } from '../../src/log.ts';
import { ManualClock } from '../support/clock.ts';

const counting: AnySpread = {
  spec: {
    name: 'count',
    kind: 'read',
    summary: '',
    input: z.unknown(),
    output: z.unknown(),
    codes: [],
    fansOut: true,
  },
  part: z.strictObject({ n: z.int() }),
  each: () => ({ n: 1 }),
  merge: () => undefined,
};

const OWN = { ok: true, answer: { n: 0 } } as const;
const refusal = (code: string) => ({ ok: false, error: { code, message: 'why' } });
const told = (instance: string, answer: object) => ({ instance, answer: { instance, ...answer } });

const read = (...answers: readonly object[]) =>
  readParts(
    counting,
    'own',
    OWN,
    answers.map((answer, i) => told(`other-${i}`, answer)),
  ).map(({ instance, part }) => [instance, part]);

describe('what the instances answer', () => {
  it('is theirs by name, and is left out where it is none', () => {
    const wrong = [{}, { ok: true }, { ok: 'true', n: 1 }, { ok: true, n: '1' }, { ok: true, n: 1, more: 1 }];
    expect(read(...wrong, { ok: true, n: 5 })).toEqual([
      ['own', { n: 0 }],
      ['other-5', { n: 5 }],
    ]);
  });

  it('is left out where one was not able to, whatever kept it from it', () => {
    for (const code of ['CONTROL_FAILED', 'CONTROL_BUSY', 'CONTROL_UNAVAILABLE', 'UNHEARD_OF', '__proto__'])
      expect(read(refusal(code)), code).toEqual([['own', { n: 0 }]]);
    for (const error of [undefined, null, 'x', {}, { code: 7 }])
      expect(read({ ok: false, error })).toEqual([['own', { n: 0 }]]);
  });

  it('refuses it all where one refuses, and says who', () => {
    expect(() => read({ ok: true, n: 1 }, refusal('CONTROL_FULL'))).toThrow('why (instance other-1)');
    const own = { ok: false, error: { code: 'NOT_PERMITTED', message: 'not here' } } as const;
    expect(() => readParts(counting, 'own', own, [])).toThrow('not here');
  });

  it('is enough where this instance was not able to; where nobody was, that is why it is refused', () => {
    const own = { ok: false, error: { code: 'CONTROL_FAILED', message: 'broken' } } as const;
    expect(readParts(counting, 'own', own, [told('other', { ok: true, n: 1 })])).toEqual([
      { instance: 'other', part: { n: 1 } },
    ]);
    expect(() => readParts(counting, 'own', own, [told('other', refusal('CONTROL_BUSY'))])).toThrow('broken');
  });
});

it('an instance does nothing of what it would refuse, and is missing where another one knows better', async () => {
  let acted = 0;
  const served: AnySpread = {
    ...counting,
    check() {
      throw new ControlError('CHANNEL_NOT_FOUND', 'not here');
    },
    each: () => {
      acted += 1;
    },
  };
  const log = createLog({ level: 'silent', format: 'json' }, { write: () => undefined });
  const codeFor = async (caller: Caller) => {
    const outcome = await takePart(served, {}, caller, log);
    return outcome.ok ? 'ok' : outcome.error.code;
  };
  expect(await codeFor({ via: 'command' })).toBe('CHANNEL_NOT_FOUND');
  expect(await codeFor({ via: 'http', coordinator: 'other' })).toBe('CONTROL_UNAVAILABLE');
  expect(acted).toBe(0);
});

it('a revocation holds as long, and is kept as well, as where it does least', () => {
  const [served] = revokeOperations({ revoker: undefined, revocationTtlMs: 1000, clock: new ManualClock() });
  if (served === undefined || !('merge' in served)) throw new Error('it is not spread');
  const part = (instance: string, minute: number, persisted: boolean) => ({
    instance,
    part: { closed: 1, until: `2026-01-01T00:0${minute}:00.000Z`, persisted },
  });
  const merged = (...parts: ReturnType<typeof part>[]) => served.merge(parts, { user: '42' }, []);
  const until = '2026-01-01T00:01:00.000Z';
  expect(merged(part('a', 2, true), part('b', 1, true))).toEqual({ closed: 2, until, persisted: true });
  expect(merged(part('a', 1, true), part('b', 2, false))).toEqual({ closed: 2, until, persisted: false });
});

it('what fails here is told by a code, and by the log alone why', async () => {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'json' }, { write: (line) => void lines.push(line) });
  const failing = (error: Error): AnySpread => ({
    ...counting,
    each() {
      throw error;
    },
  });
  const outcome = (error: Error) => takePart(failing(error), {}, { via: 'nats' }, log);
  expect(await outcome(new Error('hunter2'))).toEqual({
    ok: false,
    error: { code: 'CONTROL_FAILED', message: expect.not.stringContaining('hunter2') },
  });
  expect(lines.join()).toContain('hunter2');
  expect(await outcome(new ControlError('CONFLICT', 'gone'))).toEqual({
    ok: false,
    error: { code: 'CONFLICT', message: 'gone' },
  });
});
