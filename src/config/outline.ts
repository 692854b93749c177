import { z } from 'zod';
import { type KeyDoc, keyDocs } from './keys.ts';
import { configSchema } from './schema.ts';

/** A place in the config: names of keys and indices of list items, from the top. */
export type Path = readonly (string | number)[];

/** The schema as a tree to walk: what messages, the JSON Schema, the example and the reference are made from. */
export interface Outline {
  readonly doc: KeyDoc;
  /** In the form in which it is written; `undefined` where there is none. */
  readonly default: unknown;
  /** The keys of a section, or of the one that may stand for a value, in their order. */
  readonly keys: ReadonlyMap<string, Outline>;
  /** What every value of a record, or every item of a list, is. */
  readonly each: Outline | undefined;
}

/** The whole config. */
export const outline: Outline = outlineOf(configSchema);

/** What the schema says about a path; `undefined` for keys that it does not know. A list of one may lack its index. */
export function lookUp(path: Path): Outline | undefined {
  return path.reduce(below, outline);
}

/** What the schema says about what one step leads to. */
export function below(key: Outline | undefined, step: string | number): Outline | undefined {
  if (typeof step === 'number') return key?.each;
  const here = key?.doc.form === 'list' ? key.each : key;
  return here?.doc.form === 'record' ? here.each : here?.keys.get(step);
}

/** The keys in a section, in each section of a list or record, or in the section that may stand for a value. */
export function keysIn(key: Outline): Outline['keys'] {
  return key.each === undefined ? key.keys : keysIn(key.each);
}

/** Every key with its path, sections before what is in them; a record's own names stand as `*`, a list's indices are left out. */
export function* walk(from: Outline = outline, path: Path = []): Generator<{ path: Path; key: Outline }> {
  for (const [name, key] of from.keys) {
    yield { path: [...path, name], key };
    yield* walk(key, [...path, name]);
  }
  if (from.each !== undefined) yield* walk(from.each, from.doc.form === 'record' ? [...path, '*'] : path);
}

/** What may be the name of a key. Anything else is not shown: it may be a secret in the wrong place, or drive a terminal. */
export const KEY_NAME = /^[\w.*-]{1,64}$/;

/** `nats.servers[0]`: a path as it is shown. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    const name = KEY_NAME.test(step) ? step : '?';
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

function outlineOf(schema: unknown): Outline {
  let [inner, written] = [schema, undefined as unknown];
  while (inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) {
    if (inner instanceof z.ZodPrefault) written = inner.def.defaultValue;
    inner = inner.unwrap();
  }
  if (!(inner instanceof z.ZodType)) throw new TypeError('not a schema');
  const doc = keyDocs.get(inner);
  if (doc === undefined) throw new TypeError(`a key of the config has no documentation: ${inner.def.type}`);
  const mapping = inner instanceof z.ZodUnion ? inner.options.at(-1) : inner;
  const keys = mapping instanceof z.ZodObject ? Object.entries(mapping.shape) : [];
  const each =
    inner instanceof z.ZodRecord ? inner.valueType : inner instanceof z.ZodArray ? inner.element : undefined;
  return {
    doc,
    default: written,
    keys: new Map(keys.map(([name, key]) => [name, outlineOf(key)])),
    each: each === undefined ? undefined : outlineOf(each),
  };
}
