import { z } from 'zod';
import { type KeyDoc, keyDocs } from './keys.ts';
import { configSchema } from './schema.ts';

const ENVIRONMENT = '#/$defs/environment';

/**
 * The config file's JSON Schema (draft 2020-12), for editors: it describes values as they are written, so `15s` is a
 * string and `${NAME}` may stand in any value. The rules over several keys are not in it.
 */
export function jsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override({ zodSchema, jsonSchema: fragment, path }) {
      const doc = keyDocs.get(zodSchema);
      if (doc !== undefined) Object.assign(fragment, describe(doc, { isItem: path.at(-1) === 'items' }));
    },
  });
  return {
    ...schema,
    type: 'object',
    title: 'Sidestream configuration',
    $defs: {
      environment: {
        description:
          'A value from the environment, alone or within other text: see "Values from the environment".',
        type: 'string',
        pattern: '\\$\\{',
      },
    },
  };
}

/** Every optional key may also be left empty: YAML's null counts as not given. An item of a list may not. */
function describe(doc: KeyDoc, { isItem }: { isItem: boolean }): Readonly<Record<string, unknown>> {
  const { description, example, form, json, required } = doc;
  if (form === 'record') return { description, ...json };
  if (form === 'section') return { description, type: ['object', 'null'] };
  if (form === 'list') return { description, type: ['array', 'null'] };
  const empty = required || isItem ? [] : [{ type: 'null' }];
  const examples = example === undefined ? {} : { examples: [example] };
  return { description, ...examples, anyOf: [json, { $ref: ENVIRONMENT }, ...empty] };
}
