// node_modules and dist: made when they are not there, or not what the sources say.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runProgram, SetupError, say } from './command.mjs';
import { withLock } from './lock.mjs';

const LOCK = join(ROOT, 'package-lock.json');
const INSTALLED = join(ROOT, 'node_modules/.package-lock.json');
/** What `npm ci` was last run for; inside node_modules, so that it goes when they go. */
const INSTALL_STAMP = join(ROOT, 'node_modules/.sidestream-install');
const BUILD_STAMP = join(ROOT, 'dist/.built');
const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm';

const major = Number.parseInt(process.versions.node, 10);
const platform = `${process.platform}-${process.arch}-${major}`;

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(file));
  return hash.digest('hex');
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // ENOENT, or a half-written file: the same as not being there
  }
}

const readStamp = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

/**
 * Why node_modules is not what package-lock.json says, or undefined.
 * Optional packages are not asked for one by one: npm rightly leaves out what does not fit the machine. But
 * uWebSockets.js has one per Node major, so a change of Node needs an install of its own.
 */
function whyInstall() {
  const installed = readJson(INSTALLED)?.packages;
  if (installed === undefined) return 'node_modules is missing';
  const wanted = Object.entries(readJson(LOCK).packages).filter(
    ([path, entry]) => path !== '' && !entry.optional,
  );
  if (wanted.some(([path, entry]) => installed[path]?.version !== entry.version)) {
    return 'node_modules does not match package-lock.json';
  }
  const hasBinary = Object.keys(installed).some((path) => path.endsWith(`/@uwsjs/${platform}`));
  const isOurs = readStamp(INSTALL_STAMP) === installStamp();
  return hasBinary || isOurs
    ? undefined
    : `node_modules was installed for another Node than ${process.version}`;
}

const installStamp = () => `${platform} ${hashOf([LOCK])}\n`;

async function install() {
  const why = whyInstall();
  if (why === undefined) return;
  say(`${why}: npm ci`);
  // Tools and compiler are devDependencies; NODE_ENV=production, or npm's own setting, would leave them out.
  const { NODE_ENV: _, ...env } = process.env;
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  const { code, output } = await runProgram(NPM, args, { show: 'stderr', env });
  if (code !== 0)
    throw new SetupError(`npm ci failed (${output || `exit ${code}`}). Sidestream needs its dependencies.`);
  writeFileSync(INSTALL_STAMP, installStamp());
}

const sourcesOf = (folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();

async function build() {
  const configs = ['tsconfig.json', 'tsconfig.build.json'].map((name) => join(ROOT, name));
  const stamp = hashOf([...sourcesOf('src'), ...configs, LOCK]);
  if (readStamp(BUILD_STAMP) === stamp) return;
  say(`${existsSync(BUILD_STAMP) ? 'src/ changed' : 'dist/ is missing'}: npm run build`);
  const { code } = await runProgram(NPM, ['run', 'build', '--silent'], { show: 'stderr' });
  if (code !== 0) throw new SetupError('The build failed; what is wrong stands above.');
  writeFileSync(BUILD_STAMP, stamp);
}

/**
 * Installs the dependencies where they are missing, are not the lock file's, or were installed for another Node.
 * @throws {SetupError}
 */
export function ensureDependencies() {
  if (!existsSync(LOCK)) throw new SetupError(`${LOCK} is missing: this is no complete checkout.`);
  return withLock('install', install);
}

/**
 * Builds dist/ where it is missing or was built from other sources.
 * @throws {SetupError}
 */
export function ensureBuild() {
  return withLock('build', build);
}
