import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Batch, makeBatch, mergeBatches, recastParts, withoutIds } from '../../src/protocol/batch.ts';
import {
  bareBytes,
  type Frame,
  isOneOf,
  oneIdEach,
  withOtherId,
  withoutId,
} from '../../src/protocol/frame.ts';

const KIB = 1024;
const PLAIN = { priority: 0, lane: undefined, key: undefined } as const;

/** Frames of a few bytes and of many, each filled with its own number so that a swap shows. */
const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(20 * KIB, 63 * KIB, 64 * KIB, 70 * KIB)),
  {
    minLength: 1,
    maxLength: 12,
  },
);

function framesOf(sizes: readonly number[]): Frame[] {
  const log = { epoch: 'e' };
  return sizes.map((size, index) => {
    const bytes = Buffer.alloc(size, index + 1);
    return { sequence: index + 1, bytes, idLength: 0, log, offset: index + 1, isNotice: false, ...PLAIN };
  });
}

const written = (batch: Batch) => Buffer.concat(batch.parts);
const bytesOf = (frames: readonly Frame[]) => Buffer.concat(frames.map(({ bytes }) => bytes));

describe('a batch', () => {
  it('holds the bytes of its frames, all of them, in order', () => {
    fc.assert(
      fc.property(sizes, (sizes) => {
        const frames = framesOf(sizes);
        const batch = makeBatch(frames);
        expect(batch.frames).toEqual(frames);
        expect(written(batch).equals(bytesOf(frames))).toBe(true);
      }),
    );
  });

  it('joins small frames into one write and copies none that stands alone', () => {
    const small = framesOf([10, 20, 30]);
    expect(makeBatch(small).parts).toHaveLength(1);
    const [large] = framesOf([200 * KIB]);
    const { parts } = makeBatch(large === undefined ? [] : [large]);
    expect(parts).toEqual([large?.bytes]);
    expect(parts[0]).toBe(large?.bytes);
  });

  it('joins up to 64 KiB, in whole frames, and says for each part which those are', () => {
    fc.assert(
      fc.property(sizes, (sizes) => {
        const frames = framesOf(sizes);
        const { parts, ends } = makeBatch(frames);
        expect(ends.at(-1)).toBe(frames.length);
        for (const [i, part] of parts.entries()) {
          const those = frames.slice(ends[i - 1] ?? 0, ends[i]);
          expect(Buffer.from(part).equals(bytesOf(those))).toBe(true);
          expect(those.length === 1 || part.length <= 64 * KIB).toBe(true);
        }
      }),
    );
  });

  it('never makes an empty part, which would end the response', () => {
    fc.assert(
      fc.property(sizes, (sizes) => {
        for (const part of makeBatch(framesOf(sizes)).parts) expect(part.length).toBeGreaterThan(0);
      }),
    );
    expect(makeBatch([]).parts).toEqual([]);
  });
});

describe('batches of several channels, merged', () => {
  const owners = fc.array(fc.nat({ max: 3 }), { minLength: 12, maxLength: 12 });

  it('are in the order of arrival, with no byte lost or doubled', () => {
    fc.assert(
      fc.property(sizes, owners, (sizes, owners) => {
        const frames = framesOf(sizes);
        const batches = [0, 1, 2, 3].map((owner) =>
          makeBatch(frames.filter((_, index) => owners[index] === owner)),
        );
        const merged = mergeBatches(batches);
        expect(merged.frames.map(({ sequence }) => sequence)).toEqual(frames.map(({ sequence }) => sequence));
        expect(written(merged).equals(bytesOf(frames))).toBe(true);
      }),
    );
  });

  it('leave the batches they were made of as they were, for those who share them', () => {
    const [a, b, c] = framesOf([1, 2, 3]);
    if (a === undefined || b === undefined || c === undefined) throw new TypeError('three frames');
    const [odd, even] = [makeBatch([a, c]), makeBatch([b])];
    mergeBatches([odd, even]);
    expect([odd.frames, even.frames]).toEqual([[a, c], [b]]);
    expect(written(odd).equals(bytesOf([a, c]))).toBe(true);
  });
});

/** A frame with a line for its position. */
function positioned(log: Frame['log'], offset: number, sequence: number): Frame {
  const line = `id: ${log.epoch}.${offset}\n`;
  const bytes = Buffer.from(`${line}data: ${sequence}\n\n`);
  return { sequence, bytes, idLength: line.length, log, offset, isNotice: false, ...PLAIN };
}

describe('an `id:` line', () => {
  const log = { epoch: 'e' };

  it('can be exchanged and taken off, and the frame itself stays as it was', () => {
    const frame = positioned(log, 7, 1);
    const before = Buffer.from(frame.bytes);
    expect(Buffer.from(withOtherId(frame, 'e.7_f.8').bytes).toString()).toBe('id: e.7_f.8\ndata: 1\n\n');
    const bare = withoutId(frame);
    expect([Buffer.from(bare.bytes).toString(), bare.idLength]).toEqual(['data: 1\n\n', 0]);
    expect(Buffer.from(withOtherId(bare, 'e.9').bytes).toString()).toBe('id: e.9\ndata: 1\n\n');
    expect(bare.bytes.buffer).toBe(frame.bytes.buffer);
    expect(before.equals(frame.bytes)).toBe(true);
  });

  it('stands on the last frame of a position only, in the order of arrival', () => {
    const other = { epoch: 'f' };
    const frames = [
      positioned(log, 7, 1),
      positioned(log, 7, 2),
      positioned(other, 7, 3),
      positioned(log, 8, 4),
    ];
    const text = 'data: 1\n\nid: e.7\ndata: 2\n\nid: f.7\ndata: 3\n\nid: e.8\ndata: 4\n\n';
    expect(bytesOf(oneIdEach(frames)).toString()).toBe(text);
    const merged = mergeBatches([0, 1, 2, 3].reverse().map((i) => makeBatch(frames.slice(i, i + 1))));
    expect(written(merged).toString()).toBe(text);
  });

  it('costs nothing where each position has one frame', () => {
    const frames = [positioned(log, 7, 1), positioned(log, 8, 2)];
    expect(oneIdEach(frames)).toBe(frames);
    expect(frames.map((frame, i) => isOneOf(frame, frames[i + 1]))).toEqual([false, false]);
  });
});

describe('a replay whose `id:` lines are exchanged', () => {
  const log = { epoch: 'e' };
  const grown = (offset: number, size: number) => {
    const frame = positioned(log, offset, offset);
    return { ...frame, bytes: Buffer.concat([frame.bytes, Buffer.alloc(size, 'x')]) };
  };

  it.each([10, 900, 10_000, 100 * KIB])('has those that it is given: frames of %i B', (size) => {
    for (const sharedBytes of [0, 1024, Infinity]) {
      const frames = [1, 2, 3].map((offset) => grown(offset, size));
      const parts = recastParts(frames, ['e.1_f.5', '', 'e.3_f.5'], sharedBytes);
      const fill = 'x'.repeat(size);
      expect(Buffer.concat(parts).toString()).toBe(
        `id: e.1_f.5\ndata: 1\n\n${fill}data: 2\n\n${fill}id: e.3_f.5\ndata: 3\n\n${fill}`,
      );
    }
  });

  it('is few parts where frames are small, and the very bytes that all share where they are not', () => {
    const ids = (frames: readonly Frame[]) => frames.map(({ offset }) => `e.${offset}_f.5`);
    const small = Array.from({ length: 1000 }, (_, i) => grown(i + 1, 100));
    expect(recastParts(small, ids(small), 1024).length).toBeLessThan(12);
    const large = [1, 2, 3].map((offset) => grown(offset, 10_000));
    const [once, again] = [0, 1].map(() => recastParts(large, ids(large), 1024));
    for (const frame of large)
      for (const parts of [once, again]) expect(parts?.includes(bareBytes(frame))).toBe(true);
    expect(recastParts([], [], 1024)).toEqual([]);
  });

  it('may be shared whatever its size, but for the lines, and is whole events where it must be', () => {
    const frames = [1, 2].map((offset) => grown(offset, 10));
    const ids = ['e.1_f.5', 'e.2_f.5'];
    expect(recastParts(frames, ids, 0)).toHaveLength(4);
    for (const frame of frames) expect(recastParts(frames, ids, 0).includes(bareBytes(frame))).toBe(true);
    const large = [grown(1, 100 * KIB)];
    expect(recastParts(large, ids, Infinity)).toHaveLength(1);
  });
});

describe('a batch without cursors', () => {
  it('has the same events, and leaves the batch it was made of as it was', () => {
    const log = { epoch: 'e' };
    const batch = makeBatch([positioned(log, 7, 1), positioned(log, 8, 2)]);
    expect(written(withoutIds(batch)).toString()).toBe('data: 1\n\ndata: 2\n\n');
    expect(written(batch).toString()).toBe('id: e.7\ndata: 1\n\nid: e.8\ndata: 2\n\n');
  });
});
