import { API_CODES } from './codes.ts';
import { inputSchema, type ObjectSchema, objectSchema } from './http.ts';
import type { Spec } from './operation.ts';
import { SPECS } from './operations/all.ts';
import { CONTROL_STATUS } from './status.ts';

type Json = Readonly<Record<string, unknown>>;

const COMPONENTS = {
  securitySchemes: {
    token: { type: 'http', scheme: 'bearer', description: '`ops.token` of the config.' },
  },
  schemas: {
    Refusal: {
      type: 'object',
      properties: {
        error: {
          type: 'object',
          properties: {
            code: { type: 'string', enum: Object.keys(CONTROL_STATUS) },
            message: { type: 'string', description: 'For people; it may change.' },
          },
          required: ['code', 'message'],
          additionalProperties: false,
        },
      },
      required: ['error'],
      additionalProperties: false,
    },
    Instances: {
      type: 'object',
      description: 'Which instances had a part in the answer, by their ids.',
      properties: {
        answered: { type: 'array', items: { type: 'string' } },
        missing: { type: 'array', items: { type: 'string' }, description: 'Known, and not heard in time.' },
      },
      required: ['answered', 'missing'],
      additionalProperties: false,
    },
  },
} as const;

/** The HTTP API as OpenAPI 3.1: `docs/openapi.json`. `version` is that of the software. */
export function openApi(version: string): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sidestream control plane',
      version,
      description:
        'What operators and backends see of live streams, and do to them. The same over NATS, and in words: control.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:9090', description: '`ops.listen` of any instance.' }],
    security: [{ token: [] }],
    paths: Object.fromEntries(SPECS.map((spec) => [`/api/${spec.name}`, pathOf(spec)])),
    components: COMPONENTS,
  };
}

function pathOf(spec: Spec): Json {
  const { name, kind, summary } = spec;
  const about = { operationId: name, summary, tags: [kind] };
  const schema = inputSchema(spec);
  if (kind === 'read')
    return { get: { ...about, parameters: parametersOf(schema), responses: responsesOf(spec) } };
  const content = { 'application/json': { schema } };
  return { post: { ...about, requestBody: { required: true, content }, responses: responsesOf(spec) } };
}

function parametersOf({ properties, required }: ObjectSchema): Json[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function responsesOf(spec: Spec): Json {
  const byStatus = new Map<number, string[]>();
  for (const code of [...API_CODES, ...spec.codes])
    byStatus.set(CONTROL_STATUS[code], [...(byStatus.get(CONTROL_STATUS[code]) ?? []), code]);
  const refusals = [...byStatus].map(([status, codes]): [string, Json] => [
    String(status),
    response([...new Set(codes)].join(', '), { $ref: '#/components/schemas/Refusal' }),
  ]);
  return { 200: response('Done.', answerSchema(spec)), ...Object.fromEntries(refusals) };
}

/** What an operation answers, over HTTP as over NATS. */
export function answerSchema({ output, fansOut }: Spec): ObjectSchema {
  const schema = objectSchema(output, 'output');
  if (fansOut === undefined) return schema;
  return {
    ...schema,
    properties: { ...schema.properties, instances: { $ref: '#/components/schemas/Instances' } },
    required: [...schema.required, 'instances'],
  };
}

function response(description: string, schema: Json): Json {
  return { description, content: { 'application/json': { schema } } };
}
