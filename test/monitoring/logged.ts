import { readdirSync, readFileSync } from 'node:fs';

/** The fields that docs/operations.md has in its table. */
export function documentedFields(): string[] {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const section = page.slice(page.indexOf('### Fields'), page.indexOf('## Runbooks'));
  return [...section.matchAll(/^\| (`.+?`) \| /gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
  );
}

const SOURCES = new URL('../../src/', import.meta.url);

/** A call that writes a line, up to its fields: of a log, or of the complaints that are held back. */
const CALL =
  /(?:\blog|#log|[cC]omplaints?)\??(?:\.(?:info|warn|error|debug|fatal)|\[[^\]]*\])\(\s*(?:[\w'.$`{} -]+,\s*)?(?=\{)/g;
/** A call of a method that does so for its class. */
const OWN_CALL = /this\.#(?:complain|drop)\((?:[^(){}]|\([^()]*\))*(?=\{)/g;
/** Where fields are made ready before. */
const PREPARED =
  /\b(?:fields|about)\b(?:: [\w<>, ]+)? = (?=\{)|#fields\(\)[^{]*\{[^{}]*\{[^{}]*\}[^{}]*return (?=\{)/g;
/** One member of an object: `name: …`, `name` alone, or one that is spread where something is known. */
const MEMBER = /^(?:\.\.\.\(.*&& \{ )?(\w+)/s;

/** Names of fields that the code writes into its log, as far as they stand in the calls or in a `fields` beside them. */
export function loggedFields(): Set<string> {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const texts = files.map((name) => readFileSync(new URL(name, SOURCES), 'utf8'));
  const writing = texts.filter((text) => text.search(CALL) >= 0 || text.includes('omplain'));
  return new Set(
    writing.flatMap((text) => [CALL, OWN_CALL, PREPARED].flatMap((pattern) => fieldsAt(text, pattern))),
  );
}

function fieldsAt(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].flatMap(({ index, 0: { length } }) =>
    membersOf(text, index + length).flatMap((member) => MEMBER.exec(member)?.[1] ?? []),
  );
}

/** The members of the object that begins at `start`, as they are written. */
function membersOf(text: string, start: number): string[] {
  const members: string[] = [];
  let [depth, from] = [0, start + 1];
  for (let at = start; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if ('{(['.includes(character)) depth += 1;
    if ('})]'.includes(character)) depth -= 1;
    if (depth > 1 || (depth === 1 && character !== ',')) continue;
    members.push(text.slice(from, at).trim());
    from = at + 1;
    if (depth === 0) break;
  }
  return members.filter((member) => member !== '');
}
