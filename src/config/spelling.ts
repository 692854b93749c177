/** The candidate that `word` was most likely meant to be, or `undefined` where none is near. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const typed = fold(word);
  let best: string | undefined;
  // A third of the letters may be wrong: enough for a slip, too little to turn one word into another.
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(typed, fold(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `trusted_proxies`, `trusted-proxies` and `TrustedProxies` are habits of other programs, not slips. */
function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Optimal string alignment: insertions, deletions, substitutions, and swaps of two neighbours. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      current[j] = Math.min(
        at(previous, j) + 1,
        at(current, j - 1) + 1,
        at(previous, j - 1) + (same ? 0 : 1),
        swapped ? at(beforePrevious, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [beforePrevious, previous] = [previous, current];
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
