import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArchiveRange } from '../../src/hub/source.ts';
import { Selection } from '../../src/sources/selection.ts';
import type { StoredMessage } from '../../src/sources/stream-reader.ts';

const range = (given: Partial<ArchiveRange>): ArchiveRange => ({
  from: { kind: 'after', offset: 0 },
  through: 1_000_000,
  limit: 1_000_000,
  maxBytes: 1_000_000,
  ...given,
});

function message(offset: number, bytes = 1, headers?: Record<string, string>): StoredMessage {
  return {
    message: {
      subject: `s.${offset % 3}`,
      data: new Uint8Array(bytes),
      ...(headers !== undefined && { headers: { get: (name: string) => headers[name] ?? '' } }),
    },
    stamp: { offset, timeMs: 0 },
  };
}

const offsets = ({ messages }: Selection) => messages.map(({ stamp }) => stamp.offset);

describe('what is selected', () => {
  it('is the newest within both limits, complete after the position that is named, and the cut is said', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 });
    fc.assert(
      fc.property(
        sizes,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        (bytes, limit, maxBytes) => {
          const selection = new Selection({
            range: range({ limit, maxBytes }),
            maxEventBytes: 9,
            after: 0,
            isBucket: false,
          });
          const shown = bytes.map((size, index) => message(index + 1, size));
          for (const one of shown) selection.show(one);
          const kept = offsets(selection);
          expect(kept).toEqual(shown.slice(bytes.length - kept.length).map(({ stamp }) => stamp.offset));
          expect(kept.length).toBeLessThanOrEqual(limit);
          expect(selection.after).toBe(bytes.length - kept.length);
          expect(selection.cut).toBe(kept.length < bytes.length ? 'too-many' : undefined);
          const total = selection.messages.reduce((sum, one) => sum + one.message.data.length, 0);
          expect(kept.length <= 1 || total <= maxBytes).toBe(true);
          const isFull = kept.length === bytes.length || kept.length === limit;
          expect(isFull || total + (bytes[bytes.length - kept.length - 1] ?? 0) > maxBytes).toBe(true);
        },
      ),
    );
  });

  it('owes no more than was asked for', () => {
    const asked = range({ from: { kind: 'last', count: 2 } });
    const selection = new Selection({ range: asked, maxEventBytes: 9, after: 0, isBucket: false });
    for (const offset of [1, 4, 9]) selection.show(message(offset));
    expect([offsets(selection), selection.after, selection.cut]).toEqual([[4, 9], 1, undefined]);
  });

  it('ends with the range', () => {
    const selection = new Selection({
      range: range({ through: 5 }),
      maxEventBytes: 9,
      after: 0,
      isBucket: false,
    });
    expect([selection.show(message(5)), selection.show(message(6))]).toEqual([true, false]);
    expect(offsets(selection)).toEqual([5]);
  });

  it('names the newest of several losses', () => {
    const selection = new Selection({
      range: range({ through: 8 }),
      maxEventBytes: 2,
      after: 0,
      isBucket: false,
    });
    selection.show(message(3, 3));
    selection.show(message(4));
    expect([selection.after, selection.cut]).toEqual([3, 'too-large']);
    selection.missing('purged', 2);
    expect([selection.after, selection.cut]).toEqual([3, 'too-large']);
    selection.missing('too-old', 99);
    expect([selection.after, selection.cut]).toEqual([8, 'too-old']);
  });

  it('of values is the newest of each subject that was not deleted', () => {
    const selection = new Selection({
      range: range({ from: { kind: 'values' } }),
      maxEventBytes: 9,
      after: 0,
      isBucket: true,
    });
    for (const offset of [1, 2, 3]) selection.show(message(offset));
    // From the leader: newer than what the replica had.
    selection.show(message(4));
    selection.show(message(5, 1, { 'KV-Operation': 'DEL' }));
    selection.show(message(6, 1, { 'Nats-Marker-Reason': 'MaxAge' }));
    expect(offsets(selection)).toEqual([4]);
    // Who returns from before a deletion must be told of it, and is not by this.
    expect(selection.after).toBe(6);
  });

  it('leaves out what the server writes when the last message of a subject ended, but for a bucket', () => {
    const marker = (offset: number) => message(offset, 0, { 'Nats-Marker-Reason': 'MaxAge' });
    for (const isBucket of [false, true]) {
      const selection = new Selection({ range: range({}), maxEventBytes: 9, after: 0, isBucket });
      for (const one of [message(1), marker(2), message(3, 0)]) selection.show(one);
      expect([offsets(selection), selection.after, selection.newest]).toEqual([
        isBucket ? [1, 2, 3] : [1, 3],
        0,
        3,
      ]);
    }
  });
});
