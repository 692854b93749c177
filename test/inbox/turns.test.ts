import { expect, it } from 'vitest';
import { Turns } from '../../src/inbox/turns.ts';

it('work on a channel is done one after another, and takes no place from other channels', async () => {
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const turns = new Turns(2, (channel) => log.push(`${channel} idle`));
  const run = (channel: string, name: string) =>
    turns.run(channel, async () => {
      log.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      if (name === 'a2') throw new Error('as asked');
      return name;
    });
  const [a1, a2, a3, b1] = [run('a', 'a1'), run('a', 'a2'), run('a', 'a3'), run('b', 'b1')];
  expect(log).toEqual(['a1', 'b1']);
  ends.get('a1')?.();
  expect(await a1).toBe('a1');
  ends.get('b1')?.();
  expect(await b1).toBe('b1');
  ends.get('a2')?.();
  await expect(a2).rejects.toThrow('as asked');
  ends.get('a3')?.();
  expect(await a3).toBe('a3');
  await new Promise((resolve) => setImmediate(resolve));
  expect(log).toEqual(['a1', 'b1', 'a2', 'b idle', 'a3', 'a idle']);
});
