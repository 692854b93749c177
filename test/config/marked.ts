import { expect } from 'vitest';
import { ConfigError, type ConfigProblem, parseConfig } from '../../src/config/load.ts';
import type { Path } from '../../src/config/outline.ts';
import type { Config } from '../../src/config/schema.ts';

export const FILE = 'conf/sidestream.yaml';

/** A route that is in order, for configs of which something else is the point. */
export const ROUTE =
  'channels:\n  prices: { channel: "prices.{symbol}", subject: "market.{symbol}", access: public }\n';

/** The same, which only a token opens. */
export const PRIVATE_ROUTE = ROUTE.replace('public', 'authenticated');

/** Stands before the character at which a problem is expected. */
const MARK = '▶';

/** Parses text that has no problem. */
export function parse(text: string, env: Readonly<Record<string, string>> = {}): Config {
  return parseConfig(text, FILE, env).config;
}

/** The same key alone, in YAML's flow form, which takes JSON as it is; to be put below other keys. */
export function keyAt(path: Path, value: unknown): string {
  const [first, ...rest] = path;
  const inner = rest.reduceRight<string>((below, step) => `{ ${step}: ${below} }`, JSON.stringify(value));
  return `${first}: ${inner}\n`;
}

/** Every problem of a text; fails the test where there is none. */
export function problemsOf(
  text: string,
  env: Readonly<Record<string, string>> = {},
  file = FILE,
): readonly ConfigProblem[] {
  try {
    parseConfig(text, file, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return expect.fail('the config has no problem');
}

/**
 * Takes a config with a ▶ before each place where a problem is expected, and holds the problems against these places,
 * in the order of the file and none besides. Gives their `path: message`.
 */
export function problemsAtMarks(
  marked: string,
  env: Readonly<Record<string, string>> = {},
  file = FILE,
): string[] {
  return heldAgainstMarks(problemsOf(marked.replaceAll(MARK, ''), env, file), marked, file);
}

/** The same for the notices of a config without problems. */
export function noticesAtMarks(marked: string, file = FILE): string[] {
  return heldAgainstMarks(parseConfig(marked.replaceAll(MARK, ''), file, {}).notices, marked, file);
}

function heldAgainstMarks(problems: readonly ConfigProblem[], marked: string, file: string): string[] {
  const places = problems.map((problem) => `${problem.file}:${problem.line}:${problem.column}`);
  expect({ places, problems }).toMatchObject({ places: marksOf(marked, file) });
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

function marksOf(marked: string, file: string): string[] {
  return marked.split('\n').flatMap((line, index) => {
    const columns = line
      .split(MARK)
      .slice(0, -1)
      .map((_, mark, pieces) => pieces.slice(0, mark + 1).join('').length + 1);
    return columns.map((column) => `${file}:${index + 1}:${column}`);
  });
}
