import { expect, it } from 'vitest';
import { createLog } from '../../src/log.ts';
import type { Answer } from '../../src/workers/messages.ts';
import { killHung, type Watched } from '../../src/workers/watch.ts';

type State = Watched['state'];

/** Who of these is killed: each is in a state when it is asked, and in another when its answer is due. */
async function killed(workers: readonly (readonly [State, State, Answer | undefined])[]): Promise<number[]> {
  const found: number[] = [];
  const lines: string[] = [];
  const log = createLog({ level: 'error', format: 'json' }, { write: (line) => void lines.push(line) });
  const watched = workers.map(([state, later, answer], number): Watched => {
    const worker = {
      number,
      pid: 1000 + number,
      state,
      ask: async () => {
        worker.state = later;
        return answer;
      },
      kill: () => void found.push(number),
    };
    return worker;
  });
  await killHung(watched, 100, log);
  expect(lines).toHaveLength(found.length);
  return found;
}

it('a worker that listens and does not answer is killed, and nobody else', async () => {
  expect(
    await killed([
      ['listening', 'listening', { unready: 'draining' }],
      ['listening', 'listening', undefined],
      ['starting', 'starting', undefined],
      ['starting', 'listening', undefined],
    ]),
  ).toEqual([1]);
});

it('one that drains has its time, also where it begins to while it is asked', async () => {
  expect(
    await killed([
      ['draining', 'draining', undefined],
      ['listening', 'draining', undefined],
      ['listening', 'gone', undefined],
    ]),
  ).toEqual([]);
});
