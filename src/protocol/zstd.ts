import zlib from 'node:zlib';
import { type Block, BlockMemory, type Coding, firstChunkBytes } from './coding.ts';

type Compress = (
  bytes: Uint8Array,
  options: { readonly chunkSize: number; readonly params: Readonly<Record<number, number>> },
) => Uint8Array;

/** Node has it from 22.15 and 23.8 on; the type declarations are those of Node 20. */
const { zstdCompressSync } = zlib as { readonly zstdCompressSync?: Compress };

/** `ZSTD_c_compressionLevel` of zstd.h. Higher levels take longer and made JSON no smaller: docs/compression.md. */
const PARAMS = { 100: 1 };

/** Below it, a length is one byte; and zstd saves some 40 bytes at best, for 14 µs. */
const RAW_BELOW = 256;
/** RFC 8878 3.1.1: the magic number; a descriptor for one segment whose length is one byte. */
const RAW_FRAME = [0x28, 0xb5, 0x2f, 0xfd, 0x20];
const RAW_HEAD_BYTES = RAW_FRAME.length + 4;

const memory = new BlockMemory();

/** zstd as a frame of its own for each block (RFC 8878 3: frames in a row decode to what is in them, in a row); where Node has it. */
export const zstd: Coding | undefined =
  zstdCompressSync === undefined
    ? undefined
    : {
        name: 'zstd',
        preamble: undefined,
        encode: (bytes) => encodeZstd(bytes, zstdCompressSync),
        ending: () => undefined,
      };

function encodeZstd(bytes: Uint8Array, compress: Compress): Block {
  const { length } = bytes;
  const frame =
    length < RAW_BELOW
      ? rawFrame(bytes)
      : memory.copy(compress(bytes, { chunkSize: firstChunkBytes(length), params: PARAMS }));
  return { bytes: frame, crc: 0, length, shift: 0 };
}

// RFC 8878 3.1.1.2: a block's header holds its length above three bits that say "raw" and "the last".
function rawFrame(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const frame = memory.take(RAW_HEAD_BYTES + length);
  frame.set(RAW_FRAME);
  frame[RAW_FRAME.length] = length;
  frame.writeUIntLE((length << 3) | 1, RAW_FRAME.length + 1, 3);
  frame.set(bytes, RAW_HEAD_BYTES);
  return frame;
}
