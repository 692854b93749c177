import { expect, it } from 'vitest';
import { BlockMemory, type Coding, firstChunkBytes } from '../../src/protocol/coding.ts';
import { gzip } from '../../src/protocol/gzip.ts';
import { encodeEvent } from '../../src/protocol/sse.ts';
import { zstd } from '../../src/protocol/zstd.ts';

const codings: readonly Coding[] = zstd === undefined ? [gzip] : [gzip, zstd];
const noise = (length: number) =>
  Buffer.from(Array.from({ length }, (_, n) => Math.imul(n + 1, 0x9e3779b1) >>> 24));

it.each(codings)(
  'blocks of $name do not lie where events lie, nor in more memory than they need',
  ({ encode }) => {
    const events: Uint8Array[] = [];
    const blocks: Uint8Array[] = [];
    for (let n = 0; n < 400; n += 1) {
      // As what is kept is made: with Node's pool, where it is small.
      const data = n % 2 === 0 ? noise(10 * (n % 80)) : Buffer.alloc(30 * (n % 80), 'again ');
      events.push(encodeEvent({ data }));
      blocks.push(encode(events.at(-1) ?? data).bytes);
    }
    const memory = new Set(blocks.map(({ buffer }) => buffer));
    expect(events.filter(({ buffer }) => memory.has(buffer))).toEqual([]);
    const size = (all: Iterable<{ readonly byteLength: number }>) =>
      [...all].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(size(memory)).toBeLessThan(1.2 * size(blocks) + 8192);
  },
);

it('what was taken is nobody else’s', () => {
  const memory = new BlockMemory();
  const lengths = [1, 2048, 5000, 6000, 191, 2049, 100_000, 0, 7, 2048, 2048, 2048, 2048];
  const taken = lengths.map((length, i) => memory.take(length).fill(i));
  for (const [i, bytes] of taken.entries()) {
    expect(bytes).toHaveLength(lengths[i] ?? 0);
    expect(bytes.every((byte) => byte === i)).toBe(true);
  }
});

it('zlib is given memory apart from Node’s pool', () => {
  for (const length of [200, 1000, 100_000])
    expect(Buffer.allocUnsafe(firstChunkBytes(length)).byteOffset).toBe(0);
  expect(Buffer.allocUnsafe(firstChunkBytes(200)).buffer.byteLength).toBeLessThan(Buffer.poolSize);
});
