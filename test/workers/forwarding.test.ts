import { expect, it } from 'vitest';
import { type Called, Forwarding } from '../../src/workers/forwarding.ts';
import type { Call } from '../../src/workers/messages.ts';

const call = (operation: string): Call => ({ operation, payload: {}, caller: { via: 'http' } });

/** Workers by what they do when they are called; `absent` ones do not even say that they are there. */
function forwardTo(...kinds: readonly ('answers' | 'silent' | 'absent' | 'starting')[]) {
  const called: number[] = [];
  const workers = kinds.map(
    (kind, n): Called => ({
      state: kind === 'starting' ? 'starting' : 'listening',
      ask: async () => (kind === 'absent' ? undefined : {}),
      async call() {
        called.push(n);
        return kind === 'answers' ? { ok: true, answer: { worker: n } } : undefined;
      },
    }),
  );
  const forwarding = new Forwarding({
    workers: new Set(workers),
    timeoutMs: 1000,
    isRead: (operation) => operation === 'stats',
  });
  return { forwarding, called };
}

it('a call goes to a worker that listens and says that it is there', async () => {
  const { forwarding, called } = forwardTo('starting', 'absent', 'answers', 'answers');
  expect(await forwarding.call(call('publish'))).toEqual({ ok: true, answer: { worker: 2 } });
  expect(await forwarding.call(call('publish'))).toMatchObject({ ok: true });
  expect(called).toEqual([2, 2]);
});

it('what reads is asked of another worker where one leaves it unanswered', async () => {
  const { forwarding, called } = forwardTo('silent', 'answers');
  expect(await forwarding.call(call('stats'))).toMatchObject({ ok: true });
  expect(called).toEqual([0, 1]);
});

it('what acts is never done twice: that it is not known is told', async () => {
  const { forwarding, called } = forwardTo('silent', 'answers');
  expect(await forwarding.call(call('publish'))).toMatchObject({
    ok: false,
    error: { code: 'CONTROL_FAILED' },
  });
  expect(called).toEqual([0]);
});

it('where no worker answers, that is said', async () => {
  for (const workers of [[], ['absent'], ['starting']] as const) {
    const { forwarding } = forwardTo(...workers);
    expect(await forwarding.call(call('stats'))).toMatchObject({ error: { code: 'CONTROL_UNAVAILABLE' } });
  }
});
