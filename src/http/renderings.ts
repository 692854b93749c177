import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';
import type { Coding } from '../protocol/coding.ts';
import { type Format, Rendering } from '../protocol/rendering.ts';
import { Encoding } from './encoding.ts';

type Header = readonly [name: string, value: string];

/** How one response is written. */
export interface Chosen {
  readonly rendering: Rendering | undefined;
  readonly headers: readonly Header[];
}

/** The renderings of a server, one of each kind: what is made for one connection is there for the next. */
export class Renderings {
  /** NDJSON in no content coding. */
  readonly lines = new Rendering('ndjson', undefined);
  #encoding: Encoding;
  #codings: Config['sse']['compression'];
  readonly #made = new Map<Coding | undefined, Record<Format, Chosen>>();

  constructor(sse: Pick<Config['sse'], 'compression'>) {
    this.#encoding = new Encoding(sse);
    this.#codings = sse.compression;
  }

  /** Offers other codings from now on; who has a response has it as it is. */
  offer(sse: Pick<Config['sse'], 'compression'>): void {
    if (isDeepStrictEqual(sse.compression, this.#codings)) return;
    this.#encoding = new Encoding(sse);
    this.#codings = sse.compression;
    // Their headers say what was on offer.
    this.#made.clear();
  }

  /** Whether `Accept-Encoding` makes a difference. */
  get readsEncoding(): boolean {
    return this.#encoding.isOffered;
  }

  /** What a client gets that takes this format; headers that say so, but for `Content-Type`. */
  choose(format: Format, acceptEncoding: string): Chosen {
    const coding = this.#encoding.choose(acceptEncoding);
    return (this.#made.get(coding) ?? this.#make(coding))[format];
  }

  #make(coding: Coding | undefined): Record<Format, Chosen> {
    const headers = this.#encoding.headers(coding);
    const sse = coding === undefined ? undefined : new Rendering('sse', coding);
    const made = {
      sse: { rendering: sse, headers },
      ndjson: { rendering: coding === undefined ? this.lines : new Rendering('ndjson', coding), headers },
    };
    this.#made.set(coding, made);
    return made;
  }
}
