import { ASCII, holds, type Program, type Surroundings } from './pattern-program.ts';
import type { Stretch } from './pattern-threads.ts';

/** States of one direction, and classes of characters, that are remembered; a pattern that needs more is not for this. */
const MAX_STATES = 1000;
const MAX_CLASSES = 250;
/** Characters beyond ASCII whose classes are remembered. */
const MAX_CODES = 10_000;
/** Longest stretch for which the room of its path is kept for the next, in UTF-16 code units. */
const KEPT_PATH = 65_536;
/** Steps from one state to another that are tried out to learn whether a pattern keeps within those bounds. */
const MAX_TRIALS = 20_000;
const [APART, MEETING] = [1, 2];

/** Characters that every place of a program treats alike. */
interface Class {
  readonly index: number;
  readonly surroundings: Surroundings;
  /** By step, whether that takes them. */
  readonly takes: Uint8Array;
}

/** Ways through a program that are open at one character of a text, all at once. */
class State {
  readonly index: number;
  /** Those that take the character, ascending. */
  readonly steps: readonly number[];
  /** What the character is. */
  readonly surroundings: Surroundings;
  /** Going forward: whether a match may end before the character. */
  readonly isEnd: boolean;
  /** By class of the next character. */
  readonly next: (State | undefined)[] = [];
  /** By index of states of the other direction, whether some step is in both. */
  meets: Uint8Array | undefined;

  constructor(index: number, steps: readonly number[], surroundings: Surroundings, isEnd: boolean) {
    this.index = index;
    this.steps = steps;
    this.surroundings = surroundings;
    this.isEnd = isEnd;
  }
}

/** Thrown where a pattern needs more than is remembered. */
class Overflow extends Error {}

/**
 * What threads would do, learned once for each kind of character and from then on looked up: as a rule a few nanoseconds for
 * each character, however many steps the pattern has. A character lies in a match where a step that gets there from some
 * beginning is one that gets from there to some end: so one walk goes forward, and where a match ended, another goes back.
 */
export class States {
  readonly #program: Program;
  readonly #forward = new Direction();
  readonly #backward = new Direction();
  readonly #classes = new Map<string, Class>();
  readonly #ascii: (Class | undefined)[] = [];
  readonly #others = new Map<number, Class>();
  /** Either end of a text. */
  readonly #edge: Class;
  /** States of the stretch under way, by place. */
  #path = new Uint16Array(1024);

  constructor(program: Program) {
    this.#program = program;
    this.#edge = { index: 0, surroundings: 'edge', takes: new Uint8Array(program.steps.length) };
  }

  /** What lies in matches; `undefined` where that takes too many states to know. */
  find(text: string): Stretch[] | undefined {
    try {
      return this.#find(text);
    } catch (error) {
      if (!(error instanceof Overflow)) throw error;
      this.#clear();
      return undefined;
    } finally {
      if (this.#path.length > KEPT_PATH) this.#path = new Uint16Array(1024);
    }
  }

  /** Whether it takes but few states whatever the text is, as far as trials with these characters tell. */
  isSmall(codes: readonly number[]): boolean {
    try {
      const classes = new Set([this.#edge, ...codes.map((code) => this.#classOf(code))]);
      tryOut(this.#forward, classes, (state, by) => this.#stepForward(state, by));
      tryOut(this.#backward, classes, (state, by) => this.#stepBackward(state, by));
      return true;
    } catch (error) {
      if (!(error instanceof Overflow)) throw error;
      return false;
    } finally {
      this.#clear();
    }
  }

  #find(text: string): Stretch[] {
    const found: Stretch[] = [];
    for (let at = 0; at < text.length; ) {
      at = this.#nextBegin(text, at);
      if (at < text.length) at = this.#goOn(text, at, found);
    }
    return found;
  }

  /** Nearly every character of nearly every text ends here. */
  #nextBegin(text: string, from: number): number {
    const { mayBegin } = this.#program;
    let at = from;
    while (at < text.length && mayBegin[text.charCodeAt(at)] === 0) at += 1;
    return at;
  }

  /** Goes on for as long as something is open, and looks then what of it lies in matches. Gives where to go on from. */
  #goOn(text: string, begin: number, found: Stretch[]): number {
    let state = this.#forward.idle(this.#classAt(text, begin - 1).surroundings);
    let end = begin;
    let at = begin;
    for (let width = 1; at <= text.length; at += width) {
      const code = at < text.length ? (text.codePointAt(at) ?? 0) : -1;
      width = code > 0xffff ? 2 : 1;
      const by = code < 0 ? this.#edge : (this.#ascii[code] ?? this.#classOf(code));
      state = state.next[by.index] ?? this.#stepForward(state, by);
      if (state.isEnd) end = at;
      if (state.steps.length === 0) {
        if (end > begin) this.#goBack(text, begin, end, found);
        return at + width;
      }
      this.#note(at - begin, state);
    }
    return at;
  }

  #note(place: number, { index }: State): void {
    if (place >= this.#path.length) {
      const longer = new Uint16Array(place * 4);
      longer.set(this.#path);
      this.#path = longer;
    }
    this.#path[place] = index;
  }

  /** Adds what lies in matches within a stretch of which the path is known; the last match in it ends at `end`. */
  #goBack(text: string, begin: number, end: number, found: Stretch[]): void {
    let state = this.#backward.idle(this.#classAt(text, end).surroundings);
    const stretches: Stretch[] = [];
    let to = -1;
    for (let at = end, behind = end; at > begin; behind = at) {
      at -= isPair(text, at - 2) ? 2 : 1;
      const code = text.codePointAt(at) ?? 0;
      const by = this.#ascii[code] ?? this.#classOf(code);
      state = state.next[by.index] ?? this.#stepBackward(state, by);
      const met = this.#forward.at(this.#path[at - begin] ?? 0);
      const isIn = state.steps.length > 0 && met !== undefined && meets(met, state);
      if (isIn && to < 0) to = behind;
      else if (!isIn && to >= 0) {
        stretches.push([behind, to]);
        to = -1;
      }
    }
    if (to >= 0) stretches.push([begin, to]);
    for (const stretch of stretches.reverse()) found.push(stretch);
  }

  #stepForward(state: State, by: Class): State {
    const { steps } = this.#program;
    const open = [0, ...state.steps.map((step) => step + 1)];
    const seen = new Uint8Array(steps.length);
    let isEnd = false;
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (seen[index] === 1) continue;
      seen[index] = 1;
      const step = steps[index];
      if (step?.op === 'end') isEnd = true;
      else if (step?.op === 'split') for (const way of step.by) open.push(index + way);
      else if (step?.op === 'assert' && holds(step.assertion, state.surroundings, by.surroundings))
        open.push(index + 1);
    }
    const next = this.#forward.state(taking(by, seen, 0), by.surroundings, isEnd);
    state.next[by.index] = next;
    return next;
  }

  #stepBackward(state: State, by: Class): State {
    const { steps, before } = this.#program;
    const open = [steps.length - 1, ...state.steps];
    const seen = new Uint8Array(steps.length);
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (seen[index] === 1) continue;
      seen[index] = 1;
      for (const from of before[index] ?? []) {
        const step = steps[from];
        if (step?.op !== 'assert' || holds(step.assertion, by.surroundings, state.surroundings))
          open.push(from);
      }
    }
    const next = this.#backward.state(taking(by, seen, 1), by.surroundings, false);
    state.next[by.index] = next;
    return next;
  }

  /** Of either half of a pair nothing is known but that it is no letter of a word, and no end. */
  #classAt(text: string, at: number): Class {
    return at < 0 || at >= text.length ? this.#edge : this.#classOf(text.charCodeAt(at));
  }

  #classOf(code: number): Class {
    const known = this.#ascii[code] ?? this.#others.get(code);
    if (known !== undefined) return known;
    const { steps, knowsWords } = this.#program;
    const takes = Uint8Array.from(steps, (_, index) => Number(this.#program.takes(index, code)));
    const surroundings = knowsWords && this.#program.isWord(code) ? 'word' : 'other';
    const signature = `${surroundings}${takes.join('')}`;
    const found = this.#classes.get(signature) ?? { index: this.#classes.size + 1, surroundings, takes };
    if (found.index > MAX_CLASSES) throw new Overflow();
    this.#classes.set(signature, found);
    if (this.#others.size >= MAX_CODES) this.#others.clear();
    if (code < ASCII) this.#ascii[code] = found;
    else this.#others.set(code, found);
    return found;
  }

  #clear(): void {
    for (const direction of [this.#forward, this.#backward]) direction.clear();
    this.#classes.clear();
    this.#ascii.length = 0;
    this.#others.clear();
  }
}

/** The states that were come to by going one way. */
class Direction {
  readonly #byName = new Map<string, State>();
  readonly #byIndex: State[] = [];
  #idle: Partial<Record<Surroundings, State>> = {};

  /** Where no way is open. */
  idle(surroundings: Surroundings): State {
    const known = this.#idle[surroundings];
    if (known !== undefined) return known;
    const made = this.state([], surroundings, false);
    this.#idle[surroundings] = made;
    return made;
  }

  at(index: number): State | undefined {
    return this.#byIndex[index];
  }

  state(steps: readonly number[], surroundings: Surroundings, isEnd: boolean): State {
    const name = `${surroundings}${isEnd}${steps.join()}`;
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const index = this.#byIndex.length;
    if (index >= MAX_STATES) throw new Overflow();
    const made = new State(index, steps, surroundings, isEnd);
    this.#byName.set(name, made);
    this.#byIndex.push(made);
    return made;
  }

  clear(): void {
    this.#byName.clear();
    this.#byIndex.length = 0;
    this.#idle = {};
  }
}

function tryOut(
  direction: Direction,
  classes: ReadonlySet<Class>,
  step: (state: State, by: Class) => void,
): void {
  for (const { surroundings } of classes) direction.idle(surroundings);
  for (let index = 0, state = direction.at(0); state !== undefined; state = direction.at(index)) {
    index += 1;
    if (index * classes.size > MAX_TRIALS) throw new Overflow();
    for (const by of classes) step(state, by);
  }
}

/** The steps that take a character, of those that are seen, or that lead to one that is (`ahead` 1). */
function taking({ takes }: Class, seen: Uint8Array, ahead: 0 | 1): number[] {
  const found: number[] = [];
  for (let step = 0; step < takes.length; step += 1)
    if (takes[step] === 1 && seen[step + ahead] === 1) found.push(step);
  return found;
}

/** Whether some step is in both. */
function meets(forward: State, backward: State): boolean {
  forward.meets ??= new Uint8Array(MAX_STATES);
  const known = forward.meets[backward.index];
  if (known === APART || known === MEETING) return known === MEETING;
  const isMeeting = forward.steps.some((step) => backward.steps.includes(step));
  forward.meets[backward.index] = isMeeting ? MEETING : APART;
  return isMeeting;
}

/** Whether two code units are one character. */
function isPair(text: string, at: number): boolean {
  return at >= 0 && (text.codePointAt(at) ?? 0) > 0xffff;
}
