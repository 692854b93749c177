import type { Span } from './source.ts';

/** The line of a problem, with what must not be shown masked. */
export interface Excerpt {
  readonly text: string;
  /** Index in `text` of the character to point at. */
  readonly caret: number;
}

/** A stretch of the file that is not shown, and what is shown for it. */
export interface Mask extends Span {
  readonly text: string;
}

export const HIDDEN = '***';
/** Longer lines are cut to a window around the caret. */
const EXCERPT_WIDTH = 120;

/** Masks where they are found by a place in the text: there may be thousands of problems, and of masks. */
export class Masks {
  readonly #sorted: readonly Mask[];
  readonly #longest: number;

  constructor(masks: readonly Mask[]) {
    this.#sorted = [...masks].sort((a, b) => a.start - b.start);
    this.#longest = masks.reduce((longest, { start, end }) => Math.max(longest, end - start), 0);
  }

  /** Those that reach into a stretch, by where they begin. */
  within(start: number, end: number): Mask[] {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle]?.start ?? 0) + this.#longest > start) high = middle;
      else low = middle + 1;
    }
    const found: Mask[] = [];
    for (let index = low; index < this.#sorted.length; index += 1) {
      const mask = this.#sorted[index];
      if (mask === undefined || mask.start >= end) break;
      if (mask.end > start) found.push(mask);
    }
    return found;
  }
}

/** The line around an offset, masked. */
export function excerpt(text: string, masks: Masks, offset: number): Excerpt {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const newline = text.indexOf('\n', offset);
  const end = newline < 0 ? text.length : newline;
  const onLine = masks.within(start, end);
  let shown = '';
  let caret = -1;
  let at = start;
  for (const mask of onLine) {
    if (mask.start < at && mask.start > start) continue;
    if (offset >= at && offset < mask.start) caret = shown.length + offset - at;
    shown += text.slice(at, Math.max(at, mask.start));
    if (caret < 0 && offset < mask.end) caret = shown.length;
    shown += mask.text;
    at = Math.min(mask.end, end);
  }
  if (caret < 0) caret = shown.length + offset - at;
  const rest = text.slice(at, end);
  // A comment may hold anything, an old password as well.
  shown += rest.replace(onLine.length > 0 ? /#.*$/ : /(^|\s)#.*$/, '');
  return clip(shown, Math.max(0, caret));
}

/** Cut to a window around the caret, and safe to print: control characters may drive a terminal. */
function clip(line: string, caret: number): Excerpt {
  const from = caret < EXCERPT_WIDTH ? 0 : caret - EXCERPT_WIDTH / 2;
  const window = line.slice(from, from + EXCERPT_WIDTH).trimEnd();
  return {
    text: window.replaceAll('\t', ' ').replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?'),
    caret: caret - from,
  };
}
