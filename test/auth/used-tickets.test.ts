import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Claim, UsedTickets } from '../../src/auth/used-tickets.ts';
import { ManualClock } from '../support/clock.ts';
import { captureLog } from './tokens.ts';

/** A memory of tickets beside others that say what the test wants. */
function setUp(maxTickets?: number) {
  const clock = new ManualClock();
  const { log, lines } = captureLog();
  const asked: string[] = [];
  const others = { claim: (_key: string): Claim | Promise<Claim> => 'first' };
  const claim = async (key: string) => {
    asked.push(key);
    return others.claim(key);
  };
  const tickets = new UsedTickets({ clock, log, claim, ...(maxTickets !== undefined && { maxTickets }) });
  /** A ticket that is good for a minute from now. */
  const redeem = (key: string, ms = 60_000) => tickets.redeem({ key, untilMs: clock.wall() + ms });
  return { clock, lines, asked, others, tickets, redeem };
}

describe('a ticket', () => {
  it('is taken once; the second time nobody else is asked', async () => {
    const { asked, redeem } = setUp();
    expect([await redeem('a'), await redeem('b'), await redeem('a')]).toEqual(['first', 'first', 'used']);
    expect(asked).toEqual(['a', 'b']);
  });

  it('that comes again while the others are being asked is used', async () => {
    const { others, redeem } = setUp();
    let decide: (claim: Claim) => void = () => {};
    others.claim = () =>
      new Promise((resolve) => {
        decide = resolve;
      });
    const first = redeem('a');
    expect(await redeem('a')).toBe('used');
    decide('first');
    expect(await first).toBe('first');
  });

  it('that another instance took is used, and need not be asked about again', async () => {
    const { asked, others, redeem } = setUp();
    others.claim = () => 'used';
    expect([await redeem('a'), await redeem('a'), asked.length]).toEqual(['used', 'used', 1]);
  });

  it('that nobody could tell about is neither taken nor used up', async () => {
    const { others, redeem } = setUp();
    others.claim = () => 'unavailable';
    expect([await redeem('a'), await redeem('a')]).toEqual(['unavailable', 'unavailable']);
    others.claim = () => 'first';
    expect([await redeem('a'), await redeem('a')]).toEqual(['first', 'used']);
  });

  it('that grew too old while it was judged is not taken: that it was used may be forgotten already', async () => {
    const { asked, tickets, redeem } = setUp();
    expect([await redeem('a', 0), await redeem('a', -1), asked, tickets.size]).toEqual([
      'expired',
      'expired',
      [],
      0,
    ]);
  });

  it('is taken once by an instance that is alone', async () => {
    const { others, redeem } = setUp();
    others.claim = () => 'alone';
    expect([await redeem('a'), await redeem('a')]).toEqual(['first', 'used']);
  });
});

describe('the memory', () => {
  it('never forgets one that is still good: when it is full, others are refused, which is logged once a while', async () => {
    const { clock, lines, asked, tickets, redeem } = setUp(3);
    for (const key of ['a', 'b', 'c']) expect(await redeem(key)).toBe('first');
    clock.advance(59_999);
    for (let i = 0; i < 5; i += 1) expect(await redeem(`more ${i}`)).toBe('unavailable');
    for (const key of ['a', 'b', 'c']) expect(await redeem(key)).toBe('used');
    expect([asked.length, tickets.size, lines.length]).toEqual([3, 3, 1]);
    clock.advance(1000);
    expect(await redeem('d')).toBe('first');
    expect(tickets.size).toBe(1);
  });

  it('is not looked through for every request while it is full', async () => {
    const { clock, redeem } = setUp(1);
    await redeem('a', 500);
    expect(await redeem('b')).toBe('unavailable');
    clock.advance(500);
    // Expired; but what has expired was looked for half a second ago.
    expect(await redeem('b')).toBe('unavailable');
    clock.advance(500);
    expect(await redeem('b')).toBe('first');
  });

  it('does not grow with tickets that have expired', async () => {
    const { clock, tickets, redeem } = setUp();
    for (let i = 0; i < 20_000; i += 1) {
      await redeem(`${i}`, 1000);
      clock.advance(10);
    }
    expect(tickets.size).toBeLessThan(2500);
  });

  it('takes each ticket once as long as it is good, whatever comes in whatever order', async () => {
    const step = fc.record({ key: fc.nat(8), passMs: fc.constantFrom(0, 1, 900, 5000) });
    const property = fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const { clock, tickets } = setUp(4);
      const until = new Map<number, number>();
      for (const { key, passMs } of steps) {
        clock.advance(passMs);
        const untilMs = until.get(key) ?? clock.wall() + 3000;
        const isNew = !until.has(key);
        const redemption = await tickets.redeem({ key: `${key}`, untilMs });
        if (untilMs <= clock.wall()) expect(redemption).toBe('expired');
        else if (redemption === 'first') {
          expect(isNew).toBe(true);
          until.set(key, untilMs);
        } else if (!isNew) expect(redemption).toBe('used');
        expect(tickets.size).toBeLessThanOrEqual(4);
      }
    });
    await fc.assert(property, { numRuns: 200 });
  });
});
