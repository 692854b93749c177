import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { exampleYaml } from '../../src/config/example.ts';
import { jsonSchema } from '../../src/config/json-schema.ts';
import { formatPath, type Outline, walk } from '../../src/config/outline.ts';
import { referenceMarkdown } from '../../src/config/reference.ts';
import { parse, ROUTE } from './marked.ts';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

const keys = [...walk()].map(({ path, key }) => ({ name: formatPath(path), path, key }));
const values = keys.filter(({ key }) => key.doc.form !== 'section' && key.doc.form !== 'record');

describe('config.example.yaml', () => {
  it('is what the schema gives: `npm run docs` writes it', () => {
    expect(read('config.example.yaml')).toBe(exampleYaml());
  });

  it('has no problem, and but for its routes is all defaults', () => {
    const example = parse(exampleYaml());
    expect({ ...example, channels: {} }).toEqual({ ...parse(ROUTE), channels: {} });
    expect(Object.keys(example.channels)).toEqual(['prices', 'chat', 'logs']);
  });

  it('can be uncommented key by key: what stands behind # without a space is YAML in its place', () => {
    const uncommented = parseYaml(exampleYaml().replaceAll(/^( +)#(?=\S)/gm, '$1'));
    for (const { path } of values) expect(at(uncommented, path), formatPath(path)).toBeDefined();
  });

  it.each(values)('shows $name with its default or an example, below its description', ({ path, key }) => {
    const lines = exampleYaml().split('\n');
    const line = lines.findIndex((_, index) => pathAt(lines, index) === formatPath(path));
    expect(lines[line]).toMatch(new RegExp(`^ +#?${String(path.at(-1))}: \\S`));
    const comment = lines.slice(0, line).join(' ').replaceAll(/ *# /g, ' ').trimEnd();
    expect(comment.endsWith(key.doc.description)).toBe(true);
  });
});

describe('docs/configuration.md', () => {
  it('is what the schema gives: `npm run docs` writes it', () => {
    expect(read('docs/configuration.md')).toBe(referenceMarkdown());
  });

  it.each(values)('has a row for $name under the heading of its section', ({ path, key }) => {
    const section = path.filter((step) => step !== '*').slice(0, -1);
    const heading = `${'#'.repeat(section.length + 1)} ${section.join('.')}\n`;
    const [, page = ''] = referenceMarkdown().split(heading);
    const [table = ''] = page.split(/\n#+ /);
    const row = table.split('\n').find((line) => line.startsWith(`| \`${String(path.at(-1))}\` |`));
    expect(row).toContain(key.doc.type);
    expect(row).toContain(key.doc.description);
  });
});

describe('the JSON Schema', () => {
  const accepts = (value: unknown) =>
    z.fromJSONSchema(jsonSchema() as z.core.JSONSchema.JSONSchema).safeParse(value).success;
  const route = { channel: 'a', subject: 'a', access: 'public' };
  const channels = { a: route };

  it('is of draft 2020-12 and describes every key', () => {
    expect(jsonSchema()).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
    });
    for (const { path, key } of keys) {
      expect(schemaAt(jsonSchema(), path), formatPath(path)).toMatchObject({
        description: key.doc.description,
      });
    }
  });

  it('gives every default as it is written', () => {
    for (const { path, key } of values.filter(({ key }) => key.default !== undefined)) {
      expect(schemaAt(jsonSchema(), path), formatPath(path)).toMatchObject({ default: key.default });
    }
  });

  it('accepts the example, empty keys, and variables wherever a value stands', () => {
    expect(accepts(parseYaml(exampleYaml()))).toBe(true);
    expect(accepts({ channels, http: null, sse: { heartbeat: null } })).toBe(true);
    const variable = `\${NAME:-x}`;
    expect(
      accepts({
        http: { listen: variable, cors: { origins: [variable], credentials: variable } },
        limits: { connections: variable, pending: variable, connectRate: variable },
        sse: { retry: variable },
        channels: { a: { ...route, access: variable, linger: variable } },
        log: { level: variable },
      }),
    ).toBe(true);
  });

  it.each([
    ['no routes', {}],
    ['an empty mapping of routes', { channels: {} }],
    ['an unknown key', { channels, htpp: {} }],
    ['an unknown key in a route', { channels: { a: { ...route, evnt: 'x' } } }],
    ['a route without access', { channels: { a: { channel: 'a', subject: 'a' } } }],
    ['another access', { channels: { a: { ...route, access: 'private' } } }],
    ['a bad name of a route', { channels: { A: route } }],
    ['a number without its unit', { channels, sse: { heartbeat: 15 } }],
    ['a wrong unit', { channels, limits: { pending: '1s' } }],
    ['a number in text', { channels, limits: { connections: '10' } }],
    ['a number out of bounds', { channels, limits: { connections: -1 } }],
    ['an unknown level', { channels, log: { level: 'loud' } }],
    ['nothing in a list', { channels, nats: { servers: [null] } }],
    ['credentials in a URL', { channels, nats: { servers: ['nats://me:x@a:4222'] } }],
  ])('refuses %s', (_, value) => expect(accepts(value)).toBe(false));
});

describe('the documentation of keys', () => {
  it.each(keys)('$name has whole sentences', ({ key }) => {
    expect(key.doc.description).toMatch(/^[A-Z`].*\.$/s);
    expect(key.doc.description).not.toMatch(/\s{2}|\n/);
  });

  it('says of every value what kind it is, and has an example where there is no default', () => {
    for (const { name, key } of values) {
      expect(key.doc.type, name).not.toBe('');
      expect(key.default !== undefined || key.doc.required || key.doc.example, name).toBeTruthy();
    }
  });

  it('has an example for every optional key that the key itself takes', () => {
    const optional = values.filter(({ key }) => key.default === undefined && !key.doc.required);
    for (const { path, key } of optional.filter(({ key }) => isText(key))) {
      const [section, ...rest] = path;
      if (section === 'channels') continue;
      const text = `${ROUTE}${section}:\n${rest.map((step, depth) => `${'  '.repeat(depth + 1)}${step}:`).join('\n')} ${key.doc.example}\n`;
      const partner =
        path.at(-1) === 'user' ? '    password: x\n' : path.at(-1) === 'password' ? '    user: x\n' : '';
      expect(
        () => parse(text + partner, { NATS_TOKEN: 't', NATS_PASSWORD: 'p' }),
        formatPath(path),
      ).not.toThrow();
    }
  });
});

function isText({ doc }: Outline): boolean {
  return doc.form === 'text' || doc.form === 'choice';
}

/** What is in a plain value under a path, whatever the name of the first route. */
function at(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((here, step) => {
    if (typeof here !== 'object' || here === null) return undefined;
    return step === '*' ? Object.values(here)[0] : Object.entries(here).find(([key]) => key === step)?.[1];
  }, value);
}

function schemaAt(schema: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (here, step) => at(here, step === '*' ? ['additionalProperties'] : ['properties', step]),
    schema,
  );
}

/** The path of the key on a line of the example, by its indentation; `*` for a route. */
function pathAt(lines: readonly string[], index: number): string {
  const path: string[] = [];
  let depth = Number.POSITIVE_INFINITY;
  for (const line of lines.slice(0, index + 1).reverse()) {
    const [, indent = '', key] = /^( *)#?([a-zA-Z]+):/.exec(line) ?? [];
    if (key === undefined || indent.length >= depth) continue;
    path.unshift(key);
    depth = indent.length;
  }
  if (path[0] === 'channels' && path[1] !== undefined) path[1] = '*';
  return path.join('.');
}
