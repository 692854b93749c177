import { z } from 'zod';
import { Misread } from './misread.ts';

/** How a key's value is written; what reads the outline acts on it. */
export type Form =
  | 'section'
  | 'record'
  | 'list'
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
  | 'secret-file';

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
  /** It has no default and must be there. */
  readonly required?: true;
  /** A pattern: text that matches is never shown, in no message and no excerpt. */
  readonly secret?: string;
}

/** Keyed by schema, so that a key's documentation cannot lose its key. */
export const keyDocs = z.registry<KeyDoc>();

/** `params` of the issues that a value's reader raises. */
export interface ValueIssueParams {
  /** Stands behind the message where the value may be shown. */
  readonly fix?: string;
  /** The key is not there at all, so nothing was received. */
  readonly missing?: true;
}

export interface ValueOptions {
  readonly description: string;
  readonly example?: string;
  readonly secret?: string;
  /** Why the key must be there; without it a missing key is left to `.prefault` or `.optional`. */
  readonly required?: string;
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
  const { required, ...doc } = options;
  const schema = z.unknown().transform((input, context): T => {
    const read = kind.read(input);
    if (!(read instanceof Misread)) return read;
    const missing = input === undefined && required !== undefined;
    const params: ValueIssueParams = {
      ...(read.fix === undefined ? {} : { fix: read.fix }),
      ...(missing ? { missing } : {}),
    };
    const message = missing ? `is required: ${required}` : `expected ${kind.expected}`;
    context.addIssue({ code: 'custom', message, params: { ...params } });
    return z.NEVER;
  }) as unknown as z.ZodType<T, unknown>;
  keyDocs.add(schema, { form, type, json, ...doc, ...(required === undefined ? {} : { required: true }) });
  return schema;
}

/** A mapping of known keys; any other key is an error. */
export function section<S extends z.ZodRawShape>(
  description: string,
  shape: S,
): z.ZodObject<S, z.core.$strict> {
  const schema = z.strictObject(shape);
  keyDocs.add(schema, { form: 'section', description, type: 'section', json: {} });
  return schema;
}

/** A list of values of one kind. */
export function list<T>(
  item: z.ZodType<T, unknown>,
  options: Omit<ValueOptions, 'required'>,
): z.ZodArray<z.ZodType<T, unknown>> {
  const schema = z.array(item);
  keyDocs.add(schema, { form: 'list', type: `list: ${keyDocs.get(item)?.type ?? ''}`, json: {}, ...options });
  return schema;
}
