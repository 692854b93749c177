/**
 * Which of several instances is to do what only one should: the one whose hash together with the key is highest (rendezvous
 * hashing, Thaler & Ravishankar 1998). When an instance goes, only its own keys move.
 */
export function responsible(instances: readonly string[], key: string): string | undefined {
  let best: string | undefined;
  let highest = -1;
  for (const instance of instances) {
    const weight = hash(instance, key);
    // Two that are alike are told apart by their order, which is the same everywhere: they come sorted.
    if (weight <= highest) continue;
    highest = weight;
    best = instance;
  }
  return best;
}

// FNV-1a, 32 bits, then the finalizer of MurmurHash3: by itself FNV hardly spreads what differs at its beginning only.
function hash(instance: string, key: string): number {
  let h = fnv(fnv(0x811c9dc5, instance) ^ 0xff, key);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function fnv(seed: number, text: string): number {
  let h = seed;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}
