import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Finding, Judgement } from './findings.ts';
import type { Form } from './keys.ts';
import { below, formatPath, type Outline, outline, type Path } from './outline.ts';
import type { Settings } from './schema.ts';

/** Far above any key. */
const MAX_SECRET_BYTES = 1024 * 1024;

/** A file that the config names. */
export interface NamedFile {
  /** Absolute. */
  readonly path: string;
  /** Its content, trimmed, where the content is the value. */
  readonly content?: string;
}

/** By the key that names them: `nats.auth.tokenFile`, `auth.jwt[0].keys[0].secretFile`. */
export type NamedFiles = ReadonlyMap<string, NamedFile>;

/**
 * Looks up every file that the settings name, relative to `folder`: what cannot be read is better said now, with its
 * line, than at the first connection.
 */
export function checkFiles(
  settings: Settings,
  judgement: Judgement,
  folder: string,
): { files: NamedFiles; findings: Finding[] } {
  const files = new Map<string, NamedFile>();
  const findings: Finding[] = [];
  for (const { path, form, name } of namesIn(settings, outline, [])) {
    if (!judgement.sound(...path)) continue;
    const absolute = resolve(folder, name);
    const read = form === 'secret-file' ? readSecret(absolute) : (unreadable(absolute) ?? { path: absolute });
    if (typeof read === 'string')
      findings.push({ path, message: `names a file that ${read}`, detail: absolute });
    else files.set(formatPath(path), read);
  }
  return { files, findings };
}

/** Every value below one that is the name of a file. */
function* namesIn(
  value: unknown,
  key: Outline | undefined,
  path: Path,
): Generator<{ path: Path; form: Form; name: string }> {
  const form = key?.doc.form;
  if ((form === 'file' || form === 'secret-file') && typeof value === 'string')
    yield { path, form, name: value };
  if (typeof value !== 'object' || value === null) return;
  const steps = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [step, inner] of steps) yield* namesIn(inner, below(key, step), [...path, step]);
}

/** The file with its content, or what is wrong with it. */
function readSecret(path: string): NamedFile | string {
  const problem = unreadable(path);
  if (problem !== undefined) return problem;
  if (statSync(path).size > MAX_SECRET_BYTES)
    return 'is larger than 1 MiB: the secret must stand in it alone';
  const content = readFileSync(path, 'utf8').trim();
  if (content === '') return 'is empty: the secret must stand in it';
  return { path, content };
}

function unreadable(path: string): string | undefined {
  try {
    if (!statSync(path).isFile()) return 'is not a regular file';
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return "does not exist (relative paths start at the config file's folder)";
    if (code === 'EACCES') return 'may not be read by the user that this runs as';
    return `cannot be read (${String(code)})`;
  }
}
