import type { Config } from '../config/schema.ts';
import type { Coding, CodingName } from '../protocol/coding.ts';
import { findCoding } from '../protocol/compression.ts';

type Header = readonly [name: string, value: string];

/** RFC 9110 12.5.3 and 12.4.2, in lower case: a coding or `*`, and a weight of up to three digits behind the point. */
const MEMBER = /^([a-z0-9!#$%&'*+.^_`|~-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/;
/** What no coding is called; RFC 9110 8.4.1.3 has one of them. */
const ALIASES: Readonly<Record<string, string>> = { 'x-gzip': 'gzip' };

/**
 * The best of `codings` by the client's weights; the earlier of two that it likes as well. `undefined` is the response as it is:
 * where the client names nothing of ours, likes that better, or sent no header, which would allow anything (but who does not
 * ask for compression hardly expects it). It is that too where the client refuses it (`identity;q=0`) and takes nothing of ours.
 */
export function negotiateCoding(
  acceptEncoding: string,
  codings: readonly CodingName[],
): CodingName | undefined {
  const weights = readWeights(acceptEncoding);
  const other = weights.get('*') ?? 0;
  let best: CodingName | undefined;
  // `identity` is acceptable without being named; named, it has a weight to beat.
  let most = weights.get('identity') ?? other;
  for (const coding of codings) {
    const weight = weights.get(coding) ?? other;
    if (weight === 0 || (best === undefined ? weight < most : weight <= most)) continue;
    best = coding;
    most = weight;
  }
  return best;
}

/** The weights of what is named, by its first mention. A member that is malformed is as if it were not there. */
function readWeights(acceptEncoding: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const member of acceptEncoding.toLowerCase().split(',')) {
    const [, name, weight = '1'] = MEMBER.exec(member.trim()) ?? [];
    if (name === undefined) continue;
    const coding = ALIASES[name] ?? name;
    if (!weights.has(coding)) weights.set(coding, Number(weight));
  }
  return weights;
}

/** Chooses each response's content coding out of `sse.compression`. */
export class Encoding {
  readonly #codings: readonly Coding[];
  readonly #names: readonly CodingName[];

  constructor({ compression }: Pick<Config['sse'], 'compression'>) {
    this.#codings = compression.map(findCoding).filter((coding) => coding !== undefined);
    this.#names = this.#codings.map(({ name }) => name);
  }

  /** Whether `Accept-Encoding` makes a difference here. */
  get isOffered(): boolean {
    return this.#codings.length > 0;
  }

  choose(acceptEncoding: string): Coding | undefined {
    if (acceptEncoding === '' || !this.isOffered) return undefined;
    const chosen = negotiateCoding(acceptEncoding, this.#names);
    return this.#codings.find(({ name }) => name === chosen);
  }

  /** Headers of a response in that coding, or in none: caches must know that it depends. RFC 9110 12.5.5. */
  headers(coding: Coding | undefined): readonly Header[] {
    if (!this.isOffered) return [];
    const vary: Header = ['Vary', 'Accept-Encoding'];
    return coding === undefined ? [vary] : [vary, ['Content-Encoding', coding.name]];
  }
}
