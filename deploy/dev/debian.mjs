// Programs from Debian's (or Ubuntu's) packages.
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, runProgram, say } from './command.mjs';
import { withLock } from './lock.mjs';

/** Whether this machine's owner lets us install anything. */
export const mayInstall = (env = process.env) => !env.SIDESTREAM_NO_INSTALL;

/** Of the package debian-archive-keyring, which every Debian has. */
export const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The mirror that this machine takes Debian's packages from; `undefined` where it takes none. */
export async function debianMirror() {
  const targets = ['indextargets', '--format', '$(ORIGIN) $(SUITE) $(REPO_URI)', 'Created-By: Packages'];
  const { output } = await runProgram('apt-get', targets);
  return /^Debian \w+ (https?:\S+)$/m.exec(output)?.[1];
}

/** Another apt may be at work; wait for it rather than fail. */
const APT_GET = [
  'env',
  'DEBIAN_FRONTEND=noninteractive',
  'apt-get',
  '-o',
  'DPkg::Lock::Timeout=120',
  '-q',
  '-y',
];

/** The words before apt-get that make it root's, or undefined where we cannot be root without asking for a password. */
async function asRoot() {
  if (process.getuid?.() === 0) return [];
  if (findProgram(['sudo']) === undefined) return undefined;
  return (await runProgram('sudo', ['-n', 'true'])).code === 0 ? ['sudo', '-n'] : undefined;
}

async function aptAsRoot(args, show = 'stderr') {
  const root = await asRoot();
  if (root === undefined) return { code: 1, output: 'not root, and sudo asks for a password' };
  const [program, ...rest] = [...root, ...APT_GET, ...args];
  return runProgram(program, rest, { show });
}

const lastLine = (output) => output.split('\n').at(-1) || 'see above';

/** Tries; where it fails, the package lists may be missing (as in a fresh container) or old: refreshes them and tries again. */
async function withFreshLists(attempt) {
  const first = await attempt();
  if (first.code === 0) return first;
  say('the package lists may be old: apt-get update');
  const update = await aptAsRoot(['update'], 'nothing');
  if (update.code === 0) return attempt();
  return {
    code: first.code,
    output: `${lastLine(first.output)} (apt-get update: ${lastLine(update.output)})`,
  };
}

/**
 * Installs a package for the whole machine; needs root.
 * @returns {Promise<string | undefined>} why it could not
 */
export async function aptInstall(name) {
  if (findProgram(['apt-get']) === undefined) return 'this is no Debian or Ubuntu (no apt-get)';
  if ((await asRoot()) === undefined) return 'apt-get needs root, and sudo asks for a password';
  say(`apt-get install ${name}`);
  const install = () => aptAsRoot(['install', '--no-install-recommends', name], 'nothing');
  const { code, output } = await withLock('install', () => withFreshLists(install));
  return code === 0 ? undefined : `apt-get install ${name} failed: ${lastLine(output)}`;
}

/**
 * Fetches a package and unpacks it below .cache/, without installing it: needs no root, and starts no service of the
 * package's own (Debian's nats-server would otherwise run on port 4222 from then on).
 * @returns {Promise<{ folder?: string, why?: string }>} where it lies, or why it could not
 */
export async function aptUnpack(name) {
  if (findProgram(['apt-get']) === undefined) return { why: 'this is no Debian or Ubuntu (no apt-get)' };
  const folder = join(CACHE, name);
  return withLock('install', async () => {
    say(`apt-get download ${name} (unpacked into .cache/${name}, not installed)`);
    const parts = mkdtempSync(join(CACHE, 'apt-'));
    try {
      const download = () => runProgram('apt-get', ['-q', 'download', name], { cwd: parts });
      const { code, output } = await withFreshLists(download);
      if (code !== 0) return { why: `apt-get download ${name} failed: ${lastLine(output)}` };
      const archive = readdirSync(parts).find((file) => file.endsWith('.deb'));
      const unpacked = await runProgram('dpkg-deb', ['-x', join(parts, archive), join(parts, 'root')]);
      if (unpacked.code !== 0) return { why: `dpkg-deb -x failed: ${lastLine(unpacked.output)}` };
      rmSync(folder, { recursive: true, force: true });
      renameSync(join(parts, 'root'), folder);
      return { folder };
    } finally {
      rmSync(parts, { recursive: true, force: true });
    }
  });
}
