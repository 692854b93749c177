import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Block, Coding } from '../../src/protocol/coding.ts';
import { findCoding } from '../../src/protocol/compression.ts';
import { gzip } from '../../src/protocol/gzip.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { HEARTBEAT } from '../../src/protocol/sse.ts';
import { zstd } from '../../src/protocol/zstd.ts';

const hasZstd = zstd !== undefined;
if (!hasZstd) console.warn(`The tests of zstd were not run: Node ${process.version} does not have it.`);

const { Z_SYNC_FLUSH } = zlib.constants;

/** A response as a client gets it. */
function responseOf({ preamble, ending }: Coding, blocks: readonly Block[]): Buffer {
  const end = ending();
  for (const block of blocks) end?.add(block);
  return Buffer.concat(
    [preamble, ...blocks.map(({ bytes }) => bytes), end?.bytes()].filter((part) => part !== undefined),
  );
}

/** Each frame by itself: Node's decoder takes the first of several and says nothing of the rest (nodejs/node#64741). */
function decodeFrames(blocks: readonly Block[]): Buffer {
  const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (bytes: Uint8Array) => Buffer };
  return Buffer.concat(blocks.map(({ bytes }) => zstdDecompressSync?.(bytes) ?? Buffer.from('no zstd')));
}

const repetitive = fc
  .tuple(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), fc.integer({ min: 1, max: 2000 }))
  .map(([text, times]) => Buffer.from(text.repeat(times)));
/** Around every length at which something changes: below it bytes are stored; a length needs another byte; it is cut. */
const edges = fc
  .tuple(fc.constantFrom(0, 1, 199, 200, 255, 256, 257, 4095, 65_535, 65_536, 131_072), fc.nat(255))
  .map(([length, byte]) => Buffer.alloc(length, byte));
const payload = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 600 }) },
  { weight: 3, arbitrary: repetitive },
  { weight: 2, arbitrary: edges },
  { weight: 1, arbitrary: fc.constant(HEARTBEAT) },
);
/** Payloads that all responses share, and in which order a response has them: some again and again, some of its own between. */
const plan = fc.tuple(
  fc.array(payload, { minLength: 1, maxLength: 6 }),
  fc.array(fc.array(fc.oneof(fc.nat(20), payload), { maxLength: 12 }), { minLength: 1, maxLength: 3 }),
);

/** What each response of a plan is made of. */
function responses(coding: Coding, [shared, orders]: typeof plan extends fc.Arbitrary<infer T> ? T : never) {
  const rendering = new Rendering('sse', coding);
  return orders.map((order) => {
    const parts = order.map((step) => (typeof step === 'number' ? shared[step % shared.length] : step));
    const texts = parts.filter((part) => part !== undefined);
    const made = texts.map((text) => (shared.includes(text) ? rendering.of(text) : coding.encode(text)));
    return { text: Buffer.concat(texts), blocks: made };
  });
}

describe('gzip of blocks', () => {
  it('in any order, shared, repeated and with a connection’s own between, is one stream that strict decoders take', () => {
    fc.assert(
      fc.property(plan, (given) => {
        for (const { text, blocks } of responses(gzip, given))
          expect(zlib.gunzipSync(responseOf(gzip, blocks)).equals(text)).toBe(true);
      }),
    );
  });

  it('gives up the whole of a block with its last byte', () => {
    fc.assert(
      fc.property(plan, (given) => {
        for (const { text, blocks } of responses(gzip, given)) {
          const unended = responseOf({ ...gzip, ending: () => undefined }, blocks);
          expect(zlib.gunzipSync(unended, { finishFlush: Z_SYNC_FLUSH }).equals(text)).toBe(true);
          // What makes a decoder hand on all it has that waits for such a place: Go's.
          for (const { bytes } of blocks) expect([...bytes.subarray(-4)]).toEqual([0, 0, 0xff, 0xff]);
        }
      }),
    );
  });

  it('that says a block was there more or less often than it was is found out', () => {
    const block = gzip.encode(Buffer.from('data: 1\n\n'));
    const end = gzip.ending();
    end?.add(block);
    const twice = [gzip.preamble, block.bytes, block.bytes, end?.bytes()].filter(
      (part) => part !== undefined,
    );
    expect(() => zlib.gunzipSync(Buffer.concat(twice))).toThrow('incorrect data check');
  });

  it('takes what cannot be made smaller, and events of any size', () => {
    const noise = Buffer.from(Array.from({ length: 100_000 }, (_, i) => Math.imul(i, 2_654_435_761) >>> 24));
    for (const text of [noise, Buffer.alloc(3 << 20, 'data: {"n":1}\n')]) {
      const block = gzip.encode(text);
      expect(block.bytes.length).toBeLessThan(text.length + 100);
      expect(zlib.gunzipSync(responseOf(gzip, [block, block])).equals(Buffer.concat([text, text]))).toBe(
        true,
      );
    }
  });

  it('counts what was sent modulo 2^32, as the format does', () => {
    const end = gzip.ending();
    for (let i = 0; i < 3; i += 1)
      end?.add({ bytes: new Uint8Array(), crc: 0, length: 0x7fffffff, shift: 0 });
    expect(Buffer.from(end?.bytes() ?? []).readUInt32LE(6)).toBe((3 * 0x7fffffff) % 2 ** 32);
  });

  it('makes a response without a block, and one of empty blocks', () => {
    for (const blocks of [[], [gzip.encode(new Uint8Array())]])
      expect(zlib.gunzipSync(responseOf(gzip, blocks))).toHaveLength(0);
  });
});

describe.skipIf(!hasZstd)('zstd of blocks', () => {
  it('in any order, shared, repeated and with a connection’s own between, is frames that hold exactly what was sent', () => {
    const coding = zstd ?? expect.fail('no zstd');
    fc.assert(
      fc.property(plan, (given) => {
        for (const { text, blocks } of responses(coding, given)) {
          expect(decodeFrames(blocks).equals(text)).toBe(true);
          expect(responseOf(coding, blocks).equals(Buffer.concat(blocks.map(({ bytes }) => bytes)))).toBe(
            true,
          );
        }
      }),
    );
  });

  it('needs no window that a browser would refuse: 8 MiB (RFC 9659)', () => {
    const block = zstd?.encode(Buffer.alloc(9 << 20, 'data: 1\n\n')) ?? expect.fail('no zstd');
    // RFC 8878 3.1.1.1: without the bit for a single segment there is a window descriptor; exponent and mantissa.
    const [descriptor = 0, window = 0] = block.bytes.subarray(4);
    expect(descriptor & 0x20).toBe(0);
    expect(2 ** (10 + (window >> 3)) * (1 + (window & 7) / 8)).toBeLessThanOrEqual(8 << 20);
  });
});

describe('a coding', () => {
  it('is found by its name where this Node has it', () => {
    expect(findCoding('gzip')).toBe(gzip);
    expect(findCoding('zstd')?.name).toBe(hasZstd ? 'zstd' : undefined);
  });
});
