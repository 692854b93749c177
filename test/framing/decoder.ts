import { createGunzip } from 'node:zlib';
import type { Way } from './form.ts';

export interface DecoderEvents {
  bytes(bytes: Buffer): void;
  /** The end of the coding was where that of the response is. */
  end(): void;
  fail(error: Error): void;
}

/** From a response's bytes to what was encoded, as far as it has come. */
export interface Decoder {
  push(bytes: Buffer): void;
  /** The response is complete. */
  end(): void;
}

export function decoderOf({ coding }: Pick<Way, 'coding'>, events: DecoderEvents): Decoder {
  return coding === 'gzip' ? new GunzipDecoder(events) : { push: events.bytes, end: events.end };
}

/** Holds the end to account too: checksum, length, and not a byte behind it, which Node's own decoder might overlook. */
class GunzipDecoder implements Decoder {
  readonly #gunzip = createGunzip();
  /** What has come while the decoder was at work: given to it at once, for a call a byte would take minutes. */
  #waiting: Buffer[] = [];
  #isWorking = false;
  #givenBytes = 0;
  #isComplete = false;

  constructor({ bytes, end, fail }: DecoderEvents) {
    this.#gunzip.on('data', bytes);
    this.#gunzip.on('error', fail);
    this.#gunzip.on('end', () => {
      const { bytesWritten } = this.#gunzip;
      if (this.#isComplete && bytesWritten === this.#givenBytes) end();
      else fail(new Error(`gzip ended ${bytesWritten} bytes into a response of more`));
    });
  }

  push(bytes: Buffer): void {
    this.#givenBytes += bytes.length;
    this.#waiting.push(bytes);
    this.#work();
  }

  end(): void {
    this.#isComplete = true;
    this.#work();
  }

  #work(): void {
    if (this.#isWorking) return;
    if (this.#waiting.length === 0) {
      if (this.#isComplete) this.#gunzip.end();
      return;
    }
    this.#isWorking = true;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#gunzip.write(bytes, () => {
      this.#isWorking = false;
      this.#work();
    });
  }
}
