import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ChannelRecord,
  decodeChannel,
  encodeChannel,
  keyOfChannel,
  standingOf,
} from '../../src/control/channels/channel-record.ts';

const time = fc.integer({ min: 0, max: 4e12 });
const record = fc.record(
  {
    channel: fc.stringMatching(/^[A-Za-z0-9_.:~-]{1,40}$/),
    createdMs: time,
    timeoutMs: fc.integer({ min: 1000, max: 366 * 86_400_000 }),
    metadata: fc.dictionary(fc.string(), fc.jsonValue()),
    activeMs: time,
    end: fc.record(
      { as: fc.constantFrom('closed' as const, 'expired' as const), atMs: time, untilMs: time },
      { requiredKeys: ['as', 'atMs'] },
    ),
  },
  { requiredKeys: ['channel'] },
) as fc.Arbitrary<ChannelRecord>;

describe('a record', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(record, (written) => {
        const bytes = Buffer.from(encodeChannel(written));
        const read = decodeChannel(keyOfChannel(written.channel), bytes);
        expect(read).toEqual(JSON.parse(encodeChannel(written)));
      }),
    );
  });

  it('that is none of ours is not read, whatever it holds', () => {
    const read = (value: unknown, channel = 'a') =>
      decodeChannel(keyOfChannel(channel), Buffer.from(JSON.stringify(value)));
    expect(read({ channel: 'a' })).toEqual({ channel: 'a' });
    expect(read({ channel: 'b' })).toBeUndefined();
    expect(read({ channel: 'a b' }, 'a b')).toBeUndefined();
    for (const value of [null, [], 1, {}, { channel: 1 }]) expect(read(value)).toBeUndefined();
    for (const field of ['createdMs', 'timeoutMs', 'activeMs'])
      for (const value of ['1', -1, null, {}, 1e15, 1e300])
        expect(read({ channel: 'a', [field]: value })).toBeUndefined();
    for (const timeoutMs of [0, 999]) expect(read({ channel: 'a', timeoutMs })).toBeUndefined();
    for (const metadata of [[], null, 'x', { a: 'x'.repeat(8192) }])
      expect(read({ channel: 'a', metadata })).toBeUndefined();
    for (const end of [
      null,
      {},
      { as: 'gone', atMs: 1 },
      { as: 'closed' },
      { as: 'closed', atMs: 1, untilMs: 'x' },
      { as: 'closed', atMs: 1e300 },
    ])
      expect(read({ channel: 'a', end })).toBeUndefined();
    expect(decodeChannel('a', Buffer.from('{'))).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeChannel('a', bytes) === undefined));
  });
});

describe('a channel', () => {
  it('stands as its record says at the time', () => {
    const made = { channel: 'a', createdMs: 1 };
    const end = { as: 'closed', atMs: 5, untilMs: 10 } as const;
    expect(standingOf(made, 20)).toBe('open');
    expect(standingOf({ ...made, end: { as: 'closed', atMs: 5 } }, 1e15)).toBe('closed');
    expect([9, 10].map((nowMs) => standingOf({ ...made, end }, nowMs))).toEqual(['closed', 'open']);
    expect([9, 10].map((nowMs) => standingOf({ channel: 'a', end }, nowMs))).toEqual(['closed', 'absent']);
    expect(standingOf({ ...made, end: { as: 'expired', atMs: 5 } }, 6)).toBe('expired');
  });
});
