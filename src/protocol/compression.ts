import type { Coding, CodingName } from './coding.ts';
import { gzip } from './gzip.ts';
import { zstd } from './zstd.ts';

const CODINGS: Readonly<Record<CodingName, Coding | undefined>> = { gzip, zstd };

/** The coding of that name; `undefined` where this Node does not have it. */
export function findCoding(name: CodingName): Coding | undefined {
  return CODINGS[name];
}
