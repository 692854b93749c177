// The publishers of deploy/publishers, made ready to run: each with its own language's tools, where they are there, in a copy below .cache/.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, ROOT, runProgram, say } from './command.mjs';
import { mayInstall } from './debian.mjs';
import { withLock } from './lock.mjs';

const SOURCES = join(ROOT, 'deploy/publishers');
const COPIES = join(CACHE, 'publishers');

/**
 * How each is made ready and run, as its first line says; only folders are named so that nothing lands in the checkout.
 * @type {Readonly<Record<string, { prepare: readonly string[], run: readonly string[], env?: Readonly<Record<string, string>> }>>}
 */
const LANGUAGES = {
  python: {
    prepare: [
      'python3',
      '-m',
      'pip',
      'install',
      '-q',
      '--upgrade',
      '--require-hashes',
      '-t',
      'lib',
      '-r',
      'requirements.txt',
    ],
    run: ['python3', 'publish.py'],
    env: { PYTHONPATH: 'lib' },
  },
  go: { prepare: ['go', 'build', '-mod=readonly', '-o', 'publish', '.'], run: ['./publish'] },
  java: {
    prepare: ['mvn', '-q', '-B', 'compile'],
    run: ['mvn', '-q', '-B', '-Dstyle.color=never', 'exec:java'],
  },
  rust: { prepare: ['cargo', 'build', '-q', '--locked'], run: ['./target/debug/publish'] },
  php: { prepare: ['composer', 'install', '-q', '-n', '--no-dev'], run: ['php', 'publish.php'] },
  csharp: { prepare: ['dotnet', 'build', '-v', 'q'], run: ['dotnet', 'run', '--no-build'] },
};

/** What takes seconds from nothing; the others take minutes, and belong to `npm run test:publishers`. */
export const QUICK = ['python', 'go'];
const ALL = Object.keys(LANGUAGES);

/** Stands for the very text of a publisher and its manifests: with another text it is made ready anew. */
function fingerprint(folder) {
  const hash = createHash('sha256');
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) hash.update(entry.name).update(readFileSync(join(entry.parentPath, entry.name)));
  return hash.digest('hex').slice(0, 12);
}

async function prepare(language, folder) {
  const [name, ...args] = LANGUAGES[language].prepare;
  const program = findProgram([name], { places: ['/usr/local/go/bin', '/usr/lib/go/bin'] });
  if (program === undefined) return `there is no ${name}`;
  if (!mayInstall()) return 'SIDESTREAM_NO_INSTALL is set';
  mkdirSync(folder, { recursive: true });
  cpSync(join(SOURCES, language), folder, { recursive: true });
  say(`${[name, ...args].join(' ')} (the ${language} publisher, in .cache/publishers)`);
  const { code, output } = await runProgram(program, args, { cwd: folder });
  return code === 0 ? undefined : `${name} failed: ${output.split('\n').at(-1)}`;
}

async function ensurePublisher(language) {
  const folder = join(COPIES, language);
  const mark = join(folder, '.prepared');
  const wanted = fingerprint(join(SOURCES, language));
  if (!existsSync(mark) || readFileSync(mark, 'utf8') !== wanted) {
    const why = await withLock('publishers', () => prepare(language, folder));
    if (why !== undefined) return { why };
    writeFileSync(mark, wanted);
  }
  const { run, env } = LANGUAGES[language];
  return { run, cwd: folder, env };
}

/**
 * @param {readonly string[]} languages folders of deploy/publishers
 * @returns {Promise<string>} SIDESTREAM_PUBLISHERS, as test/publishers reads it: JSON of how each is run (`run`, `cwd`, `env`), or `why` not
 */
export async function ensurePublishers(languages) {
  const found = {};
  for (const language of languages) {
    found[language] = await ensurePublisher(language);
    if (found[language].why !== undefined)
      say(`The ${language} publisher will not run: ${found[language].why}.`);
  }
  return JSON.stringify(found);
}

/**
 * `npm run test:publishers`: all languages whose tools are here.
 * @param {readonly string[]} args vitest's, beside the test's own name
 * @returns {Promise<number>} vitest's exit code
 */
export async function testPublishers(args) {
  process.env.SIDESTREAM_PUBLISHERS = await ensurePublishers(ALL);
  const { test } = await import('./test.mjs');
  return test(['test/publishers', ...args]);
}
