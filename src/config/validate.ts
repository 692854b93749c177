import type { z } from 'zod';
import { checkFiles, type NamedFiles } from './files.ts';
import { type Finding, judge } from './findings.ts';
import type { ValueIssueParams } from './keys.ts';
import { checkTokenFile } from './ops-rules.ts';
import { formatPath, lookUp, type Outline, type Path, walk } from './outline.ts';
import { checkName } from './route-rules.ts';
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
      findings.push(...checkRules(settings, judgement), ...named.findings, ...checkTokenFile(files));
    },
    // Without this zod runs it only on values of which nothing is wrong.
    { when: () => true },
  );
  const result = everyRule.safeParse(plain);
  if (!result.success) findings.unshift(...result.error.issues.flatMap(toFindings));
  // zod leaves this key out of a record without a word.
  if (isRecord(plain) && isRecord(plain.channels) && Object.hasOwn(plain.channels, '__proto__'))
    findings.push(...checkName('__proto__'));
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
      return [{ path, message: wrongMapping(lookUp(path)), received: true }];
    case 'invalid_union':
      return eitherFindings(path, issue.errors);
    case 'custom': {
      const { fix }: ValueIssueParams = issue.params ?? {};
      return [
        { path, message: issue.message, received: true, ...(fix === undefined ? {} : { detail: fix }) },
      ];
    }
    default:
      return [{ path, message: issue.message }];
  }
}

function wrongMapping(key: Outline | undefined): string {
  const required = key?.doc.required;
  return required === undefined ? `expected ${mappingLike(key)}` : `is required: ${required}`;
}

function mappingLike(key: Outline | undefined): string {
  const example = key?.doc.example;
  if (example !== undefined) return `a mapping like ${example}`;
  return `a mapping with keys like ${[...(key?.keys.keys() ?? [])].slice(0, 3).join(', ')}`;
}

/** Neither the value nor the section that may stand for it: what is wrong with the one that was meant. */
function eitherFindings(path: Path, [alone = [], mapping = []]: z.core.$ZodIssue[][]): Finding[] {
  const isMapping = !mapping.some((issue) => issue.code === 'invalid_type' && issue.path.length === 0);
  const meant = isMapping ? mapping : alone;
  const findings = meant.flatMap((issue) => toFindings({ ...issue, path: [...path, ...issue.path] }));
  if (isMapping) return findings;
  return findings.map((finding) => ({
    ...finding,
    message: `${finding.message}, or ${mappingLike(lookUp(path))}`,
  }));
}

function unknownKey(parent: Path, name: string): Finding {
  const known = [...(lookUp(parent)?.keys.keys() ?? [])];
  const near = closest(name, known);
  return {
    path: [...parent, name],
    at: 'key',
    message: `is not a key here: ${near === undefined ? elsewhere(parent, name, known) : `did you mean ${near}?`}`,
  };
}

/** Where a key of that very name is known, or what is known in its place: of another section's key it may be the name by chance. */
function elsewhere(parent: Path, name: string, known: readonly string[]): string {
  const places = [...walk()].filter(({ path }) => path.at(-1) === name);
  const isNear = places.some(({ path }) => parent.every((step, i) => path[i] === '*' || path[i] === step));
  const meant = `did you mean ${places.map(({ path }) => formatPath(path)).join(' or ')}?`;
  if (isNear) return meant;
  return `known are ${known.join(', ')}${places.length > 0 ? `; or ${meant}` : ''}`;
}

function pathOf(path: readonly PropertyKey[] | undefined): Path {
  return (path ?? []).map((step) => (typeof step === 'number' ? step : String(step)));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
