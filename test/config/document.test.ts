import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { exampleYaml } from '../../src/config/example.ts';
import { jsonSchema } from '../../src/config/json-schema.ts';
import { parseConfig } from '../../src/config/load.ts';
import { formatPath, lookUp, type Path, walk } from '../../src/config/outline.ts';
import { referenceMarkdown } from '../../src/config/reference.ts';
import { FILE, keyAt, parse, problemsOf, ROUTE } from './marked.ts';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

const keys = [...walk()].map(({ path, key }) => ({ name: formatPath(path), path, key }));
const values = keys.filter(({ key }) => key.doc.form !== 'section' && key.doc.form !== 'record');
/** Whether it stands in a section that may stand for a value. */
const isOneForm = (path: Path) => {
  const around = lookUp(path.slice(0, -1));
  return (around?.each ?? around)?.doc.form === 'either' || (path[2] === 'access' && path.length > 3);
};
/** What the example shows with a value: no lists of sections, and of a value that has several forms only one. */
const shown = values.filter(({ path, key }) => key.each?.doc.form !== 'section' && !isOneForm(path));

const withoutLinks = (text: string) =>
  text.replaceAll(/\[(.+?)\]\((.+?)\)/g, (_, label: string, page: string) =>
    page.startsWith(label) ? `docs/${page}` : `${label} (docs/${page})`,
  );

describe('config.example.yaml', () => {
  it('is what the schema gives: `npm run docs` writes it', () => {
    expect(read('config.example.yaml')).toBe(exampleYaml());
  });

  it('has no problem, and but for its routes is all defaults', () => {
    const { config: example, notices } = parseConfig(exampleYaml(), FILE, {});
    expect(notices).toEqual([]);
    expect({ ...example, channels: {} }).toEqual({ ...parse(ROUTE), channels: {} });
    expect(Object.keys(example.channels)).toEqual(['prices', 'chat', 'logs']);
  });

  it('can be uncommented key by key: what stands behind # without a space is YAML in its place', () => {
    const uncommented = parseYaml(exampleYaml().replaceAll(/^( +)#(?=\S)/gm, '$1'));
    for (const { path } of shown) expect(at(uncommented, path), formatPath(path)).toBeDefined();
  });

  it('has a callout and a route for a token that work once they are uncommented', () => {
    const text = ['callout', 'notifications'].reduce(uncomment, exampleYaml());
    const { auth, channels } = parse(text);
    expect(auth.callout?.subject).toBe('auth.token');
    expect(channels.notifications).toMatchObject({
      access: [{ kind: 'where', where: { id: 'sub' } }],
      automatic: 'authenticated',
    });
  });

  it.each([
    ['orders', { source: { kind: 'stream', stream: 'ORDERS' }, replay: { kind: 'last', count: 20 } }],
    ['settings', { source: { kind: 'kv', bucket: 'settings' }, subject: '$KV.settings.app.{app}' }],
  ])('has a route %s with another source that works once it is uncommented', (name, route) => {
    const { config, notices } = parseConfig(uncomment(exampleYaml(), name), FILE, {});
    expect(config.channels[name]).toMatchObject(route);
    expect(notices).toEqual([]);
  });

  it.each(shown)('shows $name with its default or an example, below its description', ({ path, key }) => {
    const lines = exampleYaml().split('\n');
    const line = lines.findIndex((_, index) => pathAt(lines, index) === formatPath(path));
    expect(lines[line]).toMatch(new RegExp(`^ *#?${String(path.at(-1))}: \\S`));
    const comment = lines.slice(0, line).join(' ').replaceAll(/ *# /g, ' ').trimEnd();
    const { description, fallback } = key.doc;
    const isDefaultToldBesides = fallback !== undefined && lines[line]?.includes('#');
    const about = isDefaultToldBesides ? `${description} Default: ${fallback}.` : description;
    expect(comment.endsWith(withoutLinks(about))).toBe(true);
  });

  it('names the pages that tell more by where they are from the file, since YAML has no links', () => {
    expect(exampleYaml()).not.toMatch(/\]\(/);
    const pages = [...exampleYaml().matchAll(/[a-z/]+\.md/g)].map(([page]) => page);
    expect(pages).toContain('docs/presence.md');
    for (const page of pages) expect(read(page)).toMatch(/^#|^<!--/);
  });
});

describe('docs/configuration.md', () => {
  it('is what the schema gives: `npm run docs` writes it', () => {
    expect(read('docs/configuration.md')).toBe(referenceMarkdown());
  });

  it.each(values)('has a row for $name under the heading of its section', ({ path, key }) => {
    const section = path.filter((step) => step !== '*').slice(0, -1);
    const heading = `${'#'.repeat(Math.max(2, section.length + 1))} ${section.join('.') || 'Top level'}\n`;
    const [, page = ''] = referenceMarkdown().split(heading);
    const [table = ''] = page.split(/\n#+ /);
    const row = table.split('\n').find((line) => line.startsWith(`| \`${String(path.at(-1))}\` |`));
    expect(row).toContain(key.doc.type);
    expect(row).toContain(key.doc.description);
    if (key.doc.fallback !== undefined) expect(row).toContain(`| ${key.doc.fallback} |`);
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
    const jwt = { algorithms: 'RS256', keys: { publicKey: variable }, jwks: null };
    const rules = [
      'authenticated',
      { where: { id: '{claims.sub}' } },
      { claim: variable },
      { callout: 'a.b' },
    ];
    for (const auth of [{ jwt }, { jwt: [jwt, jwt] }, { token: 'query:t', introspection: null }]) {
      for (const access of [rules, ...rules]) {
        expect(accepts({ auth, channels: { a: { ...route, access, automatic: 'everyone' } } })).toBe(true);
      }
    }
    for (const replay of ['none', 'last', 20, 'all', '10m', variable]) {
      expect(accepts({ channels: { a: { ...route, stream: 'A', replay, history: { size: 0 } } } })).toBe(
        true,
      );
    }
    for (const shaping of [
      { throttle: '1s', rateLimit: '100/s', batch: '250ms', redact: '/a', latestBy: 'subject' },
      { rateLimit: { rate: '1/m', burst: 3, over: 'latest' }, batch: { window: '1s', as: 'array' } },
      { redact: ['/a/*/b', { pattern: 'x', flags: 'i' }], map: { event: '/a' }, latestBy: '/a~1b' },
      { rateLimit: null, batch: null, redact: null, map: null, slow: 'latest', priority: 'high' },
    ])
      expect(accepts({ channels: { a: { ...route, ...shaping } } })).toBe(true);
    expect(accepts({ channels: { a: { channel: 'a', access: 'public', kv: 'b', key: 'a.*.{x}.>' } } })).toBe(
      true,
    );
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
    ['another kind of access', { channels: { a: { ...route, access: { claims: 'x' } } } }],
    ['a parameter without its claim', { channels: { a: { ...route, access: { where: { id: 'sub' } } } } }],
    ['another place for tokens', { channels, auth: { token: ['header'] } }],
    ['an issuer without algorithms', { channels, auth: { jwt: { jwksUrl: 'https://a.example/' } } }],
    ['an unknown algorithm', { channels, auth: { jwt: [{ algorithms: ['none'] }] } }],
    ['an introspection without its URL', { channels, auth: { introspection: { timeout: '1s' } } }],
    ['a key that is none', { channels, auth: { jwt: { algorithms: 'RS256', keys: [{ jwk: 'x' }] } } }],
    ['a bad name of a stream', { channels: { a: { ...route, stream: 'A.B' } } }],
    ['a bad name of a bucket', { channels: { a: { ...route, kv: 'a.b' } } }],
    ['a bad key', { channels: { a: { ...route, key: 'a b' } } }],
    ['another replay', { channels: { a: { ...route, replay: 'some' } } }],
    ['a replay of nothing', { channels: { a: { ...route, replay: 0 } } }],
    ['an unknown key in a history', { channels: { a: { ...route, history: { count: 1 } } } }],
    ['a pointer without its slash', { channels: { a: { ...route, latestBy: 'symbol' } } }],
    ['a batch without its window', { channels: { a: { ...route, batch: { as: 'array' } } } }],
    ['a rate without its unit', { channels: { a: { ...route, rateLimit: 100 } } }],
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

  it.each(
    values
      .filter(({ path, key }) => path[0] !== 'channels' && key.doc.example !== undefined)
      .map(({ name, path, key }) => ({ name, path, example: parseYaml(key.doc.example ?? '') })),
  )('has an example for $name that the key itself takes', ({ name, path, example }) => {
    const env = { NATS_TOKEN: 't', NATS_PASSWORD: 'p', TOKEN_SECRET: 's', CLIENT_SECRET: 'c' };
    const pem = '-----BEGIN PUBLIC KEY-----';
    // The last one is there so that there are problems at all.
    const text = `${ROUTE}${keyAt(path, example)}unknown: 1\n`;
    const problems = problemsOf(text, { ...env, TOKEN_PUBLIC_KEY: pem }).filter(({ path }) => path === name);
    expect(problems.filter(({ message }) => message.startsWith('expected'))).toEqual([]);
  });
});

/** Takes the # from a section of the example and from the keys in it. */
function uncomment(text: string, name: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.trimStart() === `#${name}:`);
  const indent = lines[start]?.indexOf('#') ?? 0;
  const length = lines.slice(start + 1).findIndex((line) => line.search(/\S|$/) <= indent);
  const section = lines.splice(start, length + 1).map((line) => line.replace(/^( *)#(?=\S)/, '$1'));
  lines.splice(start, 0, ...section);
  return lines.join('\n');
}

/** What is in a plain value under a path, whatever the name of the first route. */
function at(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((here, step) => {
    if (typeof here !== 'object' || here === null) return undefined;
    return step === '*' ? Object.values(here)[0] : Object.entries(here).find(([key]) => key === step)?.[1];
  }, value);
}

function schemaAt(root: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((here, step) => {
    const section = sectionsIn(here, root)[0];
    return at(section, step === '*' ? ['additionalProperties'] : ['properties', step]);
  }, root);
}

/** The section that a schema describes, alone, in a list, or in place of a word. */
function sectionsIn(schema: unknown, root: unknown): unknown[] {
  const reference = at(schema, ['$ref']);
  if (typeof reference === 'string') return sectionsIn(at(root, ['$defs', reference.slice(8)]), root);
  const choices = at(schema, ['anyOf']);
  if (Array.isArray(choices)) return choices.flatMap((choice) => sectionsIn(choice, root));
  return (at(schema, ['properties']) ?? at(schema, ['additionalProperties'])) ? [schema] : [];
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
