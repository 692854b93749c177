import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import type { Block, Coding } from '../../src/protocol/coding.ts';
import { gzip } from '../../src/protocol/gzip.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { encodeEvent } from '../../src/protocol/sse.ts';

const MIB = 1024 * 1024;
/** What a rendering may keep of events that are there longer. */
const KEPT_BYTES = 8 * MIB;

/** Says how often it was asked; its blocks are of the size given, and all there once. */
class CountingCoding implements Coding {
  readonly name = 'gzip';
  readonly preamble = undefined;
  calls = 0;
  readonly #bytes: Uint8Array;

  constructor(blockBytes = 10) {
    this.#bytes = Buffer.alloc(blockBytes);
  }

  encode({ length }: Uint8Array): Block {
    this.calls += 1;
    return { bytes: this.#bytes, crc: 0, length, shift: 0 };
  }

  ending(): undefined {
    return undefined;
  }
}

const events = (count: number) => Array.from({ length: count }, (_, n) => encodeEvent({ data: `${n}` }));

it.each(['sse', 'ndjson'] as const)('an event is encoded once, for however many: %s', (format) => {
  const coding = new CountingCoding();
  const rendering = new Rendering(format, coding);
  const [one = new Uint8Array(), other = new Uint8Array()] = events(2);
  const block = rendering.of(one);
  rendering.of(other);
  for (let i = 0; i < 100; i += 1) expect(rendering.of(one)).toBe(block);
  expect(coding.calls).toBe(2);
});

it('what is in use stays, however much comes between', () => {
  const coding = new CountingCoding(MIB);
  const rendering = new Rendering('sse', coding);
  const [used = new Uint8Array(), ...others] = events(100);
  const block = rendering.of(used);
  for (const other of others) {
    rendering.of(other);
    expect(rendering.of(used)).toBe(block);
  }
  expect(coding.calls).toBe(100);
});

it('of events that history keeps, no more than a few megabytes of blocks are kept beside it', () => {
  const coding = new CountingCoding(MIB);
  const rendering = new Rendering('sse', coding);
  const kept = events(100);
  for (const event of kept) rendering.of(event);
  for (const event of kept.slice(0, -KEPT_BYTES / MIB - 2)) rendering.of(event);
  expect(coding.calls).toBe(100 + 100 - KEPT_BYTES / MIB - 2);
});

it('many small blocks are not taken for nothing: each is counted with what its objects take', () => {
  const coding = new CountingCoding(1);
  const rendering = new Rendering('sse', coding);
  const kept = events(100_000);
  for (const event of kept) rendering.of(event);
  rendering.of(kept[0] ?? new Uint8Array());
  expect(coding.calls).toBe(100_001);
});

it('a whole response is one that any decoder takes, and what is shared of it is made once', () => {
  const [head, tail] = [Buffer.from('{"own":1,'), Buffer.from('"x":2}')];
  const shared = { bytes: encodeEvent({ data: 'again and again, '.repeat(100) }) };
  const one = new Rendering('sse', gzip).whole({ head, shared, tail });
  const encoded = Buffer.concat([one.head, one.shared?.bytes ?? head, one.tail]);
  expect(gunzipSync(encoded)).toEqual(Buffer.concat([head, shared.bytes, tail]));
  expect(encoded.length).toBeLessThan(shared.bytes.length);
  const coding = new CountingCoding();
  const rendering = new Rendering('sse', coding);
  const made = [1, 2].map(() => rendering.whole({ head, shared, tail }).shared);
  // Once for both, and what is their own.
  expect([coding.calls, made[0] === made[1]]).toEqual([1 + 2 * 2, true]);
  const plain = new Rendering('ndjson', undefined).whole({ head, shared, tail });
  expect(plain.shared).toBe(shared);
});

it('a whole response of which nothing is shared is one all the same', () => {
  const [head, tail] = [Buffer.from('{"own":1,'), Buffer.from('"x":2}')];
  const { shared, ...own } = new Rendering('sse', gzip).whole({ head, shared: undefined, tail });
  expect(shared).toBeUndefined();
  expect(gunzipSync(Buffer.concat([own.head, own.tail])).toString()).toBe('{"own":1,"x":2}');
});
