import { describe, expect, it } from 'vitest';
import { Queue } from '../src/queue.ts';

/** A queue, and tasks that end when they are told to. */
function setUp(concurrency: number) {
  const queue = new Queue(concurrency);
  const started: string[] = [];
  const ends = new Map<string, { resolve: (value: string) => void; reject: (error: Error) => void }>();
  const run = (name: string) =>
    queue.run(() => {
      started.push(name);
      return new Promise<string>((resolve, reject) => ends.set(name, { resolve, reject }));
    });
  const end = async (name: string, how: 'resolve' | 'reject' = 'resolve') => {
    const task = ends.get(name);
    if (task === undefined) throw new Error(`${name} is not under way`);
    if (how === 'resolve') task.resolve(`answer ${name}`);
    else task.reject(new Error(`fault ${name}`));
    await settled();
  };
  return { started, run, end };
}

/** Waits until all that was promised by now has been heard of. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a queue', () => {
  it('runs so many tasks at a time, and the others in the order they came', async () => {
    const { run, end, started } = setUp(2);
    const answers = ['a', 'b', 'c', 'd'].map(run);
    await settled();
    expect(started).toEqual(['a', 'b']);
    await end('b');
    expect(started).toEqual(['a', 'b', 'c']);
    await end('c');
    expect(started).toEqual(['a', 'b', 'c', 'd']);
    await end('a');
    await end('d');
    expect(await Promise.all(answers)).toEqual(['answer a', 'answer b', 'answer c', 'answer d']);
  });

  it('passes a fault on to who brought the task, and its place to the next', async () => {
    const { run, end, started } = setUp(1);
    const first = expect(run('a')).rejects.toThrow('fault a');
    const second = run('b');
    await end('a', 'reject');
    await first;
    expect(started).toEqual(['a', 'b']);
    await end('b');
    expect(await second).toBe('answer b');
  });

  it('lets nobody pass a waiting one between the end of a task and the start of the next', async () => {
    const { run, end, started } = setUp(1);
    const tasks = [run('a'), run('b')];
    const late = end('a').then(() => run('c'));
    await settled();
    await end('b');
    await end('c');
    await Promise.all([...tasks, late]);
    expect(started).toEqual(['a', 'b', 'c']);
  });

  it('is empty again when all have ended, and takes the next at once', async () => {
    const { run, end, started } = setUp(1);
    for (const name of ['a', 'b']) {
      const answer = run(name);
      await settled();
      await end(name);
      await answer;
    }
    expect(started).toEqual(['a', 'b']);
  });

  it('cannot be made so that nobody gets through', () => {
    expect(() => new Queue(0)).toThrow(TypeError);
    expect(() => new Queue(Number.NaN)).toThrow(TypeError);
  });
});
