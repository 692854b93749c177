import { type Excerpt, excerpt, HIDDEN, type Mask, Masks } from './excerpt.ts';
import { ANY_TEXT } from './keys.ts';
import { KEY_NAME, lookUp, type Path, walk } from './outline.ts';
import {
  type Discarded,
  keySpans,
  type SourceNode,
  type SourceScalar,
  scalars,
  scalarsAt,
  UNRESOLVED,
} from './source.ts';

/**
 * What of the config file may be shown. Three things may not: what a secret key holds, what came from the environment,
 * and what stands under an unknown key, which may be a secret key misspelt.
 */
export interface Disclosure {
  /** Whether a message may quote what stands at and below a path. */
  mayQuote(path: Path): boolean;
  /** Why it may not be quoted, where it may not. */
  reasonAt(paths: readonly Path[]): string;
  /** The line around an offset, masked. */
  excerpt(offset: number): Excerpt;
}

/** RFC 7517 4, 7518 6. What else stands among them may be a value whose name was forgotten. */
const JWK_MEMBERS = new Set('kty use key_ops alg kid k n e crv x y d p q dp dq qi'.split(' '));

/** For a file that could be read as a tree. */
export function discloseTree(text: string, root: SourceNode, discarded: readonly Discarded[]): Disclosure {
  const all = [...scalars(root), ...discarded.flatMap(({ node, path }) => [...scalars(node, path)])];
  const trees = [root, ...discarded.map(({ node }) => node)];
  const odd = trees
    .flatMap((tree) => [...keySpans(tree)])
    .filter(({ name, under }) => !KEY_NAME.test(name) || (under === 'jwk' && !JWK_MEMBERS.has(name)));
  const masks = [
    ...all.flatMap(({ path, scalar }) => maskOf(path, scalar)),
    ...odd.map(({ span }) => ({ ...span, text: HIDDEN })),
  ];
  const hidden = new Set(masks.map((mask) => mask.start));
  const placed = new Masks(masks);
  const hiddenAt = (path: Path) =>
    [...scalarsAt(root, path)].filter(({ scalar }) => hidden.has(scalar.written.start));
  return {
    mayQuote: (path) => hiddenAt(path).length === 0,
    reasonAt(paths) {
      const names = paths.flatMap(hiddenAt).flatMap(({ scalar }) => scalar.variables);
      if (names.length === 0) return 'not shown: it may be a secret';
      return `not shown: it comes from the environment, ${[...new Set(names)].join(', ')}`;
    },
    excerpt: (offset) => excerpt(text, placed, offset),
  };
}

function maskOf(path: Path, scalar: SourceScalar): Mask[] {
  const { written, value, variables } = scalar;
  if (value === undefined) return [];
  if (isSecret(path, value)) return [{ ...written, text: HIDDEN }];
  if (variables.length > 0) return [{ ...written, text: variables.map((name) => `\${${name}}`).join('…') }];
  return value === UNRESOLVED ? [{ ...written, text: HIDDEN }] : [];
}

/** Whether whatever stands there is a secret: not so of URLs, which are only with a password in them. */
export function isSecretKey(path: Path): boolean {
  return path.some((_, index) => lookUp(path.slice(0, index + 1))?.doc.secret === ANY_TEXT);
}

function isSecret(path: Path, value: unknown): boolean {
  for (let length = 1; length <= path.length; length++) {
    const key = lookUp(path.slice(0, length));
    if (key === undefined) return true;
    const { secret } = key.doc;
    if (secret !== undefined && (value === UNRESOLVED || new RegExp(secret).test(String(value)))) return true;
  }
  // A value where a section belongs may be meant for any key of it.
  return [...walk(lookUp(path))].some(({ key }) => key.doc.secret !== undefined);
}
