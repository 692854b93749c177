/**
 * Whether a text as a whole is of a pattern in which `*` stands for any characters, or none, and everything else for itself. Not by a regular
 * expression: one that came from outside could take forever. This takes at most as many steps as the lengths multiplied.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let [at, from] = [0, 0];
  /** The last star, and what of the text came when it was met or was given to it since. */
  let star: { readonly at: number; from: number } | undefined;
  while (from < text.length) {
    if (pattern[at] === '*') {
      star = { at, from };
      at += 1;
    } else if (pattern[at] === text[from]) {
      at += 1;
      from += 1;
    } else if (star === undefined) return false;
    else {
      star.from += 1;
      from = star.from;
      at = star.at + 1;
    }
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}
