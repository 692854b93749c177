import { expect, test } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import type { ToWorker } from '../../src/workers/messages.ts';
import { prepareWorkers, type Reloadable } from '../../src/workers/reload.ts';

/** Notes what it is asked to do. */
class FakeWorker implements Reloadable {
  state: Reloadable['state'] = 'listening';
  readonly done: string[] = [];
  problem: Error | undefined;
  /** Called while it makes ready. */
  meanwhile: () => void = () => undefined;

  async prepare(): Promise<boolean> {
    this.done.push('prepare');
    this.meanwhile();
    if (this.problem !== undefined) throw this.problem;
    return this.state !== 'gone';
  }

  async apply(): Promise<void> {
    this.done.push('apply');
  }

  send({ kind }: ToWorker): void {
    this.done.push(kind);
  }

  kill(): void {
    this.done.push('kill');
  }
}

function setUp(count = 2) {
  const workers = new Set(Array.from({ length: count }, () => new FakeWorker()));
  const [first, second] = [...workers];
  if (first === undefined || second === undefined) throw new TypeError('two workers are needed');
  const adopted: string[] = [];
  const options = { workers, share: () => ({}) as Config, adopt: () => adopted.push('adopted') };
  return { workers, first, second, adopted, options };
}

test('all are ready before any goes by it', async () => {
  const { first, second, adopted, options } = setUp();
  const prepared = await prepareWorkers(options);
  expect([first.done, second.done, adopted]).toEqual([['prepare'], ['prepare'], []]);
  await prepared.apply();
  expect([first.done, second.done, adopted]).toEqual([
    ['prepare', 'apply'],
    ['prepare', 'apply'],
    ['adopted'],
  ]);
});

test('one that cannot keeps all from it, and the reason is its own', async () => {
  const { first, second, adopted, options } = setUp();
  second.problem = new Error('key 1 is of no use');
  await expect(prepareWorkers(options)).rejects.toThrow('key 1 is of no use');
  expect([first.done, second.done, adopted]).toEqual([['prepare', 'discard'], ['prepare'], []]);
});

test('one that ends meanwhile keeps nobody from it; one that is started meanwhile makes ready, too', async () => {
  const { workers, first, second, options } = setUp();
  const successor = new FakeWorker();
  successor.state = 'starting';
  second.meanwhile = () => {
    second.state = 'gone';
    workers.delete(second);
    workers.add(successor);
  };
  const prepared = await prepareWorkers(options);
  const late = new FakeWorker();
  workers.add(late);
  await prepared.apply();
  expect([first, second, successor, late].map(({ done }) => done)).toEqual([
    ['prepare', 'apply'],
    ['prepare'],
    ['prepare', 'apply'],
    ['prepare', 'apply'],
  ]);
});

test('one that cannot follow the others any more is replaced', async () => {
  const { workers, options } = setUp();
  const prepared = await prepareWorkers(options);
  const late = new FakeWorker();
  late.problem = new Error('no');
  workers.add(late);
  await prepared.apply();
  expect(late.done).toEqual(['prepare', 'kill']);
});
