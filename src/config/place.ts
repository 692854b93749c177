import type { Disclosure } from './disclosure.ts';
import type { Finding } from './findings.ts';
import { formatPath } from './outline.ts';
import { type Found, find, locate, type SourceNode, UNRESOLVED } from './source.ts';

/** Something wrong at an offset of the file, ready to be shown. */
export interface Fault {
  readonly offset: number;
  readonly path: string;
  readonly message: string;
}

const LONGEST_QUOTE = 60;

/** Gives findings their place and fills in what may be quoted. */
export function place(findings: readonly Finding[], root: SourceNode, disclosure: Disclosure): Fault[] {
  return findings.flatMap((finding) => {
    const found = find(root, finding.path);
    // That it could not be resolved was said already.
    if (found.found && found.node.kind === 'scalar' && found.node.value === UNRESOLVED) return [];
    const offset = locate(found, finding.at ?? 'value');
    return [{ offset, path: formatPath(found.path), message: complete(finding, found, disclosure) }];
  });
}

function complete(finding: Finding, { node, found }: Found, disclosure: Disclosure): string {
  const { path, message, received, detail, quotes = [path] } = finding;
  const hidden = !quotes.every((quoted) => disclosure.mayQuote(quoted));
  const quoted = received && found ? `, got ${describe(node, hidden)}` : '';
  if (!hidden) return `${message}${quoted}${detail === undefined ? '' : `: ${detail}`}`;
  const withheld = (received && found && node.kind === 'scalar') || detail !== undefined;
  return `${message}${quoted}${withheld ? ` (${disclosure.reasonAt(quotes)})` : ''}`;
}

function describe(node: SourceNode, hidden: boolean): string {
  if (node.kind === 'map') return 'a mapping';
  if (node.kind === 'list') return 'a list';
  if (hidden) return 'something else';
  const { value } = node;
  if (typeof value === 'string') return `the text ${quote(value)}`;
  if (typeof value === 'number') return `the number ${value}`;
  return value === undefined ? 'nothing' : String(value);
}

function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}
