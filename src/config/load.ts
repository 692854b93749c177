import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  Lexer,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import { type Disclosure, discloseTree, isSecretKey } from './disclosure.ts';
import { type Environment, expand } from './environment.ts';
import { noticesOf } from './notices.ts';
import { opsListen } from './ops.ts';
import { formatPath, outline, type Path } from './outline.ts';
import { type Fault, place } from './place.ts';
import { ConfigError, type ConfigNotice, type ConfigProblem } from './problems.ts';
import { resolveConfig } from './resolve.ts';
import type { Config, HostPort } from './schema.ts';
import {
  type Discarded,
  find,
  type SourceMap,
  type SourceNode,
  type SourceScalar,
  type Span,
  toPlain,
  UNRESOLVED,
} from './source.ts';
import { explainSyntax, isFatal, isHarmless } from './syntax.ts';
import { validate } from './validate.ts';

export {
  ConfigError,
  type ConfigNotice,
  type ConfigProblem,
  formatNotices,
  formatProblems,
} from './problems.ts';

/** What a ConfigMap may hold, and above what thousands of routes take: the parser takes up to some hundred times as much memory. */
const MAX_FILE_CHARACTERS = 1024 * 1024;
/** No text that long takes more bytes: what does is not even read. */
const MAX_FILE_BYTES = 4 * MAX_FILE_CHARACTERS;
const TOO_LARGE = 'the file is larger than 1 MiB';
/** Deeper text makes the parser run out of stack, which Node does not always survive. */
const MAX_NESTING = 64;
/** Columns of indentation; the same danger by another way. */
const MAX_INDENTATION = 256;
/** Values that aliases may stand for in all, so that a few lines cannot multiply to millions. */
const MAX_ALIASED_VALUES = 10_000;

/** A config that can be used. */
export interface LoadedConfig {
  readonly config: Config;
  /** In the order of the file. */
  readonly notices: readonly ConfigNotice[];
  /** Every file that it names, absolute. */
  readonly files: readonly string[];
}

/**
 * Reads and checks a config file.
 * @throws ConfigError CONFIG_UNREADABLE, or CONFIG_INVALID with every problem of the file
 */
export function readConfig(file: string, env: Environment = process.env): LoadedConfig {
  let text: string | undefined;
  try {
    if (statSync(file).size <= MAX_FILE_BYTES) text = readFileSync(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    const message = `cannot be read (${code}): name another file with --config FILE`;
    throw new ConfigError('CONFIG_UNREADABLE', [{ file, line: 1, column: 1, path: '', message }], { cause });
  }
  if (text !== undefined) return parseConfig(text, file, env);
  throw new ConfigError('CONFIG_INVALID', [{ file, line: 1, column: 1, path: '', message: TOO_LARGE }]);
}

/** {@link readConfig} for those who want no notices. */
export function loadConfig(file: string): Config {
  return readConfig(file).config;
}

/**
 * The same as {@link readConfig} for text at hand. Files that it names are looked up from the folder of `file`, which
 * itself is not read.
 * @throws ConfigError CONFIG_INVALID
 */
export function parseConfig(text: string, file: string, env: Environment): LoadedConfig {
  const reading = begin(text, env);
  const root = readTree(reading);
  const report = (faults: readonly Fault[], disclosure?: Disclosure) =>
    toProblems(faults, file, reading.lines, disclosure);
  // No line is shown: where the syntax is broken nobody knows which text belongs to a secret.
  const complaints = report(reading.complaints);
  if (root === undefined) throw new ConfigError('CONFIG_INVALID', inOrder(complaints));
  const { accepted, findings } = validate(toPlain(root, outline), resolve(dirname(file)));
  const disclosure = discloseTree(text, root, reading.discarded);
  const faults = [...reading.faults, ...place(findings, root, disclosure)];
  const problems = inOrder([...complaints, ...report(faults, disclosure)]);
  if (accepted === undefined || problems.length > 0) throw new ConfigError('CONFIG_INVALID', problems);
  const config = resolveConfig(accepted.settings, accepted.files);
  const notices = inOrder(report(place(noticesOf(config), root, disclosure), disclosure));
  return { config, notices, files: [...accepted.files.values()].map(({ path }) => path) };
}

/**
 * Where the ops port is, by a file that may have problems, or be gone: the process that is asked for its health may have been
 * started with another one, and goes on.
 */
export function readOpsListen(file: string, env: Environment = process.env): HostPort {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // ENOENT and the like: the default stands
  }
  const root = readTree(begin(text, env));
  if (root === undefined) return opsListen(undefined);
  const { node, found } = find(root, ['ops', 'listen']);
  return opsListen(found && node.kind === 'scalar' ? node.value : undefined);
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** An anchored value is read once for each of its aliases, and would repeat its faults. */
function toProblems(
  faults: readonly Fault[],
  file: string,
  lines: LineCounter,
  disclosure: Disclosure | undefined,
): ConfigProblem[] {
  const problems = new Map<string, ConfigProblem>();
  for (const { offset, path, message } of faults) {
    const { line, col: column } = lines.linePos(offset);
    const excerpt = disclosure?.excerpt(offset);
    const shown = excerpt === undefined ? {} : { excerpt };
    problems.set(`${offset} ${message}`, { file, line, column, path, message, ...shown });
  }
  return [...problems.values()];
}

/** What is carried along while YAML nodes become source nodes. */
interface Reading {
  readonly text: string;
  readonly lines: LineCounter;
  readonly env: Environment;
  /** About the syntax: of no key, and shown by a stricter rule. */
  readonly complaints: Fault[];
  readonly faults: Fault[];
  readonly discarded: Discarded[];
  readonly anchors: Map<string, ParsedNode>;
  /** Nodes inside which we are, so that an alias to one of them is known for a cycle. */
  readonly open: Set<ParsedNode>;
  /** How many aliases lead to where we are. */
  aliases: number;
  /** Values read through aliases so far. */
  aliased: number;
}

function begin(text: string, env: Environment): Reading {
  return {
    text,
    env,
    lines: new LineCounter(),
    complaints: [],
    faults: [],
    discarded: [],
    anchors: new Map(),
    open: new Set(),
    aliases: 0,
    aliased: 0,
  };
}

/** The file as a tree, or `undefined` and complaints where its syntax does not allow to go on. */
function readTree(reading: Reading): SourceNode | undefined {
  const { text, lines, complaints } = reading;
  const tooLarge = findTooLarge(text);
  if (tooLarge !== undefined) {
    lines.addNewLine(0);
    // Up to there: in a large file the lines alone would take more memory than there may be.
    for (const { index } of text.slice(0, tooLarge.offset).matchAll(/\n/g)) lines.addNewLine(index + 1);
    complaints.push(tooLarge);
    return undefined;
  }
  const options = {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: false,
    resolveKnownTags: false,
  } as const;
  const document = parseDocument(text, options);
  complain(document, reading);
  if (document.errors.some(isFatal)) return undefined;
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null))
    return { kind: 'map', span: { start: 0, end: 0 }, entries: new Map() };
  if (isMap(root)) return readNode(root, [], reading);
  complaints.push({
    offset: root.range[0],
    path: '',
    message: 'the file must be a mapping: lines of `key: value`, like `channels:`',
  });
  return undefined;
}

/** One a line: what follows the first complaint is mostly its echo. */
function complain(document: Document.Parsed, { text, lines, complaints, faults }: Reading): void {
  const done = new Set<number>();
  for (const complaint of [...document.errors, ...document.warnings]) {
    const offset = openingOf(complaint.pos[0], document) ?? complaint.pos[0];
    const { line } = lines.linePos(offset);
    if (done.has(line)) continue;
    done.add(line);
    const content = text.slice(lines.lineStarts[line - 1], lines.lineStarts[line]);
    const fault = { offset, path: '', message: explainSyntax(complaint, content) };
    if (isHarmless(complaint) && !document.errors.some(isFatal)) faults.push(fault);
    else complaints.push(fault);
  }
}

/** The parser points at the end of an unclosed quote, which is the end of the file; its beginning is what helps. */
function openingOf(offset: number, document: Document.Parsed): number | undefined {
  let opening: number | undefined;
  visit(document, {
    Scalar(_, { type, range }) {
      if (type?.startsWith('QUOTE') && range?.[1] === offset) opening = range[0];
    },
  });
  return opening;
}

/** What must not reach the parser. */
function findTooLarge(text: string): Fault | undefined {
  const path = '';
  if (text.length > MAX_FILE_CHARACTERS) return { offset: 0, path, message: TOO_LARGE };
  const offset = findTooDeep(text);
  return offset === undefined
    ? undefined
    : { offset, path, message: 'this is nested too deeply for a config' };
}

function findTooDeep(text: string): number | undefined {
  let [offset, flow, line] = [0, 0, 0];
  let lineStart = true;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'flow-map-start' || type === 'flow-seq-start') flow += 1;
    if (type === 'flow-map-end' || type === 'flow-seq-end') flow -= 1;
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') line += 1;
    if (flow + line > MAX_NESTING || (lineStart && type === 'space' && token.length > MAX_INDENTATION))
      return offset;
    lineStart = type === 'newline';
    if (lineStart) line = 0;
    // The lexer marks some tokens by a character that is not in the text.
    if (type !== 'doc-mode' && type !== 'flow-error-end' && type !== 'scalar') offset += token.length;
  }
  return undefined;
}

function readNode(node: ParsedNode, path: Path, reading: Reading): SourceNode {
  const span = spanOf(node);
  if (reading.aliases > 0) reading.aliased += 1;
  if (reading.aliased > MAX_ALIASED_VALUES) return unresolved(span);
  if (isAlias(node)) return readAlias(node.source, span, path, reading);
  if (node.anchor !== undefined) reading.anchors.set(node.anchor, node);
  if (isScalar(node)) return readScalar(node, span, path, reading);
  reading.open.add(node);
  const read: SourceNode = isMap(node)
    ? { kind: 'map', span, entries: readEntries(node, path, reading) }
    : {
        kind: 'list',
        span,
        items: node.items.map((item, index) => readNode(item, [...path, index], reading)),
      };
  reading.open.delete(node);
  return read;
}

function readEntries(map: YAMLMap.Parsed, path: Path, reading: Reading): SourceMap['entries'] {
  const entries = new Map<string, { key: Span; value: SourceNode }>();
  for (const pair of map.items) {
    const name = isScalar(pair.key) ? String(pair.key.value) : '';
    const key = spanOf(pair.key);
    const here = [...path, name];
    const first = entries.get(name);
    if (first !== undefined) {
      const { line } = reading.lines.linePos(first.key.start);
      const message = `is given twice, the first time on line ${line}: keep one`;
      reading.faults.push({ offset: key.start, path: formatPath(here), message });
    }
    const value = pair.value === null ? nothingAt(key) : readNode(pair.value, here, reading);
    if (first === undefined) entries.set(name, { key, value });
    else reading.discarded.push({ path: here, node: value });
  }
  return entries;
}

function readAlias(name: string, span: Span, path: Path, reading: Reading): SourceNode {
  const target = reading.anchors.get(name);
  const cyclic = target !== undefined && reading.open.has(target);
  if (target === undefined || cyclic) {
    const message = cyclic
      ? 'is an alias of something around it'
      : 'is an alias of an anchor that is not above it';
    reading.faults.push({ offset: span.start, path: formatPath(path), message });
    return unresolved(span);
  }
  reading.aliases += 1;
  const before = reading.aliased;
  const read = readNode(target, path, reading);
  reading.aliases -= 1;
  if (before <= MAX_ALIASED_VALUES && reading.aliased > MAX_ALIASED_VALUES && reading.aliases === 0) {
    const message = `repeats too much: aliases may stand for ${MAX_ALIASED_VALUES} values in all`;
    reading.faults.push({ offset: span.start, path: formatPath(path), message });
  }
  return { ...read, span };
}

function readScalar(node: Scalar, span: Span, path: Path, reading: Reading): SourceScalar {
  const { value } = node;
  const scalar = { kind: 'scalar', span, written: span, variables: [] } as const;
  if (typeof value === 'number' || typeof value === 'boolean') return { ...scalar, value };
  if (typeof value !== 'string') return { ...scalar, value: undefined };
  const { text, variables, faults } = expand(value, reading.env, { isSecret: isSecretKey(path) });
  for (const { opening, message } of faults) {
    const offset = openingOffset(reading.text, span, opening);
    reading.faults.push({ offset, path: formatPath(path), message });
  }
  if (faults.length > 0) return { ...scalar, value: UNRESOLVED, variables };
  // An empty variable in a place of its own is like nothing written there.
  return { ...scalar, value: variables.length > 0 && text === '' ? undefined : text, variables };
}

/** Where the n-th `${` of a scalar stands; its beginning, where escapes hide it. */
function openingOffset(text: string, span: Span, opening: number): number {
  const openings = [...text.slice(span.start, span.end).matchAll(/\$\{/g)];
  return span.start + (openings[opening]?.index ?? 0);
}

function nothingAt(span: Span): SourceScalar {
  return { kind: 'scalar', span, written: span, value: undefined, variables: [] };
}

function unresolved(span: Span): SourceScalar {
  return { kind: 'scalar', span, written: span, value: UNRESOLVED, variables: [] };
}

/** Without the comment and white space that the parser counts in behind it. */
function spanOf(node: ParsedNode): Span {
  const [start, end] = node.range;
  return { start, end };
}
