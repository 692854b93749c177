import { z } from 'zod';
import type { OperationKind, Spec } from './operation.ts';
import { SPECS } from './operations/all.ts';
import { MAX_BYTES } from './payload.ts';
import { CONTROL_STATUS } from './status.ts';

/** JSON Schema of an object, as zod writes it. */
export interface ObjectSchema {
  readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly required: readonly string[];
  readonly [keyword: string]: unknown;
}

/** What HTTP must know of an operation. */
export interface HttpOperation {
  readonly name: string;
  readonly kind: OperationKind;
  readonly fields: ObjectSchema['properties'];
  readonly maxBytes: number;
}

/** How the control plane looks over HTTP; no process has less of it than another. */
export const CONTROL_HTTP = {
  operations: SPECS.map(
    (spec): HttpOperation => ({
      name: spec.name,
      kind: spec.kind,
      fields: inputSchema(spec).properties,
      maxBytes: spec.maxBytes ?? MAX_BYTES,
    }),
  ),
  statusOf: (code: string): number => new Map(Object.entries(CONTROL_STATUS)).get(code) ?? 500,
} as const;

/** The fields that a call may bring. */
export function inputSchema({ input }: Spec): ObjectSchema {
  return objectSchema(input, 'input');
}

/** What a schema of an object says as JSON Schema 2020-12, which is that of OpenAPI 3.1. */
export function objectSchema(schema: z.ZodType, io: 'input' | 'output'): ObjectSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return { properties: {}, required: [], ...rest } as ObjectSchema;
}
