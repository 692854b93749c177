import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Gate, type GateOptions } from '../../src/auth/gate.ts';
import { ManualClock } from '../support/clock.ts';

const OPTIONS: GateOptions = { concurrency: 2, maxWaiting: 3, maxWaitMs: 1_000 };

/** A gate, and tasks that end when they are told to. */
function setUp(options: Partial<GateOptions> = {}) {
  const clock = new ManualClock();
  const gate = new Gate<string>({ ...OPTIONS, ...options }, clock);
  const started: string[] = [];
  const ends = new Map<string, { resolve: (value: string) => void; reject: (error: Error) => void }>();
  const run = (key: string) =>
    gate.run(key, () => {
      started.push(key);
      return new Promise<string>((resolve, reject) => ends.set(key, { resolve, reject }));
    });
  const end = async (key: string) => {
    await settled();
    const task = ends.get(key);
    if (task === undefined) throw new Error(`${key} is not under way`);
    ends.delete(key);
    task.resolve(`answer ${key}`);
    await settled();
  };
  return { clock, gate, started, ends, run, end };
}

/** Waits until all that was promised by now has been heard of. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('single flight', () => {
  it('runs a task once for the hundred who ask for it at the same time', async () => {
    const { run, end, started } = setUp();
    const answers = Array.from({ length: 100 }, () => run('a'));
    await settled();
    expect(started).toEqual(['a']);
    await end('a');
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['answer a']));
  });

  it('joins a task that still waits for its place', async () => {
    const { run, end, started } = setUp({ concurrency: 1, maxWaiting: 1 });
    const answers = [run('a'), run('b'), run('b'), run('b')];
    await end('a');
    await end('b');
    expect(await Promise.all(answers)).toEqual(['answer a', 'answer b', 'answer b', 'answer b']);
    expect(started).toEqual(['a', 'b']);
  });

  it('runs a task anew once the last one is over', async () => {
    const { run, end, started } = setUp();
    for (const _ of [1, 2]) {
      const answer = run('a');
      await end('a');
      await answer;
    }
    expect(started).toEqual(['a', 'a']);
  });
});

describe('the bounds', () => {
  it('let no more tasks run than there are places, and start the rest in order', async () => {
    const { run, end, started, gate } = setUp();
    const answers = ['a', 'b', 'c', 'd'].map(run);
    await settled();
    expect(started).toEqual(['a', 'b']);
    expect([gate.underWay, gate.waiting]).toEqual([2, 2]);
    await end('b');
    expect(started).toEqual(['a', 'b', 'c']);
    for (const key of ['a', 'c', 'd']) await end(key);
    expect(await Promise.all(answers)).toEqual(['answer a', 'answer b', 'answer c', 'answer d']);
    expect([gate.underWay, gate.waiting]).toEqual([0, 0]);
  });

  it('turn away at once what finds no place to wait, and take it when there is one again', async () => {
    const { run, end, started } = setUp({ concurrency: 1, maxWaiting: 1 });
    const answers = [run('a'), run('b')];
    expect(await run('c')).toBeUndefined();
    await end('a');
    answers.push(run('c'));
    await end('b');
    await end('c');
    expect(await Promise.all(answers)).toEqual(['answer a', 'answer b', 'answer c']);
    expect(started).toEqual(['a', 'b', 'c']);
  });

  it('pass over what has waited too long, without running it', async () => {
    const { run, end, started, clock, gate } = setUp({ concurrency: 1 });
    const answers = [run('a'), run('b')];
    clock.advance(1);
    answers.push(run('c'));
    clock.advance(OPTIONS.maxWaitMs);
    await end('a');
    await end('c');
    expect(await Promise.all(answers)).toEqual(['answer a', undefined, 'answer c']);
    expect(started).toEqual(['a', 'c']);
    expect([gate.underWay, gate.waiting]).toEqual([0, 0]);
  });

  it('are refused where nothing could ever run', () => {
    expect(() => setUp({ concurrency: 0 })).toThrow(TypeError);
    expect(() => setUp({ concurrency: Number.NaN })).toThrow(TypeError);
  });
});

describe('a task that fails', () => {
  it('fails for all who joined it, and gives its place back', async () => {
    const { run, end, ends, gate } = setUp({ concurrency: 1 });
    const failing = [run('a'), run('a')];
    const next = run('b');
    await settled();
    ends.get('a')?.reject(new Error('no'));
    expect((await Promise.allSettled(failing)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await end('b');
    expect(await next).toBe('answer b');
    expect(gate.underWay).toBe(0);
  });

  it('may do so before it has promised anything', async () => {
    const { gate } = setUp();
    const broken = () => {
      throw new Error('at once');
    };
    await expect(gate.run('a', broken)).rejects.toThrow('at once');
    expect(gate.underWay).toBe(0);
  });
});

it('whatever comes in whatever order, the bounds hold and every place is given back', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('run' as const), key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g') }),
    fc.record({ kind: fc.constant('end' as const), nth: fc.nat() }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 900 }) }),
  );
  const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    const { run, end, ends, gate, clock } = setUp();
    const answers: Promise<string | undefined>[] = [];
    const endNth = async (nth: number) => {
      const key = [...ends.keys()][nth % ends.size];
      if (key !== undefined) await end(key);
    };
    for (const step of steps) {
      if (step.kind === 'run') answers.push(run(step.key));
      else if (step.kind === 'end') await endNth(step.nth);
      else clock.advance(step.ms);
      await settled();
      expect(gate.underWay).toBe(ends.size);
      expect(gate.underWay).toBeLessThanOrEqual(OPTIONS.concurrency);
      expect(gate.waiting).toBeLessThanOrEqual(
        gate.underWay === OPTIONS.concurrency ? OPTIONS.maxWaiting : 0,
      );
    }
    while (ends.size > 0) await endNth(0);
    await Promise.all(answers);
    expect([gate.underWay, gate.waiting]).toEqual([0, 0]);
  });
  await fc.assert(property, { numRuns: 60 });
});
