import { type Outline, outline } from './outline.ts';
import { type ExampleRoute, exampleRoutes } from './routes.ts';

const WIDTH = 110;

const INTRODUCTION = `Every key of Sidestream's config with its default, what it means and when to change it. Only the routes under
"channels" must be written; leave out or comment out whatever is fine as it is. \`sidestream check --config FILE\`
tells all that is wrong with a file.`;

const CONVENTIONS = `Any value may come from the environment: \${NAME}, or \${NAME:-default}; in quotes inside [ ] and { }. Durations
are written 250ms, 15s, 10m, 1h, 2d; sizes 512B, 256KiB, 1MiB; rates 2000/s, 600/m; ranges 3s..10s.`;

/** `config.example.yaml`: every key with its default and a comment; keys without a default are commented out. */
export function exampleYaml(): string {
  const head = [
    ...comment(INTRODUCTION.replaceAll('\n', ' '), ''),
    '#',
    ...comment(CONVENTIONS.replaceAll('\n', ' '), ''),
  ];
  const sections = [...outline.keys].map(([name, key]) => [
    ...comment(key.doc.description, ''),
    ...body(name, key),
  ]);
  return `${[head, ...sections].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function body(name: string, key: Outline): string[] {
  if (key.doc.form !== 'record' || key.each === undefined) return [`${name}:`, ...keysOf(key, '  ')];
  const { each } = key;
  return [
    `${name}:`,
    ...exampleRoutes.flatMap((route, index) => exampleRoute(route, each, { isFull: index === 0 })),
  ];
}

function exampleRoute(route: ExampleRoute, key: Outline, { isFull }: { isFull: boolean }): string[] {
  const head = [...comment(route.about, '  '), `  ${route.name}:`];
  if (isFull) return [...head, ...keysOf(key, '    ', route.values)];
  return [...head, ...Object.entries(route.values).map(([name, value]) => `    ${name}: ${written(value)}`)];
}

function keysOf(section: Outline, indent: string, values: Readonly<Record<string, unknown>> = {}): string[] {
  return [...section.keys].flatMap(([name, key]) => {
    const head = comment(key.doc.description, indent);
    if (key.doc.form === 'section') return [...head, `${indent}${name}:`, ...keysOf(key, `${indent}  `)];
    const value = values[name] ?? key.default;
    // Without a space behind the #, so that it can be told from what is to be read.
    if (value === undefined) return [...head, `${indent}#${name}: ${key.doc.example ?? ''}`];
    return [...head, `${indent}${name}: ${written(value)}`];
  });
}

/** A value in YAML: text stays bare where YAML reads it back as the same text. */
export function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`;
  if (typeof value !== 'string') return String(value);
  return /^[A-Za-z0-9/][A-Za-z0-9_.:/>{}-]*$/.test(value) && !value.endsWith(':')
    ? value
    : JSON.stringify(value);
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
