import type { Path } from './outline.ts';

/** What is wrong with one key, before anybody looked up where it stands and what of it may be shown. */
export interface Finding {
  readonly path: Path;
  /** What to point at; the value, if not said. */
  readonly at?: 'key';
  /** What is wrong and how to mend it, without quoting any value of the file. */
  readonly message: string;
  /** Say what was received. */
  readonly received?: true;
  /** More, that quotes the values at `quotes`, or at `path`: left out where one of them may not be shown. */
  readonly detail?: string;
  readonly quotes?: readonly Path[];
}

/** Says of all but the first of the keys that are given that they are too many. */
export function onlyOne<K extends string>(
  section: { readonly [key in K]?: unknown },
  keys: readonly K[],
  path: Path,
): Finding[] {
  const [first, ...others] = keys.filter((key) => section[key] !== undefined);
  const message = `is given beside ${first}: keep one of the two`;
  return others.map((key) => ({ path: [...path, key], at: 'key', message }));
}

/** What is known of the settings while the rules look at them: some keys may have been misread. */
export interface Judgement {
  /** Whether a section could be read as one; single keys in it may still be wrong. */
  readable(...path: Path): boolean;
  /** Whether nothing at or below a path is wrong. */
  sound(...path: Path): boolean;
}

/** Judges by the paths at which something is wrong. */
export function judge(wrong: readonly Path[]): Judgement {
  const bad = new Set(wrong.map((path) => JSON.stringify(path)));
  // With many routes many may be wrong: nobody waits until each was held against each.
  const above = new Set(wrong.flatMap(leadingTo));
  const readable = (...path: Path) => !leadingTo(path).some((place) => bad.has(place));
  return { readable, sound: (...path) => readable(...path) && !above.has(JSON.stringify(path)) };
}

/** A path and all around it, each as text. */
function leadingTo(path: Path): string[] {
  return Array.from({ length: path.length + 1 }, (_, length) => JSON.stringify(path.slice(0, length)));
}
