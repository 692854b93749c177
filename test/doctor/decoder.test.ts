import zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { canDecode, createDecoder } from '../../src/doctor/decoder.ts';
import { ZstdFrames } from '../../src/doctor/zstd-frames.ts';
import { gzip } from '../../src/protocol/gzip.ts';
import { zstd } from '../../src/protocol/zstd.ts';
import { poll } from '../support/poll.ts';

/** Events that are stored, and events that are compressed. */
const EVENTS = [
  'data: 1\n\n',
  `data: ${'again and again '.repeat(100)}\n\n`,
  ':\n\n',
  `data: ${'ä'.repeat(70_000)}\n\n`,
];

/** Gives each piece to the decoder when what the piece before stands for was read. */
async function followed(
  contentEncoding: string,
  pieces: readonly (readonly [bytes: Uint8Array, text: string])[],
) {
  const decoder = createDecoder(contentEncoding);
  if (decoder === undefined) throw new TypeError(`no decoder of ${contentEncoding}`);
  const read: Buffer[] = [];
  let failure: Error | undefined;
  decoder
    .on('data', (bytes: Buffer) => read.push(bytes))
    .on('error', (error) => {
      failure = error;
    });
  let expected = '';
  for (const [bytes, text] of pieces) {
    decoder.write(bytes);
    expected += text;
    await poll(`${text.slice(0, 20)} in ${contentEncoding}`, () => {
      if (failure !== undefined) throw failure;
      return Buffer.concat(read).toString() === expected;
    });
  }
}

describe('a decoder hands on each event as it comes', () => {
  it.each(['identity', '', ' Identity '])('%j', (coding) =>
    followed(
      coding,
      EVENTS.map((text) => [Buffer.from(text), text]),
    ),
  );

  it.each([gzip, ...(zstd === undefined ? [] : [zstd])])(
    'as the bridge compresses: $name',
    async (coding) => {
      const pieces = EVENTS.map((text) => [coding.encode(Buffer.from(text)).bytes, text] as const);
      const head = coding.preamble === undefined ? [] : [[coding.preamble, ''] as const];
      await followed(coding.name, [...head, ...pieces]);
    },
  );

  it.each([
    ['gzip', () => zlib.createGzip()],
    ['deflate', () => zlib.createDeflate()],
    ['br', () => zlib.createBrotliCompress()],
  ] as const)('as a proxy does, one stream that is flushed: %s', async (name, create) => {
    const encoder = create();
    const pieces: [Uint8Array, string][] = [];
    for (const text of EVENTS) {
      const bytes: Buffer[] = [];
      const keep = (more: Buffer) => bytes.push(more);
      encoder.on('data', keep);
      encoder.write(text);
      await new Promise<void>((resolve) => encoder.flush(() => resolve()));
      encoder.off('data', keep);
      pieces.push([Buffer.concat(bytes), text]);
    }
    await followed(name, pieces);
  });

  it('but of no coding that is not known', () => {
    expect(createDecoder('magic')).toBeUndefined();
    expect(createDecoder('gzip, gzip')).toBeUndefined();
    expect(canDecode('gzip')).toBe(true);
  });
});

describe('the frames of a zstd stream', () => {
  const frame = (descriptor: number, head: number[], blocks: number[][], tail: number[] = []) =>
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor, ...head, ...blocks.flat(), ...tail]);
  /** RFC 8878 3.1.1.2: raw (0) or a run (1) of so many bytes. */
  const block = (size: number, { type = 0, isLast = false } = {}) => [
    ...[(size << 3) | (type << 1) | Number(isLast), size >> 5, 0].map((byte) => byte & 255),
    ...new Array<number>(type === 1 ? 1 : size).fill(7),
  ];
  const FRAMES = [
    frame(0x20, [5], [block(5, { isLast: true })]),
    frame(0x04, [0x58], [block(3), block(200, { type: 1 }), block(0, { isLast: true })], [1, 2, 3, 4]),
    frame(0xc3, [0x58, ...new Array<number>(12).fill(0)], [block(9, { isLast: true })]),
    Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]),
    frame(0x60, [0, 0], [block(0, { isLast: true })]),
  ];

  it.each([1, 2, 7, 1000])('are found however it is cut: every %d bytes', (size) => {
    const frames = new ZstdFrames();
    const bytes = Buffer.concat(FRAMES);
    const found: Buffer[] = [];
    let open = Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += size)
      for (const part of frames.cut(bytes.subarray(at, at + size))) {
        open = Buffer.concat([open, part.bytes]);
        if (!part.endsFrame) continue;
        found.push(open);
        open = Buffer.alloc(0);
      }
    expect(found).toEqual(FRAMES);
    expect(open.length).toBe(0);
  });

  it('are not taken for such where they are none', () => {
    expect(() => [...new ZstdFrames().cut(Buffer.from('data: no\n'))]).toThrow(TypeError);
    const reserved = frame(0x20, [5], [[7, 0, 0]]);
    expect(() => [...new ZstdFrames().cut(reserved)]).toThrow(TypeError);
  });
});
