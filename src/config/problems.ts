import { SidestreamError } from '../errors.ts';
import type { Excerpt } from './excerpt.ts';

/** One thing that is wrong with the config, at its place. Holds no secret and no value of the environment. */
export interface ConfigProblem {
  /** The file as it was named. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 code units. */
  readonly column: number;
  /** The key, like `nats.servers[0]`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong, what was received, how to mend it. */
  readonly message: string;
  readonly excerpt?: Excerpt;
}

/** The config cannot be used: every problem of it, in the order of the file. */
export class ConfigError extends SidestreamError {
  readonly problems: readonly ConfigProblem[];

  constructor(
    code: 'CONFIG_INVALID' | 'CONFIG_UNREADABLE',
    problems: readonly ConfigProblem[],
    details: { readonly cause?: unknown } = {},
  ) {
    const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
    const count = sorted.length === 1 ? '1 problem' : `${sorted.length} problems`;
    super(code, `the config has ${count}: ${sorted.map(headline).join('; ')}`, {
      ...details,
      fields: { problems: sorted.map(headline) },
    });
    this.problems = sorted;
  }
}

/** For people: `file:line:column: path: message`, then the line with a caret; in the order of the file. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  return sorted.map((problem) => [headline(problem), ...excerptLines(problem.excerpt)].join('\n')).join('\n');
}

function headline({ file, line, column, path, message }: ConfigProblem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}

function excerptLines(excerpt: Excerpt | undefined): string[] {
  if (excerpt === undefined || excerpt.text.trim() === '') return [];
  return [`    ${excerpt.text}`, `    ${' '.repeat(excerpt.caret)}^`];
}
