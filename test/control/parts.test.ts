import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ControlError } from '../../src/control/operation.ts';
import { type AnySpread, readParts, takePart } from '../../src/control/parts.ts';
import { createLog } from '../../src/log.ts';

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
