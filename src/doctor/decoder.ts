import { type Duplex, PassThrough, Transform } from 'node:stream';
import zlib from 'node:zlib';
import { ZstdFrames } from './zstd-frames.ts';

/** The content codings that browsers ask for, but `deflate`, which nobody serves any more. */
export const CODINGS = ['gzip', 'br', 'zstd'] as const;

export type Coding = (typeof CODINGS)[number];

/** Node has it from 22.15 and 23.8 on; the type declarations are those of Node 20. */
const { createZstdDecompress } = zlib as { readonly createZstdDecompress?: () => Transform };

/** Whether this Node decodes it. */
export function canDecode(coding: Coding): boolean {
  return coding !== 'zstd' || createZstdDecompress !== undefined;
}

/**
 * Decodes a response as it comes: what can be read of it is handed on at once. `undefined`: no coding that is known here. It
 * emits `error` where the bytes are not what was said.
 */
export function createDecoder(contentEncoding: string): Duplex | undefined {
  const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;
  switch (contentEncoding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return new PassThrough();
    case 'gzip':
    case 'x-gzip':
      // A stream that is cut off ends in the middle of a block, which is no fault of the coding.
      return zlib.createGunzip({ flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH });
    case 'deflate':
      return zlib.createInflate({ flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH });
    case 'br':
      return zlib.createBrotliDecompress({
        flush: BROTLI_OPERATION_FLUSH,
        finishFlush: BROTLI_OPERATION_FLUSH,
      });
    case 'zstd':
      return createZstdDecompress === undefined ? undefined : new ZstdDecoder(createZstdDecompress);
    default:
      return undefined;
  }
}

/** Frames in a row, each by a decoder of its own. */
class ZstdDecoder extends Transform {
  readonly #create: () => Transform;
  readonly #frames = new ZstdFrames();
  #decoder: Transform | undefined;

  constructor(create: () => Transform) {
    super();
    this.#create = create;
  }

  override _transform(bytes: Buffer, _: BufferEncoding, done: (error?: Error) => void): void {
    this.#decode(bytes).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#decoder?.destroy();
    done(error);
  }

  async #decode(bytes: Buffer): Promise<void> {
    for (const part of this.#frames.cut(bytes)) {
      this.#decoder ??= this.#begin();
      await write(this.#decoder, part.bytes);
      if (!part.endsFrame) continue;
      await end(this.#decoder);
      this.#decoder = undefined;
    }
  }

  #begin(): Transform {
    const decoder = this.#create();
    decoder.on('data', (bytes: Buffer) => this.push(bytes));
    // Told to whoever writes, below.
    decoder.on('error', () => undefined);
    return decoder;
  }
}

function write(decoder: Transform, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    decoder.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function end(decoder: Transform): Promise<void> {
  return new Promise((resolve, reject) => {
    decoder.once('end', resolve).once('error', reject).end();
  });
}
