/** Why a pattern cannot be used. */
export interface PatternProblem {
  readonly problem: string;
}

export type Assertion = 'begin' | 'end' | 'boundary' | 'inside';

/** What stands on one side of a place in a text: an end of it, a letter of a word, or another character. */
export type Surroundings = 'edge' | 'word' | 'other';

/** What is done at one place of a pattern; the next is behind it, where nothing else is said. */
export type Step =
  /** Takes one character of a kind. */
  | { readonly op: 'take'; readonly kind: Kind }
  /** Goes on at each of these, counted from here. */
  | { readonly op: 'split'; readonly by: readonly number[] }
  | { readonly op: 'assert'; readonly assertion: Assertion }
  | { readonly op: 'end' };

/** So many steps a pattern may have: the most that one character of a text may cost. */
const MAX_STEPS = 500;
/** Longest pattern, in UTF-16 code units; most of a count in braces; deepest group. JavaScript's own compiler comes to grief later. */
const MAX_LENGTH = 2_000;
const MAX_COUNT = 1_000;
const MAX_DEPTH = 50;
const TOO_LARGE = `it comes to more than ${MAX_STEPS} steps; {n,m} counts as often as it says`;
/** Codes whose kinds are looked up; those of others are remembered, so many at most. */
export const ASCII = 128;
const MAX_CODES = 1_000;

const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  '^': 'begin',
  $: 'end',
  '\\b': 'boundary',
  '\\B': 'inside',
};
/** One character, class or escape, in a pattern that is known to be well-formed under the flag `u`. */
const ATOM =
  /\[(?:\\.|[^\]\\])*\]|\\(?:[pP]\{[^}]*\}|u\{[0-9a-fA-F]+\}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|.)|./suy;
const QUANTIFIER = /(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/uy;

/** Characters that one place of a pattern takes. */
class Kind {
  readonly #test: RegExp;
  readonly #ascii: Uint8Array;
  readonly #others = new Map<number, boolean>();

  constructor(source: string, flags: string) {
    // One character cannot be matched slowly; so JavaScript's own rules decide on it.
    this.#test = new RegExp(`^(?:${source})$`, `u${flags}`);
    this.#ascii = Uint8Array.from({ length: ASCII }, (_, code) => Number(this.#asks(code)));
  }

  /** How many of the first codes are of it. */
  get size(): number {
    return this.#ascii.reduce((sum, is) => sum + is, 0);
  }

  has(code: number): boolean {
    return code < ASCII ? this.#ascii[code] === 1 : this.#remembers(code);
  }

  #remembers(code: number): boolean {
    const known = this.#others.get(code);
    if (known !== undefined) return known;
    const has = this.#asks(code);
    if (this.#others.size >= MAX_CODES) this.#others.clear();
    this.#others.set(code, has);
    return has;
  }

  #asks(code: number): boolean {
    return this.#test.test(String.fromCodePoint(code));
  }
}

export class Program {
  readonly steps: readonly Step[];
  /** By code, for the first: whether a match may begin with it. */
  readonly mayBegin: Uint8Array;
  /** Every match holds so many characters of this kind. */
  readonly needed: { readonly kind: Kind; readonly count: number } | undefined;
  /** By step, those from which it is reached with no character taken. */
  readonly before: readonly (readonly number[])[];
  /** Whether it matters what a word is. */
  readonly knowsWords: boolean;
  readonly #word: Kind;

  constructor(steps: readonly Step[], flags: string) {
    this.steps = steps;
    this.before = sourcesOf(steps);
    this.knowsWords = steps.some(
      (step) => step.op === 'assert' && (step.assertion === 'boundary' || step.assertion === 'inside'),
    );
    this.#word = new Kind('\\w', flags);
    const first = this.#firstTakes();
    this.mayBegin = Uint8Array.from({ length: ASCII }, (_, code) =>
      Number(first.some((kind) => kind.has(code))),
    );
    this.needed = this.#findNeeded();
  }

  /** Whether a text may hold a match at all. Most do not, and this tells at once. */
  isPossible(text: string): boolean {
    if (this.needed === undefined) return true;
    const { kind, count } = this.needed;
    let missing = count;
    // Halves of a pair count as two where they count at all: it may be possible then.
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if ((code >= 0xd800 && code < 0xe000) || kind.has(code)) missing -= 1;
      if (missing === 0) return true;
    }
    return false;
  }

  takes(step: number, code: number): boolean {
    const found = this.steps[step];
    return code >= 0 && found?.op === 'take' && found.kind.has(code);
  }

  /** Whether it is a letter of a word, as `\b` knows them. */
  isWord(code: number): boolean {
    return this.#word.has(code);
  }

  #firstTakes(): Kind[] {
    const first: Kind[] = [];
    this.#walk((step) => {
      if (step.op === 'take') first.push(step.kind);
      return step.op !== 'take';
    });
    return first;
  }

  // Of the steps without which the end is not reached, the kind that the fewest characters are of.
  #findNeeded(): Program['needed'] {
    const counts = new Map<Kind, number>();
    for (const [index, step] of this.steps.entries()) {
      if (step.op !== 'take') continue;
      let isAvoidable = false;
      this.#walk((other, at) => {
        isAvoidable ||= other.op === 'end';
        return at !== index;
      });
      if (!isAvoidable) counts.set(step.kind, (counts.get(step.kind) ?? 0) + 1);
    }
    const [kind] = [...counts.keys()].sort((a, b) => a.size - b.size);
    return kind && { kind, count: counts.get(kind) ?? 0 };
  }

  /** Visits what may be reached from the beginning; `visit` says whether to go on from there. */
  #walk(visit: (step: Step, index: number) => boolean): void {
    const seen = new Set<number>();
    const open = [0];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const step = this.steps[index];
      if (step === undefined || seen.has(index)) continue;
      seen.add(index);
      if (!visit(step, index)) continue;
      if (step.op === 'split') for (const by of step.by) open.push(index + by);
      else if (step.op !== 'end') open.push(index + 1);
    }
  }
}

/** Whether an assertion is met between two characters. */
export function holds(assertion: Assertion, before: Surroundings, behind: Surroundings): boolean {
  switch (assertion) {
    case 'begin':
      return before === 'edge';
    case 'end':
      return behind === 'edge';
    case 'boundary':
      return (before === 'word') !== (behind === 'word');
    case 'inside':
      return (before === 'word') === (behind === 'word');
  }
}

function sourcesOf(steps: readonly Step[]): number[][] {
  const sources: number[][] = steps.map(() => []);
  for (const [index, step] of steps.entries()) {
    if (step.op === 'split') for (const by of step.by) sources[index + by]?.push(index);
    else if (step.op === 'assert') sources[index + 1]?.push(index);
  }
  return sources;
}

/** @param flags any of `i` and `s` */
export function compileProgram(source: string, flags: string): Program | PatternProblem {
  if (source.length > MAX_LENGTH) return { problem: `it is longer than ${MAX_LENGTH} characters` };
  try {
    new RegExp(source, `u${flags}`);
  } catch (error) {
    // SyntaxError; its message quotes the pattern.
    return { problem: error instanceof Error ? error.message : String(error) };
  }
  try {
    return new Program(new Compiler(source, flags).compile(), flags);
  } catch (error) {
    if (error instanceof Unusable) return { problem: error.message };
    throw error;
  }
}

class Unusable extends Error {}

/** Thompson, "Regular Expression Search Algorithm", 1968: a pattern as steps, of which any number may be under way at once. */
class Compiler {
  readonly #source: string;
  readonly #flags: string;
  readonly #kinds = new Map<string, Kind>();
  #at = 0;
  #depth = 0;

  constructor(source: string, flags: string) {
    this.#source = source;
    this.#flags = flags;
  }

  compile(): Step[] {
    return [...this.#either(), { op: 'end' }];
  }

  #either(): Step[] {
    const ways = [this.#sequence()];
    while (this.#skip('|')) ways.push(this.#sequence());
    return ways.reduceRight((others, way) => bounded(either(way, others)));
  }

  #sequence(): Step[] {
    const steps: Step[] = [];
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at] ?? ''))
      steps.push(...this.#repeated(this.#one()));
    return bounded(steps);
  }

  #one(): Step[] {
    if (this.#skip('(')) {
      if (!this.#skip('?:') && this.#source[this.#at] === '?')
        throw new Unusable('it has a look-around, a flag or a named group; only (…) and (?:…) are supported');
      this.#depth += 1;
      if (this.#depth > MAX_DEPTH) throw new Unusable(`its groups are more than ${MAX_DEPTH} deep`);
      const inner = this.#either();
      this.#depth -= 1;
      this.#skip(')');
      return inner;
    }
    const atom = this.#match(ATOM)?.[0] ?? '';
    if (/^\\[1-9k]/.test(atom)) throw new Unusable('it has a back-reference, which is not supported');
    const assertion = ASSERTIONS[atom];
    return [assertion === undefined ? { op: 'take', kind: this.#kind(atom) } : { op: 'assert', assertion }];
  }

  #kind(atom: string): Kind {
    const kind = this.#kinds.get(atom) ?? new Kind(atom, this.#flags);
    this.#kinds.set(atom, kind);
    return kind;
  }

  #repeated(steps: readonly Step[]): readonly Step[] {
    const [quantifier, least, comma, most] = this.#match(QUANTIFIER) ?? [];
    switch (quantifier?.[0]) {
      case undefined:
        return steps;
      case '*':
        return anyTimes(steps);
      case '+':
        return [...steps, ...anyTimes(steps)];
      case '?':
        return optional(steps);
    }
    const [from, to] = [Number(least), Number(comma === '' ? least : most || least)];
    if (Math.max(from, to) > MAX_COUNT) throw new Unusable(`it counts to more than ${MAX_COUNT} in braces`);
    const rest = comma !== '' && most === '' ? anyTimes(steps) : times(optional(steps), to - from);
    return [...times(steps, from), ...rest];
  }

  #match(form: RegExp): RegExpExecArray | null {
    form.lastIndex = this.#at;
    const match = form.exec(this.#source);
    if (match !== null) this.#at = form.lastIndex;
    return match;
  }

  #skip(text: string): boolean {
    const isThere = this.#source.startsWith(text, this.#at);
    if (isThere) this.#at += text.length;
    return isThere;
  }
}

function either(way: readonly Step[], others: readonly Step[]): Step[] {
  return [
    { op: 'split', by: [1, way.length + 2] },
    ...way,
    { op: 'split', by: [others.length + 1] },
    ...others,
  ];
}

function optional(steps: readonly Step[]): Step[] {
  return [{ op: 'split', by: [1, steps.length + 1] }, ...steps];
}

function anyTimes(steps: readonly Step[]): Step[] {
  return [{ op: 'split', by: [1, steps.length + 2] }, ...steps, { op: 'split', by: [-steps.length - 1] }];
}

function times(steps: readonly Step[], count: number): Step[] {
  if (steps.length * count > MAX_STEPS) throw new Unusable(TOO_LARGE);
  return Array.from({ length: count }, () => steps).flat();
}

function bounded(steps: Step[]): Step[] {
  if (steps.length > MAX_STEPS) throw new Unusable(TOO_LARGE);
  return steps;
}
