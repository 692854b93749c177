import { describe, expect, it } from 'vitest';
import type { Publication } from '../../src/hub/source.ts';
import { setUpShaper } from './shaping.ts';

const MIB = 1024 * 1024;

describe('a throttled channel', () => {
  it('passes the first at once, and then the latest of each key at the end of each window', () => {
    const { push, pass, data, shaper, metrics } = setUpShaper({ throttleMs: 1000 });
    push('a');
    expect(data()).toEqual(['a1']);
    push('b');
    push('a');
    push('a');
    pass(900);
    expect([data(), shaper.heldAt]).toEqual([['a1'], 2]);
    pass(100);
    expect([data(), shaper.heldAt]).toEqual([['a1', 'b2', 'a4'], Infinity]);
    push('a');
    expect(data()).toHaveLength(3);
    pass(1000);
    expect(data()).toEqual(['a1', 'b2', 'a4', 'a5']);
    expect([metrics.shaped, metrics.publications]).toEqual([{ throttled: 1, 'rate-limited': 0 }, 5]);
  });

  it('ends its window on time, whatever came in the middle of it', () => {
    const { push, pass, passed } = setUpShaper({ throttleMs: 1000 });
    push('a');
    pass(700);
    push('a');
    pass(1000);
    expect(passed.map(({ atMs }) => atMs)).toEqual([0, 1000]);
  });

  it('passes at once again what comes after a quiet window', () => {
    const { push, pass, data } = setUpShaper({ throttleMs: 1000 });
    push('a');
    pass(1000);
    push('a');
    expect(data()).toEqual(['a1', 'a2']);
  });

  it('takes events without a key for those of one key', () => {
    const { push, pass, data } = setUpShaper({ throttleMs: 1000 });
    push(undefined);
    push(undefined);
    push(undefined);
    pass(1000);
    expect(data()).toEqual(['1', '3']);
  });

  it('begins another window where it had to let go before its time', () => {
    const { push, pass, data, shaper } = setUpShaper({ throttleMs: 1000 });
    push('a');
    push('a');
    pass(500);
    shaper.release();
    push('a');
    pass(900);
    expect(data()).toEqual(['a1', 'a2']);
    pass(100);
    expect(data()).toEqual(['a1', 'a2', 'a3']);
  });

  it('keeps what it holds from whoever writes into the buffer afterwards', () => {
    const { push, pass, data } = setUpShaper({ throttleMs: 1000 });
    const buffer = Buffer.from('first');
    push('a');
    push('a', { data: buffer });
    buffer.fill('x');
    pass(1000);
    expect(data()).toEqual(['a1', 'first']);
  });

  it.each([
    ['1,000 keys', 1000, {}],
    ['1 MiB', 4, { data: Buffer.alloc(MIB / 4) }],
  ] satisfies [string, number, Partial<Publication>][])(
    'lets go early of more than %s, so that memory is bounded',
    (_, count, fields) => {
      const { push, passed, shaper } = setUpShaper({ throttleMs: 3_600_000 });
      push('first');
      for (let i = 1; i < count; i += 1) push(`k${i}`, fields);
      expect(passed).toHaveLength(1);
      push('last', fields);
      expect([passed.length, shaper.heldAt]).toEqual([count + 1, Infinity]);
    },
  );
});

describe('a channel with a rate limit', () => {
  const rateLimit = { ratePerSecond: 10, burst: 3 };

  it('passes a burst, then as many as the rate gives, and drops and counts the others', () => {
    const { push, pass, data, metrics } = setUpShaper({ rateLimit: { ...rateLimit, over: 'drop' } });
    for (let i = 0; i < 5; i += 1) push('a');
    expect(data()).toEqual(['a1', 'a2', 'a3']);
    pass(100);
    push('a');
    push('a');
    expect(data()).toEqual(['a1', 'a2', 'a3', 'a6']);
    pass(60_000);
    for (let i = 0; i < 5; i += 1) push('a');
    expect(data().slice(4)).toEqual(['a8', 'a9', 'a10']);
    expect([metrics.shaped['rate-limited'], metrics.publications]).toEqual([5, 12]);
  });

  it('holds the latest of each key until the rate lets it pass, the one that has waited longest first', () => {
    const { push, pass, data, shaper } = setUpShaper({ rateLimit: { ...rateLimit, over: 'latest' } });
    for (const key of ['a', 'a', 'a', 'a', 'b', 'a']) push(key);
    expect([data(), shaper.heldAt]).toEqual([['a1', 'a2', 'a3'], 5]);
    pass(100);
    expect([data().slice(3), shaper.heldAt]).toEqual([['b5'], 6]);
    push('b');
    pass(200);
    expect([data().slice(4), shaper.heldAt]).toEqual([['a6', 'b7'], Infinity]);
  });

  it('keeps up with a rate of more than one a tick, whatever the burst', () => {
    const rateLimit = { ratePerSecond: 100, burst: 1, over: 'latest' } as const;
    const { push, pass, passed } = setUpShaper({ rateLimit });
    for (let i = 0; i < 200; i += 1) push(`k${i}`);
    pass(1000);
    expect(passed).toHaveLength(101);
  });

  it('drops and counts the oldest of more than 1,000 keys that wait', () => {
    const { push, pass, data, metrics } = setUpShaper({ rateLimit: { ...rateLimit, over: 'latest' } });
    for (let i = 1; i <= 1003; i += 1) push(`k${i}-`);
    expect(metrics.shaped['rate-limited']).toBe(1);
    pass(100);
    expect(data().at(-1)).toBe('k5-5');
  });

  it('does not lose a single event for being large', () => {
    const { push, pass, passed } = setUpShaper({ rateLimit: { ratePerSecond: 1, burst: 1, over: 'latest' } });
    push('a');
    push('a', { data: Buffer.alloc(2 * MIB) });
    pass(1000);
    expect(passed).toHaveLength(2);
  });
});

describe('a channel that gathers', () => {
  it('passes on what came within the window together, each at its own offset', () => {
    const { push, pass, passed, shaper } = setUpShaper({ batch: { windowMs: 500, as: 'events' } });
    push('a');
    pass(400);
    push('a');
    expect([passed, shaper.heldAt]).toEqual([[], 1]);
    pass(100);
    expect(passed.map(({ offset, atMs }) => [offset, atMs])).toEqual([
      [1, 500],
      [2, 500],
    ]);
    pass(5000);
    push('a');
    expect([passed.length, shaper.heldAt]).toEqual([2, 3]);
  });

  it('passes it on as one array at the offset of the last: what is JSON as it is, the rest as strings', () => {
    const { push, pass, passed, metrics } = setUpShaper({ batch: { windowMs: 500, as: 'array' } });
    push('a', { event: 'price', data: '{"big": 12345678901234567890}' });
    push('a', { data: Buffer.from('plain "text"\n') });
    push('a', { data: '' });
    pass(500);
    expect(passed).toEqual([
      {
        atMs: 500,
        offset: 3,
        publication: {
          event: 'batch',
          data: '[{"event":"price","data":{"big": 12345678901234567890}},{"event":"message","data":"plain \\"text\\"\\n"},{"event":"message","data":""}]',
        },
      },
    ]);
    expect(metrics.publications).toBe(3);
  });

  it('waits a whole window again after it had to let go before its time', () => {
    const { push, pass, data, shaper } = setUpShaper({ batch: { windowMs: 500, as: 'events' } });
    push('a');
    pass(300);
    shaper.release();
    push('a');
    pass(400);
    expect(data()).toEqual(['a1']);
    pass(100);
    expect(data()).toEqual(['a1', 'a2']);
  });

  it('is as urgent as the most urgent of them, and worth replaying as long as any of them', () => {
    const { push, pass, passed } = setUpShaper({ batch: { windowMs: 500, as: 'array' } });
    push('a', { timeMs: 1000, ttlMs: 800, priority: 1 });
    push('a', { timeMs: 1200, ttlMs: 300 });
    pass(500);
    push('a', { timeMs: 1000, ttlMs: 800, priority: 2 });
    push('a', { timeMs: 1200 });
    pass(500);
    const [ended, lasting] = passed.map(({ publication }) => publication);
    expect(ended).toMatchObject({ timeMs: 1200, ttlMs: 600, priority: 1 });
    expect(lasting).toMatchObject({ timeMs: 1200, priority: 2 });
    expect(lasting).not.toHaveProperty('ttlMs');
  });

  it('of the priorities in it takes the highest, in whatever order they come', () => {
    const { push, pass, passed } = setUpShaper({ batch: { windowMs: 500, as: 'array' } });
    for (const priorities of [
      [1, 2],
      [2, 1],
      [2, 0, 1],
      [0, 1],
    ] as const) {
      for (const priority of priorities) push('a', { priority });
      pass(500);
    }
    expect(passed.map(({ publication }) => publication.priority)).toEqual([2, 2, 2, 1]);
  });

  it('counts bytes anew for each batch', () => {
    const { push, pass, passed } = setUpShaper({ batch: { windowMs: 500, as: 'events' } });
    for (let batch = 1; batch <= 4; batch += 1) {
      push('a', { data: Buffer.alloc(MIB / 2 - 1) });
      push('a', { data: Buffer.alloc(MIB / 4) });
      expect(passed, 'less than 1 MiB waits').toHaveLength(2 * (batch - 1));
      pass(500);
    }
  });

  it.each([
    ['1,000 events', 1000, {}],
    ['1 MiB', 4, { data: Buffer.alloc(MIB / 4) }],
  ] satisfies [string, number, Partial<Publication>][])(
    'does not wait for more than %s',
    (_, count, fields) => {
      const { push, passed } = setUpShaper({ batch: { windowMs: 60_000, as: 'events' } });
      for (let i = 1; i < count; i += 1) push('a', fields);
      expect(passed).toEqual([]);
      push('a', fields);
      expect(passed).toHaveLength(count);
    },
  );
});
