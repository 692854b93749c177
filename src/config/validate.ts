import type { z } from 'zod';
import { checkFiles, type NamedFiles } from './files.ts';
import { type Finding, judge } from './findings.ts';
import type { ValueIssueParams } from './keys.ts';
import { formatPath, lookUp, type Outline, type Path, walk } from './outline.ts';
import { checkRules } from './rules.ts';
import { configSchema, type Settings } from './schema.ts';
import { closest } from './spelling.ts';

export interface Validation {
  /** Absent as soon as there is a finding. */
  readonly accepted?: { readonly settings: Settings; readonly files: NamedFiles };
  readonly findings: readonly Finding[];
}

/** Holds a plain value against the shape, the rules over several keys, and the files it names: all in one run. */
export function validate(plain: unknown, folder: string): Validation {
  const findings: Finding[] = [];
  let files: NamedFiles = new Map();
  const everyRule = configSchema.superRefine(
    (settings, context) => {
      const wrong = context.issues.filter((issue) => issue.code !== 'unrecognized_keys');
      const judgement = judge(wrong.map((issue) => pathOf(issue.path)));
      const named = judgement.readable() ? checkFiles(settings, judgement, folder) : { files, findings: [] };
      files = named.files;
      findings.push(...checkRules(settings, judgement), ...named.findings);
    },
    // Without this zod runs it only on values of which nothing is wrong.
    { when: () => true },
  );
  const result = everyRule.safeParse(plain);
  if (!result.success) findings.unshift(...result.error.issues.flatMap(toFindings));
  if (result.success && findings.length === 0)
    return { accepted: { settings: result.data, files }, findings };
  return { findings };
}

function toFindings(issue: z.core.$ZodIssue): Finding[] {
  const path = pathOf(issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((name) => unknownKey(path, name));
    case 'invalid_type':
      return [wrongCollection(path, lookUp(path))];
    case 'custom': {
      const { fix, missing }: ValueIssueParams = issue.params ?? {};
      const received = missing ? {} : { received: true as const };
      return [{ path, message: issue.message, ...received, ...(fix === undefined ? {} : { detail: fix }) }];
    }
    default:
      return [{ path, message: issue.message }];
  }
}

function wrongCollection(path: Path, key: Outline | undefined): Finding {
  if (key?.doc.form === 'list') {
    const example = key.doc.example ?? JSON.stringify(key.default);
    return { path, message: `expected a list like ${example}`, received: true };
  }
  if (key?.doc.form === 'record') {
    const message =
      'is required: at least one route, like `prices: { channel: prices, subject: prices, access: public }`';
    return { path, message, received: true };
  }
  const names = [...(key?.keys.keys() ?? [])].slice(0, 3).join(', ');
  return { path, message: `expected a mapping with keys like ${names}`, received: true };
}

function unknownKey(parent: Path, name: string): Finding {
  const known = [...(lookUp(parent)?.keys.keys() ?? [])];
  const near = closest(name, known);
  return {
    path: [...parent, name],
    at: 'key',
    message: `is not a key here: ${near === undefined ? elsewhere(name, known) : `did you mean ${near}?`}`,
  };
}

/** Where a key of that very name is known, or what is known in its place. */
function elsewhere(name: string, known: readonly string[]): string {
  const places = [...walk()].filter(({ path }) => path.at(-1) === name).map(({ path }) => formatPath(path));
  if (places.length > 0) return `did you mean ${places.join(' or ')}?`;
  return `known are ${known.join(', ')}`;
}

function pathOf(path: readonly PropertyKey[] | undefined): Path {
  return (path ?? []).map((step) => (typeof step === 'number' ? step : String(step)));
}
