import { describe, expect, it } from 'vitest';
import { parseSource, readSources } from './architecture/sources.ts';

/** From the top down; an import goes to a lower layer, or stays in its room. A new room needs its place here. */
const LAYERS: readonly (readonly string[])[] = [
  ['main'],
  ['commands'],
  ['workers'],
  ['bridge'],
  ['doctor', 'sources', 'http', 'auth', 'control', 'presence', 'inbox', 'exposition'],
  ['hub', 'cluster'],
  ['protocol', 'routing', 'config'],
  ['tracing'],
  ['clock', 'log', 'metrics', 'queue', 'duration', 'paging'],
  ['errors', 'reasons'],
];

/** Imports within a layer, by room and file, each with its reason. */
const WITHIN_LAYER: Readonly<Record<string, string>> = {
  'routing → config/schema.ts': 'a route is compiled from its part of the config; the type alone',
  'config → routing/template.ts': 'the config is checked with the parser that will read it',
  'config → routing/event.ts': 'the same',
  'config → routing/pointer.ts': 'the same',
  'config → routing/pattern.ts': 'the same',
  'config → protocol/cursor.ts': 'the config is checked against how many logs a cursor holds',
  'http → auth/authenticator.ts': 'whom to ask who may listen; the type alone',
  'http → auth/identity.ts': 'who a stream is for; the type alone',
  'control → auth/identity.ts': 'whom a command is about; the type alone',
  'control → auth/revocations.ts': 'the store that control feeds; types alone, the bridge hands it over',
  'control → auth/used-tickets.ts': 'what instances can say of a ticket; the type alone',
};

/** Who may know which package. One that is not listed has no room yet; what Node brings is free, but for what is listed. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'uWebSockets.js': ['http/'],
  'uwebsockets-compat': ['http/'],
  '@nats-io/': ['sources/', 'cluster/', 'control/', 'inbox/'],
  'prom-client': ['exposition/'],
  pino: ['log.ts'],
  '@opentelemetry/api': ['tracing/tracing.ts'],
  yaml: ['config/load.ts'],
  zod: ['config/', 'control/'],
  jose: ['auth/jwt.ts', 'auth/sign.ts'],
  'lru-cache': ['auth/verified.ts'],
  'node:perf_hooks': ['clock.ts'],
};

/** What only some files may name, and what each of them may do with it. */
const GLOBALS: readonly { readonly pattern: RegExp; readonly allowed: Readonly<Record<string, RegExp>> }[] = [
  {
    pattern: /\bprocess\.env\b.*/g,
    allowed: {
      'config/load.ts': /./,
      // The addon reads this one variable as it loads; there is no other way to tell it.
      'http/uws.ts': /^process\.env\.UWS_HTTP_MAX_HEADERS_SIZE \?\?= /,
    },
  },
  { pattern: /\bprocess\.exit(Code)?\b/g, allowed: { 'main.ts': /./ } },
  {
    pattern: /\bDate\.now\b|\bperformance\b|\bMath\.random\b|\bnew Date\(\)|\bprocess\.hrtime\b/g,
    allowed: {
      'clock.ts': /^(Date\.now|performance|Math\.random)$/,
      // The time of a log line: for who reads it, nothing is decided by it.
      'log.ts': /^new Date\(\)$/,
    },
  },
  { pattern: /\bconsole\b/g, allowed: {} },
];

const MAX_LINES = 400;

const sources = readSources();
const imports = sources.flatMap((from) => from.imports.map((to) => ({ from, to })));
const layerOf = (room: string) => LAYERS.findIndex((layer) => layer.includes(room));
const roomOf = (path: string) => path.split('/')[0]?.replace(/\.ts$/, '') ?? '';

describe('the rooms', () => {
  it('each have a place in the layers', () => {
    expect(sources.filter(({ room }) => layerOf(room) < 0).map(({ path }) => path)).toEqual([]);
  });

  it('import downwards only, and never a sibling', () => {
    const found = imports.filter(({ from, to: { file } }) => {
      if (file === undefined || roomOf(file) === from.room) return false;
      return layerOf(from.room) >= layerOf(roomOf(file));
    });
    const exception = ({ from, to }: (typeof found)[number]) => `${from.room} → ${to.file}`;
    const offending = found.filter((entry) => !(exception(entry) in WITHIN_LAYER));
    expect(offending.map(({ from, to }) => `${from.path} → ${to.file}`)).toEqual([]);
    // An exception that nobody needs any more is taken off the list.
    expect(Object.keys(WITHIN_LAYER).sort()).toEqual([...new Set(found.map(exception))].sort());
  });

  it('read the config by its types alone, and only those of its schema; commands load it', () => {
    const found = imports.filter(
      ({ from, to }) => to.file?.startsWith('config/') && !['config', 'commands'].includes(from.room),
    );
    const offending = found.filter(({ to }) => to.file !== 'config/schema.ts' || !to.isTypeOnly);
    expect(offending.map(({ from, to }) => `${from.path} → ${to.specifier}`)).toEqual([]);
  });

  it('know no package but their own', () => {
    const offending = imports.filter(({ from, to: { file, specifier } }) => {
      if (file !== undefined) return false;
      const [, allowed] = Object.entries(PACKAGES).find(([name]) => isOf(specifier, name)) ?? [];
      if (allowed === undefined) return !specifier.startsWith('node:');
      return !allowed.some((place) => from.path.startsWith(place));
    });
    expect(offending.map(({ from, to }) => `${from.path} → ${to.specifier}`)).toEqual([]);
  });

  it('do not load a package by another way either', () => {
    const names = Object.entries(PACKAGES).filter(([name]) => /uwebsockets/i.test(name));
    const offending = sources.flatMap(({ path, strings }) =>
      names
        .filter(
          ([name, allowed]) => strings.includes(name) && !allowed.some((place) => path.startsWith(place)),
        )
        .map(([name]) => `${path} names ${name}`),
    );
    expect(offending).toEqual([]);
  });

  it('leave the environment, the exit, time, chance and the console to those who are there for them', () => {
    const offending = sources.flatMap(({ path, code }) =>
      GLOBALS.flatMap(({ pattern, allowed }) =>
        [...code.matchAll(pattern)]
          .filter(([use]) => !allowed[path]?.test(use))
          .map(([use]) => `${path}: ${use}`),
      ),
    );
    expect(offending).toEqual([]);
  });
});

describe('the files', () => {
  it(`have no more than ${MAX_LINES} lines`, () => {
    expect(
      sources.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path}: ${lines}`),
    ).toEqual([]);
  });

  it('are all reached from main', () => {
    const reached = new Set<string>();
    const visit = (path: string) => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { file } of sources.find((source) => source.path === path)?.imports ?? [])
        if (file !== undefined) visit(file);
    };
    visit('main.ts');
    expect(sources.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([]);
  });

  it('do not import each other in a circle', () => {
    const cycles: string[] = [];
    const done = new Set<string>();
    const visit = (path: string, trail: readonly string[]) => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      if (done.has(path) || trail.includes(path)) return;
      for (const { file } of sources.find((source) => source.path === path)?.imports ?? [])
        if (file !== undefined) visit(file, [...trail, path]);
      done.add(path);
    };
    for (const { path } of sources) visit(path, []);
    expect(cycles).toEqual([]);
  });
});

describe('the reader of these rules', () => {
  it('sees every form of import, and what they lead to', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type { B } from '../b.ts';",
      "import {\n  c,\n  type D,\n} from 'pino';",
      "export * from './f.ts';",
      "export type { G } from './g.ts';",
      "import './e.ts';",
      "const h = await import('./h.ts');",
      "const i = require('yaml');",
    ].join('\n');
    expect(parseSource('http/x.ts', text).imports).toEqual([
      { specifier: './a.ts', file: 'http/a.ts', isTypeOnly: false },
      { specifier: '../b.ts', file: 'b.ts', isTypeOnly: true },
      { specifier: 'pino', file: undefined, isTypeOnly: false },
      { specifier: './f.ts', file: 'http/f.ts', isTypeOnly: false },
      { specifier: './g.ts', file: 'http/g.ts', isTypeOnly: true },
      { specifier: './e.ts', file: 'http/e.ts', isTypeOnly: false },
      { specifier: './h.ts', file: 'http/h.ts', isTypeOnly: false },
      { specifier: 'yaml', file: undefined, isTypeOnly: false },
    ]);
  });

  it('takes neither comments nor strings for code, nor a slash and a star in a string for a comment', () => {
    const template = '`${' + 'Date.now()}`';
    const text = `any('/*', f);\n// Date.now\n/* Math.random */\nconst a = 'Date.now'; // console\nconst b = ${template};`;
    const { code, strings } = parseSource('x.ts', text);
    expect(code.match(/Date\.now|Math\.random|console/g)).toEqual(['Date.now']);
    expect(strings).toEqual(['/*', 'Date.now']);
  });

  it('finds the imports that are there', () => {
    expect(imports.length).toBeGreaterThan(sources.length);
    expect(
      imports.filter(({ to }) => to.file !== undefined && !sources.some(({ path }) => path === to.file)),
    ).toEqual([]);
  });
});

function isOf(specifier: string, name: string): boolean {
  return name.endsWith('/')
    ? specifier.startsWith(name)
    : specifier === name || specifier.startsWith(`${name}/`);
}
