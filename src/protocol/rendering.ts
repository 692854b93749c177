import type { Block, Coding, CodingName, Ending } from './coding.ts';
import { encodeNdjson } from './ndjson.ts';

export type Format = 'sse' | 'ndjson';

/** A response of which all is there, in the order in which it is sent. */
export interface Whole {
  readonly head: Uint8Array;
  /** What other responses may have as well: the same object for all of them. Nobody may write to its bytes. */
  readonly shared: { readonly bytes: Uint8Array } | undefined;
  readonly tail: Uint8Array;
}

/**
 * Blocks that are kept at once, in bytes, twice: those used since the last change and those before. Many times what waits for a
 * slow reader (`limits.pending`) or is replayed to a herd at a time.
 */
const KEPT_BYTES = 4 * 1024 * 1024;
/** What a block takes besides its bytes, about: its objects, and its place. Measured. */
const OVERHEAD_BYTES = 300;

/**
 * How responses are written that are not plain `text/event-stream`. What all connections share are the bytes of SSE events;
 * a rendering makes of them, once, what all connections that use it share. It has no state of theirs, but for what
 * {@link ending} gives each.
 *
 * A block is kept by the very object that it is made of, and goes with it: with a turn's batch, when the last slow reader
 * has it. But the bytes of a frame may be there as long as history, which does not count what is made of them. So no more
 * than some megabytes of blocks are kept; one that is asked for later is made anew.
 */
export class Rendering {
  readonly format: Format;
  readonly #coding: Coding | undefined;
  #recent = new WeakMap<Uint8Array, Block>();
  #before = new WeakMap<Uint8Array, Block>();
  /** What was put into `#recent`; some of that may have gone with its events. */
  #recentBytes = 0;

  constructor(format: Format, coding: Coding | undefined) {
    this.format = format;
    this.#coding = coding;
  }

  /** The content coding of the responses; `undefined` where they are in another format only. */
  get coding(): CodingName | undefined {
    return this.#coding?.name;
  }

  /** What a response begins with. */
  get preamble(): Uint8Array | undefined {
    return this.#coding?.preamble;
  }

  /** Whether the `id:` line of an event may be rendered by itself, so that clients with different cursors share the rest. */
  get takesParts(): boolean {
    return this.format === 'sse';
  }

  /** Whole events as a block; nobody may write to them afterwards. */
  of(events: Uint8Array): Block {
    return this.#recent.get(events) ?? this.#keep(events, this.#before.get(events) ?? this.#make(events));
  }

  /** A whole response: what is its own around what is shared, which is made once and is the same object each time. */
  whole({ head, shared, tail }: Whole): Whole {
    if (this.#coding === undefined) return { head, shared, tail };
    const [coding, ending] = [this.#coding, this.ending()];
    const [first, last] = [coding.encode(head), coding.encode(tail)];
    const middle = shared === undefined ? undefined : this.of(shared.bytes);
    for (const block of [first, middle, last]) if (block !== undefined) ending?.add(block);
    return {
      head: concat(coding.preamble, first.bytes),
      shared: middle,
      tail: concat(last.bytes, ending?.bytes()),
    };
  }

  /** For one response; `undefined` where it may end behind any block. */
  ending(): Ending | undefined {
    return this.#coding?.ending();
  }

  #make(events: Uint8Array): Block {
    const bytes = this.format === 'sse' ? events : encodeNdjson(events);
    return this.#coding?.encode(bytes) ?? { bytes, crc: 0, length: bytes.length, shift: 0 };
  }

  #keep(events: Uint8Array, block: Block): Block {
    if (this.#recentBytes > KEPT_BYTES) {
      this.#before = this.#recent;
      this.#recent = new WeakMap();
      this.#recentBytes = 0;
    }
    this.#recent.set(events, block);
    this.#recentBytes += block.bytes.length + OVERHEAD_BYTES;
    return block;
  }
}

function concat(...pieces: readonly (Uint8Array | undefined)[]): Uint8Array {
  return Buffer.concat(pieces.filter((piece) => piece !== undefined));
}
