// A glibc newer than this machine's, beside it: unpacked from Debian's packages, for programs that are told to use it.
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, runProgram, say } from './command.mjs';
import { DEBIAN_KEYRING, debianMirror } from './debian.mjs';
import { withLock } from './lock.mjs';

/** Debian 13: glibc 2.41. */
const RELEASE = 'trixie';
const PACKAGES = ['libc6', 'libstdc++6', 'libgcc-s1'];
const FOLDER = join(CACHE, `libc-${RELEASE}`);

const lastLine = (output) => output.split('\n').at(-1) || 'see above';

/** Lists and cache of its own: the machine's apt never hears of the other release. */
async function download(parts) {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'packages'])
    mkdirSync(join(parts, folder), { recursive: true });
  const uri = await debianMirror();
  if (uri === undefined) return "this machine takes no packages from a mirror of Debian's";
  const sources = join(parts, 'release.sources');
  const fields = {
    Types: 'deb',
    URIs: uri,
    Suites: RELEASE,
    Components: 'main',
    Targets: 'Packages',
  };
  const text = Object.entries({ ...fields, 'Signed-By': DEBIAN_KEYRING }).map(
    ([name, value]) => `${name}: ${value}\n`,
  );
  writeFileSync(sources, text.join(''));
  const options = [
    `Dir::State=${join(parts, 'state')}`,
    `Dir::Cache=${join(parts, 'cache')}`,
    `Dir::Etc::SourceList=${sources}`,
    'Dir::Etc::SourceParts=/dev/null',
    'APT::Update::Error-Mode=any',
  ].flatMap((option) => ['-o', option]);
  for (const command of [['update'], ['download', ...PACKAGES]]) {
    const { code, output } = await runProgram('apt-get', ['-q', ...options, ...command], {
      cwd: join(parts, 'packages'),
    });
    if (code !== 0) return `apt-get ${command[0]} of ${RELEASE} failed: ${lastLine(output)}`;
  }
  return undefined;
}

async function unpack(parts) {
  for (const file of readdirSync(join(parts, 'packages'))) {
    const args = ['-x', join(parts, 'packages', file), join(parts, 'root')];
    const { code, output } = await runProgram('dpkg-deb', args);
    if (code !== 0) return `dpkg-deb -x ${file} failed: ${lastLine(output)}`;
  }
  rmSync(FOLDER, { recursive: true, force: true });
  renameSync(join(parts, 'root'), FOLDER);
  return undefined;
}

/** Debian's folder for an architecture's libraries holds the loader, too. */
function find() {
  const folder = join(FOLDER, 'usr/lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');
  try {
    const loader = readdirSync(folder).find((name) => /^ld-linux-.*\.so\.\d+$/.test(name));
    return loader === undefined ? undefined : { folder, loader: join(folder, loader) };
  } catch {
    return undefined; // ENOENT: it has not been fetched
  }
}

/**
 * @returns {Promise<{ folder: string, loader: string } | { why: string }>} where the libraries are and the program that
 *   loads them (`ld-linux`), or why they cannot be had
 */
export async function ensureNewerLibc() {
  const known = find();
  if (known !== undefined) return known;
  if (findProgram(['apt-get']) === undefined) return { why: 'this is no Debian or Ubuntu (no apt-get)' };
  return withLock('install', async () => {
    say(`apt-get download ${PACKAGES.join(' ')} of Debian ${RELEASE} (unpacked into .cache/, not installed)`);
    const parts = mkdtempSync(join(CACHE, 'apt-'));
    try {
      const why = (await download(parts)) ?? (await unpack(parts));
      return why === undefined ? (find() ?? { why: 'libc6 has another shape than expected' }) : { why };
    } finally {
      rmSync(parts, { recursive: true, force: true });
    }
  });
}
