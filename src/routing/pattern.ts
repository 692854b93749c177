import { ASCII, compileProgram, type PatternProblem, type Program } from './pattern-program.ts';
import { States } from './pattern-states.ts';
import { type Stretch, ThreadSearch } from './pattern-threads.ts';

/** What one character costs where states can be looked up, and where each step is gone through, in nanoseconds; measured. */
const [STATE_NANOS, STEP_NANOS] = [40, 80];
/** Beyond ASCII, those that patterns tell apart as a rule: Latin, Greek, Cyrillic, digits, spaces, CJK, a pair. */
const SAMPLES = [
  0xa0, 0xe9, 0xc9, 0x17f, 0x3b1, 0x416, 0x663, 0x2028, 0x20ac, 0x212a, 0x4e2d, 0xd83d, 0x1f600,
];

/**
 * A regular expression that no text can make slow: time grows with the length of the text, at worst times that of the
 * pattern. It does not look for one match after the other, but finds whatever lies in any match there is, which is also what
 * hiding it wants: `a|ab` hides all of `ab`, and two matches that touch are one stretch.
 *
 * JavaScript's own tries one way after another: `(a+)+$` takes for ever on 40 letters, and even `a+b` a time that grows with
 * the square of a run of `a`. A check of the pattern for such forms would miss some; a limit on the text would let through
 * what it is to hide.
 */
export class Pattern {
  readonly #program: Program;
  readonly #states: States;
  #threads: ThreadSearch | undefined;

  constructor(program: Program) {
    this.#program = program;
    this.#states = new States(program);
  }

  /** Puts `replacement` in the place of whatever matches. */
  replace(text: string, replacement: string): string {
    const found = this.find(text);
    if (found.length === 0) return text;
    let result = '';
    let from = 0;
    for (const [start, end] of found) {
      result += text.slice(from, start) + replacement;
      from = end;
    }
    return result + text.slice(from);
  }

  /** What lies in a match of one or more characters, in order; no two stretches touch. */
  find(text: string): Stretch[] {
    if (!this.#program.isPossible(text)) return [];
    return this.#states.find(text) ?? this.findByThreads(text);
  }

  /** The same, in little memory whatever the pattern, and slower for every step that it has. */
  findByThreads(text: string): Stretch[] {
    this.#threads ??= new ThreadSearch(this.#program);
    return this.#threads.find(text);
  }

  /** About the longest that any text of so many bytes takes, in milliseconds, on one core of 2020 or so. */
  worstMs(bytes: number): number {
    const isSmall = this.#states.isSmall([...Array(ASCII).keys(), ...SAMPLES]);
    const nanos = isSmall ? STATE_NANOS : STEP_NANOS * this.#program.steps.length;
    return (bytes * nanos) / 1_000_000;
  }
}

/**
 * A pattern in the form of JavaScript's regular expressions with the flag `u`, without look-around, back-references and named
 * groups.
 * @param flags any of `i` and `s`
 */
export function compilePattern(source: string, flags = ''): Pattern | PatternProblem {
  const program = compileProgram(source, flags);
  return 'steps' in program ? new Pattern(program) : program;
}
