import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

export interface Import {
  /** As written. */
  readonly specifier: string;
  /** The file it leads to, relative to `src/`; absent for packages. */
  readonly file: string | undefined;
  readonly isTypeOnly: boolean;
}

/** One file of `src/`, as far as rules about it can be read off its text. */
export interface SourceFile {
  /** Relative to `src/`: `http/server.ts`. */
  readonly path: string;
  /** The folder, or for a file of its own in `src/` its name: `http`, `metrics`. */
  readonly room: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** The text without comments and without what stands in single or double quotes. */
  readonly code: string;
  /** What stands in single or double quotes. */
  readonly strings: readonly string[];
}

const SRC = new URL('../../src/', import.meta.url);

/** Every file of `src/`. */
export function readSources(): SourceFile[] {
  const paths = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).map((path) =>
    path.replaceAll('\\', '/'),
  );
  return paths
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => parseSource(path, readFileSync(new URL(path, SRC), 'utf8')));
}

/** Reads one file. No parser: formatted code begins its imports at the start of a line. */
export function parseSource(path: string, text: string): SourceFile {
  const strings: string[] = [];
  const code = text.replaceAll(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm,
    (token) => {
      if (token.startsWith('/')) return '';
      strings.push(token.slice(1, -1));
      return '""';
    },
  );
  return {
    path,
    room: path.split('/')[0]?.replace(/\.ts$/, '') ?? '',
    lines: text.split('\n').length - 1,
    imports: importsOf(path, text),
    code,
    strings,
  };
}

function importsOf(path: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\s+)?[\w$*{},\s]+?\sfrom\s+['"]([^'"]+)['"]/gm);
  const bare = text.matchAll(/^import\s+()['"]([^'"]+)['"]/gm);
  const calls = text.matchAll(/\b(?:import|require)\s*\(\s*()['"]([^'"]+)['"]/g);
  return [...statements, ...bare, ...calls].map(([, type, specifier = '']) => ({
    specifier,
    file: specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined,
    isTypeOnly: type !== undefined && type !== '',
  }));
}
