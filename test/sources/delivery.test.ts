import { describe, expect, it } from 'vitest';
import { justAfter, nanosToMs, parseDelivery } from '../../src/sources/delivery.ts';

const delivery = { offset: 18, count: 3, timeNanos: '1795215946394999950', pending: 7 };

describe('what a message tells of its delivery', () => {
  it.each([
    '$JS.ACK.F.37Bvwwef.1.18.3.1795215946394999950.7',
    '$JS.ACK.hub.hash.F.37Bvwwef.1.18.3.1795215946394999950.7.random',
    '$JS.ACK._.hash.F.37Bvwwef.1.18.3.1795215946394999950.7',
  ])('is read from %s', (reply) => {
    expect(parseDelivery(reply)).toEqual(delivery);
  });

  it.each(['', '_INBOX.a.b', '$JS.ACK', '$JS.FC.F.x.y', '$JS.ACK.F.c.1.x.3.1795215946394999950.7'])(
    'is not read from %j',
    (reply) => {
      expect(parseDelivery(reply)).toBeUndefined();
    },
  );

  it('has its time rounded down, as that of a message that is read back', () => {
    expect(nanosToMs(delivery.timeNanos)).toBe(Date.parse('2026-11-20T23:05:46.394999950Z'));
  });

  it('is followed by the moment one nanosecond later, over the second too', () => {
    expect(justAfter('1795215946394999950')).toBe('2026-11-20T23:05:46.394999951Z');
    expect(justAfter('1795215946999999999')).toBe('2026-11-20T23:05:47.000000000Z');
  });
});
