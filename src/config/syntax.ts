/**
 * What the YAML parser's complaints mean for somebody who writes a config. Its own texts are not used: some quote the
 * file, which may hold secrets.
 */
const BY_CODE: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias (*name) takes no tag or anchor of its own',
  BAD_ALIAS: 'an anchor (&name) or alias (*name) has no proper name',
  BAD_COLLECTION_TYPE: 'a tag does not fit what it stands before: leave it out',
  BAD_DIRECTIVE: 'a % directive is not known: leave it out',
  BAD_DQ_ESCAPE:
    'a backslash in double quotes begins no known escape: write \\\\ for a backslash, or use single quotes',
  BAD_INDENT:
    'the indentation does not fit: keys of one mapping start in one column, and a [ or { is closed before the next key',
  BAD_PROP_ORDER: 'an anchor or tag stands before the - ? or : it belongs behind',
  BAD_SCALAR_START: 'a value cannot begin with this character: put it in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a second colon makes a mapping inside a value: put the value in quotes, or indent the key below as deep as its neighbours',
  BLOCK_IN_FLOW: 'indented keys and - items cannot stand inside [ ] or { }',
  IMPOSSIBLE: 'this cannot be read as YAML',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'something is missing here: a space behind a colon, a comma, or a closing bracket',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line, with its colon',
  MULTIPLE_ANCHORS: 'a value has two anchors: keep one',
  MULTIPLE_DOCS: 'a second document begins here (---): the config is one document',
  MULTIPLE_TAGS: 'a value has two tags: leave them out',
  NON_STRING_KEY: 'a key must be plain text',
  RESOURCE_EXHAUSTION: 'this is nested too deeply',
  TAB_AS_INDENT: 'a tab is used for indentation: YAML takes spaces only',
  TAG_RESOLVE_FAILED: 'a tag (!name) is not known here: leave it out',
  UNEXPECTED_TOKEN: 'this does not belong here: put a value with special characters in quotes',
};

const BY_MESSAGE: readonly (readonly [RegExp, string])[] = [
  [/closing ["']quote/, 'a quote is opened further up and not closed'],
  [/Implicit map keys/, 'a key has no colon: write it as `key: value`'],
  [/item without -/, 'a list item has no `- ` before it'],
  [
    /Comments must be/,
    'a # needs a space before it to begin a comment: put the value in quotes if it is none',
  ],
];

/** What is known to stand behind such complaints, by the line that they point at. */
const BY_LINE: readonly (readonly [RegExp, string])[] = [
  [/[[{,].*\$\{/, `inside [ ] and { } a \${…} needs quotes`],
  [/:\s+\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]/, 'an IPv6 address needs quotes: "[::]:8080"'],
];

/** Complaints behind which all of the file can still be read as a tree. */
const HARMLESS = new Set(['TAG_RESOLVE_FAILED', 'BAD_DIRECTIVE']);
/** Complaints behind which a part of it can. */
const PARTIAL = new Set([...HARMLESS, 'MULTIPLE_DOCS']);

export interface SyntaxComplaint {
  readonly code: string;
  readonly message: string;
}

/** Whether every line belongs to the tree, so that the tree knows what of it may be shown. */
export function isHarmless(complaint: SyntaxComplaint): boolean {
  return HARMLESS.has(complaint.code);
}

/** Whether there is no tree to go on with. */
export function isFatal(complaint: SyntaxComplaint): boolean {
  return !PARTIAL.has(complaint.code);
}

/** What is wrong and how to mend it, without quoting the file. */
export function explainSyntax(complaint: SyntaxComplaint, line: string): string {
  const known = BY_MESSAGE.find(([pattern]) => pattern.test(complaint.message))?.[1];
  const likely = BY_LINE.find(([pattern]) => pattern.test(line))?.[1];
  const said = known ?? BY_CODE[complaint.code] ?? 'this cannot be read as YAML';
  return likely === undefined ? said : `${said} (${likely})`;
}
