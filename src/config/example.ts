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
  if (key.doc.form !== 'section' && key.doc.form !== 'record') return [`${name}: ${written(key.default)}`];
  if (key.doc.form !== 'record' || key.each === undefined) return [`${name}:`, ...keysOf(key, '  ')];
  const { each } = key;
  return [
    `${name}:`,
    ...exampleRoutes.flatMap((route, index) => exampleRoute(route, index === 0 ? each : undefined)),
  ];
}

/** Shows every key that a route has where these are given. */
function exampleRoute({ name, about, values, isOff }: ExampleRoute, route?: Outline): string[] {
  const head = [...comment(about, '  '), `  ${off(isOff)}${name}:`];
  if (route !== undefined) return [...head, ...keysOf(route, '    ', { values })];
  return [
    ...head,
    ...Object.entries(values).map(([key, value]) => `    ${off(isOff)}${key}: ${written(value)}`),
  ];
}

interface Shown {
  readonly values?: Readonly<Record<string, unknown>>;
  /** Commented out, with all that is in it. */
  readonly isOff?: boolean;
}

function keysOf(section: Outline, indent: string, { values = {}, isOff = false }: Shown = {}): string[] {
  return [...section.keys].flatMap(([name, key]) => {
    const head = comment(key.doc.description, indent);
    const inner = key.each ?? key;
    if (inner.doc.form === 'section') {
      const isInnerOff = isOff || inner !== key || key.default === undefined;
      return [
        ...head,
        `${indent}${off(isInnerOff)}${name}:`,
        ...keysOf(inner, `${indent}  `, { isOff: isInnerOff }),
      ];
    }
    const { description, example, fallback } = key.doc;
    const value = values[name] ?? key.default;
    if (value === undefined && fallback !== undefined)
      return [
        ...comment(`${description} Default: ${fallback}.`, indent),
        `${indent}${off(true)}${name}: ${example}`,
      ];
    if (value === undefined || (isOff && example !== undefined))
      return [...head, `${indent}${off(true)}${name}: ${example}`];
    return [...head, `${indent}${off(isOff)}${name}: ${written(value)}`];
  });
}

/** Without a space behind the #, so that it can be told from what is to be read. */
function off(isOff: boolean | undefined): string {
  return isOff ? '#' : '';
}

/** A value in YAML: text stays bare where YAML reads it back as the same text. */
export function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key}: ${written(inner)}`)
      .join(', ')} }`;
  if (typeof value !== 'string') return String(value);
  return /^[A-Za-z0-9/][A-Za-z0-9_.:/>{}-]*$/.test(value) && !value.endsWith(':')
    ? value
    : JSON.stringify(value);
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of withoutLinks(text).split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** YAML has no links, and the file stands above the folder of the pages. */
function withoutLinks(text: string): string {
  return text.replace(/\[([^\]]+)\]\(([a-z]+\.md[^)]*)\)/g, (_, label: string, page: string) =>
    page.startsWith(label) ? `docs/${page}` : `${label} (docs/${page})`,
  );
}
