import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Batch, type Frame, makeBatch, mergeBatches } from '../../src/protocol/frame.ts';

const KIB = 1024;

/** Frames of a few bytes and of many, each filled with its own number so that a swap shows. */
const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(20 * KIB, 63 * KIB, 64 * KIB, 70 * KIB)),
  {
    minLength: 1,
    maxLength: 12,
  },
);

function framesOf(sizes: readonly number[]): Frame[] {
  return sizes.map((size, index) => ({ sequence: index + 1, bytes: Buffer.alloc(size, index + 1) }));
}

const written = (batch: Batch) => Buffer.concat(batch.chunks);
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
    expect(makeBatch(small).chunks).toHaveLength(1);
    const [large] = framesOf([200 * KIB]);
    const { chunks } = makeBatch(large === undefined ? [] : [large]);
    expect(chunks).toHaveLength(4);
    for (const chunk of chunks) expect(chunk.buffer).toBe(large?.bytes.buffer);
  });

  it('makes no chunk over 64 KiB, however large a frame is', () => {
    fc.assert(
      fc.property(sizes, (sizes) => {
        const frames = framesOf(sizes);
        for (const chunk of makeBatch(frames).chunks) {
          expect(chunk.length).toBeLessThanOrEqual(64 * KIB);
        }
      }),
    );
  });

  it('never makes an empty chunk, which would end the response', () => {
    fc.assert(
      fc.property(sizes, (sizes) => {
        for (const chunk of makeBatch(framesOf(sizes)).chunks) expect(chunk.length).toBeGreaterThan(0);
      }),
    );
    expect(makeBatch([]).chunks).toEqual([]);
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
