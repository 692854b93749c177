import { z } from 'zod';
import { Misread } from './misread.ts';

/** How a key's value is written; what reads the outline acts on it. */
export type Form =
  | 'section'
  /** A mapping whose keys are the operator's own. */
  | 'record'
  /** One of its items, alone, stands for a list of one. */
  | 'list'
  /** A value, or a section in its place. */
  | 'either'
  | 'text'
  | 'count'
  | 'flag'
  | 'choice'
  | 'duration'
  | 'size'
  | 'rate'
  | 'range'
  /** A path; checked when the config is loaded, relative to the config file's folder. */
  | 'file'
  /** A path to a file whose content is the value. */
  | 'secret-file'
  /** A mapping that is passed on as it is. */
  | 'jwk';

/** Everything about a key that is not its place: the one source of messages, JSON Schema, example and reference. */
export interface KeyDoc {
  readonly form: Form;
  /** What it means and when to change it, in whole sentences; Markdown code spans are allowed. */
  readonly description: string;
  /** The kind of value in a few words, with its bounds. */
  readonly type: string;
  /** The value's JSON Schema, environment placeholders apart. */
  readonly json: Readonly<Record<string, unknown>>;
  /** As written in the file; shown where there is no default to show. */
  readonly example?: string;
  /** Why it must be there; it has no default then. */
  readonly required?: string;
  /** In Markdown, what holds where it is left out: where that depends on other keys it has no default to show. */
  readonly fallback?: string;
  /** A pattern: text that matches is never shown, in no message and no excerpt. */
  readonly secret?: string;
}

/** The `secret` of a key whose every value is one. */
export const ANY_TEXT = '^';

/** Keyed by schema, so that a key's documentation cannot lose its key. */
export const keyDocs = z.registry<KeyDoc>();

/** `params` of the issues that a value's reader raises. */
export interface ValueIssueParams {
  /** Stands behind the message where the value may be shown. */
  readonly fix?: string;
}

export interface ValueOptions {
  readonly description: string;
  readonly example?: string;
  readonly secret?: string;
  /** Without it a missing key is left to `.prefault` or `.optional`. */
  readonly required?: string;
  readonly fallback?: string;
}

export interface ValueKind<T> {
  readonly form: Form;
  readonly type: string;
  readonly json: Readonly<Record<string, unknown>>;
  /** What is said behind "expected": never quotes the value. */
  readonly expected: string;
  readonly read: (input: unknown) => T | Misread;
}

/** One key with one value. */
export function value<T>(kind: ValueKind<T>, options: ValueOptions): z.ZodType<T, unknown> {
  const { form, type, json } = kind;
  const schema = z.unknown().transform((input, context): T => {
    const read = kind.read(input);
    if (!(read instanceof Misread)) return read;
    const isMissing = input === undefined && options.required !== undefined;
    const message = isMissing ? `is required: ${options.required}` : `expected ${kind.expected}`;
    const params: ValueIssueParams = read.fix === undefined ? {} : { fix: read.fix };
    context.addIssue({ code: 'custom', message, params: { ...params } });
    return z.NEVER;
  }) as unknown as z.ZodType<T, unknown>;
  keyDocs.add(schema, { form, type, json, ...options });
  return schema;
}

/** A mapping of known keys; any other key is an error. */
export function section<S extends z.ZodRawShape>(
  description: string,
  shape: S,
): z.ZodObject<S, z.core.$strict> {
  const schema = z.strictObject(shape);
  keyDocs.add(schema, { form: 'section', description, type: 'mapping', json: {} });
  return schema;
}

/** A value, or in its place a mapping of known keys. */
export function either<V extends z.ZodType, M extends z.ZodObject>(
  alone: V,
  mapping: M,
  options: Omit<ValueOptions, 'secret' | 'required'> = {
    description: keyDocs.get(mapping)?.description ?? '',
  },
): z.ZodUnion<readonly [V, M]> {
  const schema = z.union([alone, mapping]);
  const type = `${keyDocs.get(alone)?.type}, ${keyDocs.get(mapping)?.type}`;
  keyDocs.add(schema, { form: 'either', type, json: {}, ...options });
  return schema;
}

/** A mapping whose keys the operator chooses. */
export function record<T extends z.ZodType>(
  each: T,
  options: ValueOptions & Pick<KeyDoc, 'type' | 'json'>,
): z.ZodRecord<z.ZodString, T> {
  const schema = z.record(z.string(), each);
  keyDocs.add(schema, { form: 'record', ...options });
  return schema;
}

/** A list of values of one kind. */
export function list<T extends z.ZodType>(item: T, options: Omit<ValueOptions, 'secret'>): z.ZodArray<T> {
  const schema = z.array(item);
  const { type = '', secret } = keyDocs.get(item) ?? {};
  const doc = { form: 'list', type: `list: ${type}`, json: {}, ...options } as const;
  keyDocs.add(schema, secret === undefined ? doc : { ...doc, secret });
  return schema;
}
