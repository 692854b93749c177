/** Of a print, in bytes. */
const PRINT_BYTES = 6;

/** How many, and whether that is so rather than at most so. */
export interface Count {
  readonly count: number;
  readonly exact: boolean;
}

/** The names that one of several has. */
export interface Names {
  readonly count: number;
  /** Absent where they would take too much. */
  readonly prints?: string;
}

/**
 * Names as short prints that say nothing about them, in base64, so that those that several have can be told apart from others without
 * being told. `undefined` where they would take more than `maxBytes`. Of a million names two share a print with a chance of one in 560.
 */
export function printsOf(names: ReadonlySet<string>, maxBytes: number): string | undefined {
  if (Math.ceil((names.size * PRINT_BYTES * 4) / 3) > maxBytes) return undefined;
  const prints = Buffer.alloc(names.size * PRINT_BYTES);
  let at = 0;
  for (const name of names) {
    prints.writeUIntBE(printOf(name), at, PRINT_BYTES);
    at += PRINT_BYTES;
  }
  return prints.toString('base64');
}

/** How many there are together; where some did not say which, at most so many. */
export function countDistinct(parts: readonly Names[]): Count {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return { count: only.count, exact: true };
  const known = new Set<number>();
  let unknown = 0;
  for (const { count, prints } of parts) {
    if (prints === undefined) unknown += count;
    else for (const print of read(prints)) known.add(print);
  }
  return { count: known.size + unknown, exact: unknown === 0 };
}

function* read(text: string): Generator<number> {
  const prints = Buffer.from(text, 'base64');
  for (let at = 0; at + PRINT_BYTES <= prints.length; at += PRINT_BYTES)
    yield prints.readUIntBE(at, PRINT_BYTES);
}

/** 48 bits: two hashes after Fowler, Noll and Vo (FNV-1a, 32 bits), which differ in where they begin and by what they multiply. */
function printOf(name: string): number {
  let [one, other] = [0x811c9dc5, 0x2f0b4a87];
  for (let i = 0; i < name.length; i += 1) {
    const unit = name.charCodeAt(i);
    one = Math.imul(one ^ unit, 0x01000193);
    other = Math.imul(other ^ unit, 0x5bd1e995);
    // The low bits of a product know nothing of the high ones.
    other ^= other >>> 15;
  }
  return (one >>> 0) * 0x10000 + ((other ^ (other >>> 16)) & 0xffff);
}
