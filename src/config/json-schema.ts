import { z } from 'zod';
import { type KeyDoc, keyDocs } from './keys.ts';
import { configSchema } from './schema.ts';

type Fragment = Readonly<Record<string, unknown>>;

const DEFINITIONS = '#/$defs';
const EMPTY: Fragment = { type: 'null' };

/**
 * The config file's JSON Schema (draft 2020-12), for editors: it describes values as they are written, so `15s` is a
 * string and `${NAME}` may stand in any value. The rules over several keys are not in it.
 */
export function jsonSchema(): object {
  const environment = {
    description:
      'A value from the environment, alone or within other text: see "Values from the environment".',
    type: 'string',
    pattern: '\\$\\{',
  };
  /** Items of lists, by the names of their keys: an item stands in its list, or alone for a list of one. */
  const items: Record<string, unknown> = {};
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override({ zodSchema, jsonSchema: fragment, path }) {
      const doc = keyDocs.get(zodSchema);
      if (doc === undefined) return;
      // Every optional key may also be left empty: YAML's null counts as not given.
      const orEmpty = path.at(-2) === 'properties' && doc.required === undefined ? [EMPTY] : [];
      if (doc.form !== 'list') {
        const { anyOf: forms = [] } = fragment;
        Object.assign(fragment, describe(doc, orEmpty, forms));
        return;
      }
      const name = path.filter((_, index) => path[index - 1] === 'properties').join('.');
      items[name] = fragment.items;
      const item = { $ref: `${DEFINITIONS}/${name}` };
      delete fragment.type;
      delete fragment.items;
      const { description } = doc;
      Object.assign(fragment, { description, anyOf: [{ type: 'array', items: item }, item, ...orEmpty] });
    },
  });
  return { ...schema, type: 'object', title: 'Sidestream configuration', $defs: { environment, ...items } };
}

/** `forms`: what zod has made of the value and of the section that may stand for it, where it is either. */
function describe(doc: KeyDoc, orEmpty: readonly Fragment[], forms: readonly unknown[]): Fragment {
  const { description, example, form, json } = doc;
  if (form === 'either') return { description, anyOf: [...forms, ...orEmpty] };
  if (form === 'record') return { description, ...json };
  if (form === 'section') return { description, type: ['object', ...orEmpty.map(({ type }) => type)] };
  const examples = example === undefined ? {} : { examples: [example] };
  return { description, ...examples, anyOf: [json, { $ref: `${DEFINITIONS}/environment` }, ...orEmpty] };
}
