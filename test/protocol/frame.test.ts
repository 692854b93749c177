import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Batch,
  type Frame,
  isOneOf,
  makeBatch,
  mergeBatches,
  oneIdEach,
  recastChunks,
  withOtherId,
  withoutId,
} from '../../src/protocol/frame.ts';

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
  const log = { epoch: 'e' };
  return sizes.map((size, index) => {
    const bytes = Buffer.alloc(size, index + 1);
    return { sequence: index + 1, bytes, idLength: 0, log, offset: index + 1, isNotice: false };
  });
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

/** A frame with a line for its position. */
function positioned(log: Frame['log'], offset: number, sequence: number): Frame {
  const line = `id: ${log.epoch}.${offset}\n`;
  const bytes = Buffer.from(`${line}data: ${sequence}\n\n`);
  return { sequence, bytes, idLength: line.length, log, offset, isNotice: false };
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
    const frames = [1, 2, 3].map((offset) => grown(offset, size));
    const chunks = recastChunks(frames, ['e.1_f.5', '', 'e.3_f.5']);
    const fill = 'x'.repeat(size);
    expect(Buffer.concat(chunks).toString()).toBe(
      `id: e.1_f.5\ndata: 1\n\n${fill}data: 2\n\n${fill}id: e.3_f.5\ndata: 3\n\n${fill}`,
    );
    for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(64 * KIB);
  });

  it('is few chunks where frames are small, and the very bytes that all share where they are not', () => {
    const ids = (frames: readonly Frame[]) => frames.map(({ offset }) => `e.${offset}_f.5`);
    const small = Array.from({ length: 1000 }, (_, i) => grown(i + 1, 100));
    expect(recastChunks(small, ids(small)).length).toBeLessThan(12);
    const large = [1, 2, 3].map((offset) => grown(offset, 10_000));
    const shared = new Set<ArrayBufferLike>(large.map(({ bytes }) => bytes.buffer));
    const chunks = recastChunks(large, ids(large));
    expect(chunks.filter(({ buffer }) => shared.has(buffer))).toHaveLength(3);
    expect(recastChunks([], [])).toEqual([]);
  });
});
