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

/** What works, but is probably not what was meant, or less safe than it looks. */
export type ConfigNotice = ConfigProblem;

/** The config cannot be used: every problem of it, in the order of the file. */
export class ConfigError extends SidestreamError {
  readonly problems: readonly ConfigProblem[];

  constructor(
    code: 'CONFIG_INVALID' | 'CONFIG_UNREADABLE',
    problems: readonly ConfigProblem[],
    details: { readonly cause?: unknown } = {},
  ) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    const headlines = problems.map((problem) => headline(problem));
    super(code, `the config has ${count}: ${headlines.join('; ')}`, {
      ...details,
      fields: { problems: headlines },
    });
    this.problems = problems;
  }
}

/** For people: `file:line:column: path: message`, then the line with a caret. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return format(problems, '');
}

/** The same as `file:line:column: notice: path: message`. */
export function formatNotices(notices: readonly ConfigNotice[]): string {
  return format(notices, 'notice: ');
}

function format(problems: readonly ConfigProblem[], label: string): string {
  return problems
    .flatMap((problem) => [headline(problem, label), ...excerptLines(problem.excerpt)])
    .join('\n');
}

function headline({ file, line, column, path, message }: ConfigProblem, label = ''): string {
  return `${file}:${line}:${column}: ${label}${path === '' ? '' : `${path}: `}${message}`;
}

function excerptLines(excerpt: Excerpt | undefined): string[] {
  if (excerpt === undefined || excerpt.text.trim() === '') return [];
  return [`    ${excerpt.text}`, `    ${' '.repeat(excerpt.caret)}^`];
}
