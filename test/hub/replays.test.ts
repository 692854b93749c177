import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Replays } from '../../src/hub/replays.ts';
import type { Frame } from '../../src/protocol/frame.ts';

const KIB = 1024;
const log = { epoch: 'e' };

/** Frames of so many bytes each, told apart by what they are filled with. */
function framesOf(sizes: readonly number[], step = 1): Frame[] {
  return sizes.map((size, i) => ({
    sequence: 1 + i * step,
    bytes: Buffer.alloc(size, 1 + (i % 255)),
    idLength: 0,
    log,
    offset: 1 + i,
    isNotice: false,
    priority: 0,
    lane: undefined,
    key: undefined,
  }));
}

const bytesOf = (frames: readonly Frame[]) => Buffer.concat(frames.map(({ bytes }) => bytes));
const sum = (chunks: Iterable<Uint8Array>) => [...chunks].reduce((size, { length }) => size + length, 0);

describe('what is replayed', () => {
  it('is exactly the frames, in parts of 64 KiB at most, whatever was replayed before', () => {
    const size = fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 1, max: 2000 }) },
      { weight: 1, arbitrary: fc.constantFrom(16 * KIB - 1, 16 * KIB, 64 * KIB, 200 * KIB) },
    );
    const range = fc.record({ from: fc.nat(200), length: fc.nat(200), ages: fc.boolean() });
    fc.assert(
      fc.property(fc.array(size, { maxLength: 200 }), fc.array(range), (sizes, ranges) => {
        const frames = framesOf(sizes);
        const replays = new Replays();
        for (const { from, length, ages } of ranges) {
          if (ages) replays.age();
          // Some have ended meanwhile.
          const part = frames.slice(from, from + length).filter(({ offset }) => offset % (from + 2) !== 0);
          const chunks = replays.parts(part);
          expect(Buffer.concat(chunks).equals(bytesOf(part))).toBe(true);
          for (const chunk of chunks) {
            expect(chunk.length).toBeGreaterThan(0);
            // Larger ones stand alone.
            if (chunk.length > 64 * KIB) expect(frames.some(({ bytes }) => bytes === chunk)).toBe(true);
          }
        }
      }),
    );
  });

  it.each([1, 2, 64, 1000, 1 << 16])(
    'is the very same few chunks for who comes back from the same position: every %ith frame',
    (step) => {
      const replays = new Replays();
      const frames = framesOf(Array(1000).fill(150), step);
      const chunks = replays.parts(frames);
      expect(chunks.length).toBeLessThan(16);
      for (const [i, chunk] of replays.parts([...frames]).entries()) expect(chunk).toBe(chunks[i]);
    },
  );

  it('is shared but for its ends by a thousand who each come from elsewhere while it grows', () => {
    const replays = new Replays();
    const frames = framesOf(Array(3000).fill(150));
    const held = new Set<Uint8Array>();
    let sent = 0;
    for (let i = 0; i < 1000; i += 1) {
      const chunks = replays.parts(frames.slice(i, 2000 + i));
      sent += sum(chunks);
      for (const chunk of chunks) held.add(chunk);
    }
    expect(sum(held)).toBeLessThan(sent / 5);
  });

  it('is not what another was sent between the same two frames', () => {
    const replays = new Replays();
    const frames = framesOf([10, 10, 10, 10]);
    for (const gone of [1, 2]) {
      const part = frames.filter((_, i) => i !== gone);
      expect(Buffer.concat(replays.parts(part)).equals(bytesOf(part))).toBe(true);
    }
  });

  it('is not copied where a frame is large', () => {
    const frames = framesOf([20 * KIB, 100, 200 * KIB]);
    const own = new Set<ArrayBufferLike>(frames.map(({ bytes }) => bytes.buffer));
    for (const chunk of new Replays().parts(frames)) expect(own.has(chunk.buffer)).toBe(true);
  });

  it('is let go of when nobody has come for it since it was looked through twice', () => {
    const replays = new Replays();
    const frames = framesOf([100, 100]);
    const [first] = replays.parts(frames);
    replays.age();
    expect(replays.parts(frames)[0]).toBe(first);
    replays.age();
    replays.age();
    expect(replays.parts(frames)[0]).not.toBe(first);
  });

  it('of many channels is kept within bounds', () => {
    const replays = new Replays();
    const channels = Array.from({ length: 1000 }, () => framesOf(Array(100).fill(300)));
    const first = channels.map((frames) => replays.parts(frames)[0]);
    const again = channels.map((frames) => replays.parts(frames)[0]);
    const kept = again.filter((chunk, i) => chunk === first[i]).length * 30_000;
    expect(kept).toBeLessThan(9 * KIB * KIB);
  });
});
