import { describe, expect, it } from 'vitest';
import { Failed } from '../../src/auth/answer.ts';
import { type Question, Service } from '../../src/auth/service.ts';
import { ManualClock } from '../support/clock.ts';
import { poll } from '../support/poll.ts';
import { recordLog } from './recorded-log.ts';

interface Told {
  readonly told: string;
}

/** Long enough for any answer here. */
const TIMEOUT_MS = 20_000;

function setUp() {
  const { log, lines } = recordLog();
  const clock = new ManualClock();
  const service = new Service<Told>('oracle', { timeoutMs: TIMEOUT_MS, concurrency: 1 }, { log, clock });
  return {
    service,
    lines,
    clock,
    ask: (question: Question<Told>, key = 'key') => service.ask(key, question),
  };
}

const named = (name: string, message = 'quotes the token') => Object.assign(new Error(message), { name });
const coded = (code: string) => Object.assign(new Error('quotes the token'), { code });

describe('a question that fails', () => {
  it.each([
    ['what a NATS client rejects with when nobody answers', named('TimeoutError'), 'timeout', 'TimeoutError'],
    ['a time-out of the network', coded('ETIMEDOUT'), 'timeout', 'ETIMEDOUT'],
    ['a time-out of fetch', coded('UND_ERR_CONNECT_TIMEOUT'), 'timeout', 'UND_ERR_CONNECT_TIMEOUT'],
    ['a refused connection', coded('ECONNREFUSED'), 'unreachable', 'ECONNREFUSED'],
    ['a cause within', new Error('outer', { cause: coded('ENOTFOUND') }), 'unreachable', 'ENOTFOUND'],
    [
      'an error with a number for a code',
      new DOMException('quotes', 'AbortError'),
      'unreachable',
      'AbortError',
    ],
    ['a text, which is no error', 'the token', 'unreachable', 'no error'],
  ])('by %s is told by its name or code, never by its words', async (_, error, fault, detail) => {
    const { ask, service, lines } = setUp();
    expect(await ask(() => Promise.reject(error))).toEqual(new Failed(fault as Failed['fault'], detail));
    expect(service.counts.faults).toMatchObject({ [fault]: 1 });
    expect(lines.join()).not.toContain('the token');
  });
});

describe('a question that is over', () => {
  it('aborts its signal, so that nothing of it stays open', async () => {
    const { ask } = setUp();
    const signals: AbortSignal[] = [];
    const open = (signal: AbortSignal) => void signals.push(signal);
    await ask(async (signal) => {
      open(signal);
      return { told: 'yes' };
    });
    await ask((signal) => {
      open(signal);
      return Promise.reject(new Error('no'));
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it('gives its place to the next', async () => {
    const { ask, service } = setUp();
    await ask(() => Promise.reject(new Error('no')));
    expect(await ask(async () => ({ told: 'yes' }))).toEqual({ told: 'yes' });
    expect(service.counts.questions).toBe(2);
  });
});

describe('a question that waits for its turn', () => {
  const yes: Question<Told> = async () => ({ told: 'yes' });

  it('is put as long as one that is put may take, and then given up as busy', async () => {
    const { ask, service, clock } = setUp();
    const answers: ((told: Told) => void)[] = [];
    const first = ask(() => new Promise((resolve) => answers.push(resolve)), 'first');
    const tooLong = ask(yes, 'second');
    clock.advance(1);
    const inTime = ask(yes, 'third');
    clock.advance(TIMEOUT_MS);
    await poll('the first question', () => answers.length === 1);
    answers[0]?.({ told: 'at last' });
    expect(await first).toEqual({ told: 'at last' });
    expect(await tooLong).toEqual(new Failed('busy', 'too many questions are under way'));
    expect(await inTime).toEqual({ told: 'yes' });
    expect(service.counts).toMatchObject({ questions: 2, faults: { busy: 1 } });
  });
});
