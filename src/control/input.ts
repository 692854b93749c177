import type { z } from 'zod';
import { ControlError, type Spec } from './operation.ts';
import { printable } from './printable.ts';

/** Longest part of an unknown field's name that is said back, in UTF-16 units. */
const MAX_NAME_LENGTH = 40;
/** Problems that are told of one call. */
const MAX_PROBLEMS = 3;

/**
 * What was asked, checked.
 * @throws ControlError CONTROL_INVALID, which names fields and types and never a value: it may be a token
 */
export function readInput<I>({ input }: Pick<Spec<I>, 'input'>, given: unknown): I {
  const read = input.safeParse(given);
  if (read.success) return read.data;
  const problems = read.error.issues.slice(0, MAX_PROBLEMS).map((issue) => describe(issue, input));
  throw new ControlError('CONTROL_INVALID', problems.join('; '));
}

function describe(issue: z.core.$ZodIssue, schema: unknown): string {
  const place = issue.path.map(String).join('.');
  const where = place === '' ? '' : `${clip(place)}: `;
  if (issue.code === 'unrecognized_keys') return `${where}${unknownField(issue, schema)}`;
  const message = issue.message.replace(/^Invalid input: /, '');
  return `${where}${message.endsWith(' received undefined') ? 'is required' : message}`;
}

function unknownField({ keys, path }: z.core.$ZodIssueUnrecognizedKeys, schema: unknown): string {
  const [name = ''] = keys;
  const known = path.length === 0 ? fieldsOf(schema) : [];
  const there = known.length === 0 ? '' : `; there are ${known.join(', ')}`;
  return `unknown field ${JSON.stringify(clip(name))}${there}`;
}

function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null || !('shape' in schema)) return [];
  return Object.keys(schema.shape ?? {});
}

/** It is logged, and sent back in a header. */
function clip(text: string): string {
  return printable(text.slice(0, MAX_NAME_LENGTH));
}
