import { below, type Outline, type Path } from './outline.ts';

/** A stretch of the file: offsets of its first character and of the one behind its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The file as a tree that remembers where everything stands; variables are replaced, aliases followed. */
export type SourceNode = SourceScalar | SourceMap | SourceList;

export interface SourceScalar {
  readonly kind: 'scalar';
  readonly span: Span;
  /** Where its text stands: elsewhere than `span` if that is an alias. */
  readonly written: Span;
  /** `undefined` for nothing (YAML's null): the same as leaving the key out. */
  readonly value: string | number | boolean | undefined | typeof UNRESOLVED;
  /** The environment variables that it was made from; their values are never shown. */
  readonly variables: readonly string[];
}

export interface SourceMap {
  readonly kind: 'map';
  readonly span: Span;
  readonly entries: ReadonlyMap<string, { readonly key: Span; readonly value: SourceNode }>;
}

export interface SourceList {
  readonly kind: 'list';
  readonly span: Span;
  readonly items: readonly SourceNode[];
}

/** Stands for a value of which another problem was reported already: whatever reads it stays silent about it. */
export const UNRESOLVED = Symbol('unresolved');

/** What a path leads to. */
export interface Found {
  /** Where the path ends early, the last node that is there. */
  readonly node: SourceNode;
  /** The key or item that leads to the node. */
  readonly key: Span | undefined;
  readonly found: boolean;
  /** The path as the file has it: a list of one may stand there without its brackets. */
  readonly path: Path;
}

export function find(root: SourceNode, path: Path): Found {
  let node = root;
  let key: Span | undefined;
  const written: (string | number)[] = [];
  for (const [index, step] of path.entries()) {
    if (typeof step === 'number' && node.kind !== 'list') continue;
    const entry = node.kind === 'map' ? node.entries.get(String(step)) : undefined;
    const next = entry?.value ?? (node.kind === 'list' ? node.items[Number(step)] : undefined);
    if (next === undefined) return { node, key, found: false, path: [...written, ...path.slice(index)] };
    node = next;
    key = entry?.key ?? next.span;
    written.push(step);
  }
  return { node, key, found: true, path: written };
}

/**
 * Where in the file to point for a path: at its value; at its key if the value is empty or the key is what is wrong; at
 * the nearest key around it if it is not there at all.
 */
export function locate({ node, key, found }: Found, at: 'key' | 'value'): number {
  const empty = node.kind === 'scalar' && node.value === undefined;
  return found && at === 'value' && !empty ? node.span.start : (key?.start ?? node.span.start);
}

/** Every key at and below a node. */
export function* keySpans(
  node: SourceNode,
  under = '',
): Generator<{ name: string; under: string; span: Span }> {
  if (node.kind === 'list') for (const item of node.items) yield* keySpans(item, under);
  if (node.kind !== 'map') return;
  for (const [name, { key, value }] of node.entries) {
    yield { name, under, span: key };
    yield* keySpans(value, name);
  }
}

/** What stands in the file but not in the tree: a key given again. It may be as secret as the rest. */
export interface Discarded {
  readonly path: Path;
  readonly node: SourceNode;
}

/** Every scalar at and below a path; none where the path ends early. */
export function scalarsAt(root: SourceNode, path: Path): Iterable<{ path: Path; scalar: SourceScalar }> {
  const { node, found } = find(root, path);
  return found ? scalars(node, path) : [];
}

/** Every scalar at and below a node, with its path. */
export function* scalars(node: SourceNode, path: Path = []): Generator<{ path: Path; scalar: SourceScalar }> {
  if (node.kind === 'scalar') yield { path, scalar: node };
  if (node.kind === 'list')
    for (const [index, item] of node.items.entries()) yield* scalars(item, [...path, index]);
  if (node.kind === 'map')
    for (const [name, { value }] of node.entries) yield* scalars(value, [...path, name]);
}

/**
 * The plain value of a node, for the schema to read. Text from the environment becomes what its key wants, as if it had
 * been written without quotes: nobody can type an environment variable.
 */
export function toPlain(node: SourceNode, key: Outline | undefined): unknown {
  if (node.kind === 'list') return node.items.map((item) => toPlain(item, key?.each));
  if (key?.doc.form === 'list') {
    const item = toPlain(node, key.each);
    return item === undefined ? undefined : [item];
  }
  if (node.kind === 'map') {
    // No prototype: a key may be called `constructor`.
    const plain: Record<string, unknown> = Object.create(null);
    for (const [name, { value }] of node.entries) plain[name] = toPlain(value, below(key, name));
    return plain;
  }
  const { value, variables } = node;
  if (variables.length === 0 || typeof value !== 'string') return value;
  if (key?.doc.form === 'count' && /^\d+$/.test(value)) return Number(value);
  if (key?.doc.form === 'flag' && /^(true|false)$/.test(value)) return value === 'true';
  return value;
}
