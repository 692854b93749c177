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
  readonly #encoding: Encoding;
  readonly #made = new Map<Coding | undefined, Record<Format, Rendering>>();

  constructor(sse: Pick<Config['sse'], 'compression'>) {
    this.#encoding = new Encoding(sse);
  }

  /** Whether `Accept-Encoding` makes a difference. */
  get readsEncoding(): boolean {
    return this.#encoding.isOffered;
  }

  /** What a client gets that takes this format; headers that say so, but for `Content-Type`. */
  choose(format: Format, acceptEncoding: string): Chosen {
    const coding = this.#encoding.choose(acceptEncoding);
    const headers = this.#encoding.headers(coding);
    if (format === 'sse' && coding === undefined) return { rendering: undefined, headers };
    return { rendering: this.#of(coding)[format], headers };
  }

  #of(coding: Coding | undefined): Record<Format, Rendering> {
    const known = this.#made.get(coding);
    if (known !== undefined) return known;
    const made = { sse: new Rendering('sse', coding), ndjson: new Rendering('ndjson', coding) };
    this.#made.set(coding, made);
    return made;
  }
}
