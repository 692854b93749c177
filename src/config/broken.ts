import type { Disclosure } from './disclosure.ts';
import { excerpt, HIDDEN, type Mask } from './excerpt.ts';
import { keysIn, walk } from './outline.ts';

const keys = [...walk()].map(({ path, key }) => ({ name: path.at(-1), key }));
const SECRET = keys.filter(({ key }) => key.doc.secret !== undefined).map(({ name }) => name);
/** Keys with a value that anybody may see. */
const PLAIN = new Set(
  keys.filter(({ name, key }) => keysIn(key).size === 0 && !SECRET.includes(name)).map(({ name }) => name),
);

/** A word and a colon; in quotes the colon needs no space behind it. */
const KEY = /(?:"([^"]*)"|'([^']*)'|([^\s"':{},[\]]+))\s*:(?=\s|$)/;
const FIRST_KEY = new RegExp(`^\\s*(?:- +)*${KEY.source}`);
/** Signs that a value runs on into a secret: its key, another key, a URL with credentials. */
const SUSPICIOUS = new RegExp(`@|\\b(?:${SECRET.join('|')})\\b|[^\\s:]+["']?:(?=\\s|$)`);
const STRUCTURE = /^[\s\]{}[,-]*$/;

/**
 * For a file with broken syntax, where nobody knows what belongs to which key. Shown are keys, and values behind keys
 * that are known and not secret; what is indented below something hidden is hidden too.
 */
export function discloseLines(text: string): Disclosure {
  const masks = maskLines(text);
  return {
    mayQuote: () => false,
    reasonAt: () => 'not shown',
    excerpt: (offset) => excerpt(text, masks, offset),
  };
}

function maskLines(text: string): Mask[] {
  const masks: Mask[] = [];
  let start = 0;
  /** Indentation of the hidden line that we may be below. */
  let below = Number.POSITIVE_INFINITY;
  for (const line of text.split('\n')) {
    const content = line.search(/\S|$/);
    // YAML takes no tabs, so nobody knows how deep such a line was meant to be.
    const indent = /^ *\t/.test(line) ? Number.POSITIVE_INFINITY : content;
    const shown = indent > below ? content : shownLength(line);
    const isHidden = line.slice(shown).trim() !== '';
    if (isHidden)
      masks.push({
        start: start + shown,
        end: start + line.length,
        text: shown === content ? HIDDEN : ` ${HIDDEN}`,
      });
    if (isHidden) below = Math.min(below, indent);
    else if (indent <= below && line.trim() !== '') below = Number.POSITIVE_INFINITY;
    start += line.length + 1;
  }
  return masks;
}

/** How much of a line, taken alone, may be shown. */
function shownLength(line: string): number {
  if (STRUCTURE.test(line)) return line.length;
  const key = FIRST_KEY.exec(line);
  if (key === null) return line.search(/\S/);
  const [opened] = key;
  const rest = line.slice(opened.length);
  if (isPlain(key)) return SUSPICIOUS.test(rest) ? opened.length : line.length;
  return /^\s*\{/.test(rest) ? opened.length + shownFlowLength(rest) : opened.length;
}

/** The same for what stands behind the key of a section or route in `{ }`: pieces between braces and commas. */
function shownFlowLength(flow: string): number {
  for (const { 0: piece, index } of flow.matchAll(/[^{},]+/g)) {
    if (STRUCTURE.test(piece)) continue;
    const key = FIRST_KEY.exec(piece);
    if (key === null) return index;
    const value = piece.slice(key[0].length);
    if (isPlain(key) ? SUSPICIOUS.test(value) : value.trim() !== '') return index + key[0].length;
  }
  return flow.length;
}

function isPlain([, double, single, bare]: RegExpExecArray): boolean {
  return PLAIN.has(double ?? single ?? bare);
}
