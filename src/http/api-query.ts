import { ApiRefusal } from './api-refusal.ts';

/** What is read of the JSON Schema of a field. */
export interface FieldSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly FieldSchema[];
  readonly items?: FieldSchema;
}

/** Longest part of an unknown field's name that is said back, in UTF-16 units. */
const MAX_NAME_LENGTH = 40;
const DIGITS = /^-?\d{1,15}(\.\d{1,15})?$/;

/**
 * The fields of a query, each as what its schema says it is: nothing is taken for a number because it looks like one. Whether
 * they are right is for the operation to say.
 * @throws ApiRefusal CONTROL_MALFORMED, CONTROL_INVALID
 */
export function readQuery(
  query: string,
  fields: Readonly<Record<string, FieldSchema>>,
): Readonly<Record<string, unknown>> {
  checkEncoding(query);
  const given = new Map<string, string[]>();
  for (const [name, text] of new URLSearchParams(query)) {
    if (!Object.hasOwn(fields, name)) throw unknownField(name, Object.keys(fields));
    given.set(name, [...(given.get(name) ?? []), text]);
  }
  return Object.fromEntries(
    [...given].map(([name, texts]) => [name, readField(name, texts, fields[name] ?? {})]),
  );
}

// URLSearchParams puts U+FFFD where bytes are no UTF-8: a name that nobody sent.
function checkEncoding(query: string): void {
  try {
    decodeURIComponent(query);
  } catch {
    // URIError
    throw new ApiRefusal('CONTROL_MALFORMED', 'the query is not percent-encoded UTF-8');
  }
}

function readField(name: string, texts: readonly string[], schema: FieldSchema): unknown {
  const types = typesOf(schema);
  const [first = ''] = texts;
  if (types.has('string') && texts.length === 1) return first;
  if (types.has('array')) {
    const items = itemsOf(schema);
    return texts.flatMap((text) => text.split(',')).map((text) => readField(name, [text], items));
  }
  if (texts.length > 1) throw invalid(`${name} is given ${texts.length} times`);
  if (types.has('number') || types.has('integer')) return readNumber(name, first);
  if (types.has('boolean')) return readFlag(name, first);
  throw invalid(`${name} cannot be written in a query`);
}

function readNumber(name: string, text: string): number {
  if (DIGITS.test(text)) return Number(text);
  throw invalid(`${name} must be a number, written as digits`);
}

function readFlag(name: string, text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalid(`${name} must be true or false`);
}

function typesOf(schema: FieldSchema): ReadonlySet<string> {
  const { type = [], anyOf = [] } = schema;
  const values = [...(schema.enum ?? []), ...('const' in schema ? [schema.const] : [])];
  return new Set([
    ...(typeof type === 'string' ? [type] : type),
    ...values.map((value) => typeof value),
    ...anyOf.flatMap((one) => [...typesOf(one)]),
  ]);
}

function itemsOf(schema: FieldSchema): FieldSchema {
  return schema.items ?? schema.anyOf?.find((one) => one.items !== undefined)?.items ?? {};
}

function unknownField(name: string, known: readonly string[]): ApiRefusal {
  const there = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`;
  return invalid(`unknown field ${JSON.stringify(name.slice(0, MAX_NAME_LENGTH))}; ${there}`);
}

function invalid(message: string): ApiRefusal {
  return new ApiRefusal('CONTROL_INVALID', message);
}
