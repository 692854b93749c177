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

/** The line around an offset, masked. */
export function excerpt(text: string, masks: readonly Mask[], offset: number): Excerpt {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const newline = text.indexOf('\n', offset);
  const end = newline < 0 ? text.length : newline;
  const onLine = masks
    .filter((mask) => mask.start < end && mask.end > start)
    .sort((a, b) => a.start - b.start);
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
