import { describe, expect, it } from 'vitest';
import { Outflow } from '../../src/presence/outflow.ts';

const MEBIBYTE = 'x'.repeat(1024 * 1024);

function setUp() {
  const answers: ((isThere: boolean) => void)[] = [];
  const nats = { isThere: true, taken: 0 };
  const outflow = new Outflow({
    publish() {
      if (nats.isThere) nats.taken += 1;
      return nats.isThere;
    },
    flush: () => new Promise((resolve) => answers.push(resolve)),
  });
  const send = (count: number) =>
    Array.from({ length: count }, () => outflow.publish('', MEBIBYTE)).filter(Boolean).length;
  const answer = async (isThere: boolean) => {
    for (const resolve of answers.splice(0)) resolve(isThere);
    await Promise.resolve();
  };
  return { nats, outflow, answers, send, answer };
}

describe('what goes out to backends', () => {
  it('is bounded where NATS looks connected and takes nothing', async () => {
    const { nats, send, answers, answer } = setUp();
    expect(send(100)).toBe(16);
    expect([nats.taken, answers.length]).toEqual([16, 1]);
    await answer(false);
    expect([send(3), answers.length]).toEqual([0, 1]);
  });

  it('goes on as soon as NATS has what was sent', async () => {
    const { send, answer } = setUp();
    send(100);
    await answer(true);
    expect(send(100)).toBe(1);
    // The last was asked ahead of one.
    await answer(true);
    expect(send(100)).toBe(15);
  });

  it('has no bound where NATS keeps up', async () => {
    const { send, answer } = setUp();
    for (let i = 0; i < 100; i += 1) {
      expect(send(2)).toBe(2);
      await answer(true);
    }
  });

  it('asks nothing for a few, and does not count what was not sent', async () => {
    const { nats, outflow, answers, send } = setUp();
    for (let i = 0; i < 1000; i += 1) expect(outflow.publish('a', 'b')).toBe(true);
    nats.isThere = false;
    expect([send(100), answers.length]).toEqual([0, 0]);
    nats.isThere = true;
    expect(send(100)).toBe(15);
  });
});
