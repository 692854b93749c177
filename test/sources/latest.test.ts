import { expect, it } from 'vitest';
import { Latest } from '../../src/sources/latest.ts';

/** Answers that come when the test says so. */
function setUp() {
  const open: { resolve: (text: string) => void; reject: (error: Error) => void }[] = [];
  const latest = new Latest(() => new Promise<string>((resolve, reject) => open.push({ resolve, reject })));
  return { open, latest };
}

it('an answer was asked for after the asking, by one request at a time', async () => {
  const { open, latest } = setUp();
  const first = latest.ask();
  const [second, third] = [latest.ask(), latest.ask()];
  expect(open).toHaveLength(1);
  open[0]?.resolve('old');
  expect(await first).toBe('old');
  await Promise.resolve();
  await Promise.resolve();
  expect(open).toHaveLength(2);
  open[1]?.resolve('new');
  expect(await Promise.all([second, third])).toEqual(['new', 'new']);
  void latest.ask();
  expect(open).toHaveLength(3);
});

it('an answer that does not come keeps nobody from asking again', async () => {
  const { open, latest } = setUp();
  const first = latest.ask();
  const second = latest.ask();
  open[0]?.reject(new Error('no'));
  await expect(first).rejects.toThrow('no');
  await expect.poll(() => open.length).toBe(2);
  open[1]?.resolve('yes');
  expect(await second).toBe('yes');
});
