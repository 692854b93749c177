import { holds, type Program, type Surroundings } from './pattern-program.ts';

/** Begin and end of a stretch of text, in UTF-16 code units. */
export type Stretch = readonly [start: number, end: number];

/** Marks in one walk whatever lies in any match: each way through the program is a thread, and all go on at once. */
export class ThreadSearch {
  readonly #program: Program;
  /** Emptied by every search; made anew for each, they would cost more than most searches. */
  readonly #threads: readonly [Threads, Threads];

  constructor(program: Program) {
    this.#program = program;
    const { length } = program.steps;
    this.#threads = [new Threads(length), new Threads(length)];
  }

  /** What lies in a match of one or more characters, in order; no two stretches touch. */
  find(text: string): Stretch[] {
    const { mayBegin } = this.#program;
    const found: Stretch[] = [];
    let [now, next] = this.#threads;
    let width = 1;
    for (let at = 0; at <= text.length; at += width) {
      const code = text.codePointAt(at) ?? -1;
      width = code > 0xffff ? 2 : 1;
      // Nearly every character of nearly every text ends here.
      if (now.isEmpty && mayBegin[code] === 0) continue;
      now.arrive(0, at);
      const start = this.#settle(now, text, at);
      if (start < at) mark(found, start, at);
      for (const step of now.waiting) {
        if (this.#program.takes(step, code)) next.arrive(step + 1, now.startOf(step));
      }
      now.clear();
      [now, next] = [next, now];
    }
    return found;
  }

  /** Goes on from where threads arrived to where they wait for a character. Gives where the first began that is through. */
  #settle(threads: Threads, text: string, at: number): number {
    const { steps } = this.#program;
    let ended = Infinity;
    for (let index = threads.next(); index !== undefined; index = threads.next()) {
      const step = steps[index];
      if (step?.op === 'take') threads.waiting.push(index);
      else if (step?.op === 'split') for (const by of step.by) threads.open(index + by);
      else if (step?.op === 'end') ended = Math.min(ended, threads.startOf(index));
      else if (step !== undefined && holds(step.assertion, this.#at(text, at - 1), this.#at(text, at)))
        threads.open(index + 1);
    }
    return ended;
  }

  // No letter of a word lies beyond 0xffff.
  #at(text: string, at: number): Surroundings {
    if (at < 0 || at >= text.length) return 'edge';
    return this.#program.isWord(text.charCodeAt(at)) ? 'word' : 'other';
  }
}

/** Ways through a program that are open at one place of a text, those that began first first. */
class Threads {
  /** Steps that wait for a character. */
  readonly waiting: number[] = [];
  /** Where threads came to with the last character, and where each began. */
  readonly #arrived: number[] = [];
  readonly #began: number[] = [];
  /** How many of these were gone on from. */
  #taken = 0;
  /** Where the one under way may go on. */
  readonly #open: number[] = [];
  #start = 0;
  /** By step, where the first that came there began; -1: none did. */
  readonly #starts: Int32Array;

  constructor(steps: number) {
    this.#starts = new Int32Array(steps).fill(-1);
  }

  get isEmpty(): boolean {
    return this.#arrived.length === 0;
  }

  startOf(step: number): number {
    return this.#starts[step] ?? -1;
  }

  /** To be called in order of `start`: whoever is first at a step is the one that matters there. */
  arrive(step: number, start: number): void {
    this.#arrived.push(step);
    this.#began.push(start);
  }

  /** A step that is reached, with no character taken, from the one that {@link next} gave. */
  open(step: number): void {
    this.#open.push(step);
  }

  /** Each step that is reached, once. */
  next(): number | undefined {
    for (;;) {
      let step = this.#open.pop();
      if (step === undefined) {
        step = this.#arrived[this.#taken];
        if (step === undefined) return undefined;
        this.#start = this.#began[this.#taken] ?? 0;
        this.#taken += 1;
      }
      if (this.#starts[step] !== -1) continue;
      this.#starts[step] = this.#start;
      return step;
    }
  }

  clear(): void {
    this.#starts.fill(-1);
    this.#arrived.length = 0;
    this.#began.length = 0;
    this.waiting.length = 0;
    this.#taken = 0;
  }
}

/** In order of their ends. */
function mark(found: Stretch[], start: number, end: number): void {
  let from = start;
  for (let last = found.at(-1); last !== undefined && last[1] >= from; last = found.at(-1)) {
    from = Math.min(from, last[0]);
    found.pop();
  }
  found.push([from, end]);
}
