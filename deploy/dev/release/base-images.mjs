// The images that the Dockerfile begins with, made of what they are made of: Debian's packages and Node's own binary. No registry of
// images is asked, so nothing here shows that theirs are the same; what they are called is.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { runProgram, SetupError, say } from '../command.mjs';
import { DEBIAN_KEYRING, debianMirror } from '../debian.mjs';
import { NODE } from '../newest-uws.mjs';
import { buildah, FOLDER, hasImage } from './store.mjs';

/** Of the same major as that of Node's own image. */
const NPM = '11.21.2';
/** What Debian's slim images leave out; of /usr/share/doc the copyrights stay. */
const NOT_IN_SLIM = [
  'usr/share/man',
  'usr/share/info',
  'usr/share/locale',
  'var/cache/apt',
  'var/lib/apt/lists',
];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What an image is made of is its tag in our own store, so that another Node makes another image. */
const MAKERS = [
  {
    name: /^debian:(?<release>[a-z]+)-slim$/,
    tagOf: ({ release }) => `localhost/made/debian:${release}`,
    make: makeDebian,
  },
  {
    name: /^node:(?<major>\d+)-(?<release>[a-z]+)-slim$/,
    tagOf: ({ release }) => `localhost/made/node:${NODE}-npm-${NPM}-${release}`,
    make: makeNode,
  },
];

/**
 * Puts an image of that name into the store.
 * @param {string} name as behind FROM
 * @throws {SetupError} when nobody here knows how to make it
 */
export async function ensureBaseImage(name) {
  for (const { name: pattern, tagOf, make } of MAKERS) {
    const { groups } = pattern.exec(name) ?? {};
    if (groups === undefined) continue;
    const made = tagOf(groups);
    if (!(await hasImage(made))) await make(made, groups);
    await buildah(['tag', made, `docker.io/library/${name}`]);
    return;
  }
  throw new SetupError(
    `The Dockerfile begins with ${name}, which deploy/dev/release/base-images.mjs cannot make.`,
  );
}

async function makeDebian(tag, { release }) {
  const root = await ensureDebianRoot(release);
  await commit(tag, 'scratch', root, ['--env', `PATH=${PATH}`, '--cmd', 'bash']);
}

async function makeNode(tag, { major, release }) {
  if (major !== NODE.split('.')[0])
    throw new SetupError(`The Dockerfile wants Node ${major}; deploy/dev/newest-uws.mjs names ${NODE}.`);
  const debian = `debian:${release}-slim`;
  await ensureBaseImage(debian);
  await commit(tag, `docker.io/library/${debian}`, await makeNodeLayer(), ['--cmd', 'node']);
}

async function commit(name, from, folder, config) {
  say(`${name}, made here from ${from} and ${folder}`);
  const container = await buildah(['from', '--pull-never', from]);
  await buildah(['copy', '--quiet', container, folder, '/']);
  await buildah(['config', ...config, container]);
  await buildah(['commit', '--quiet', '--format', 'docker', container, name]);
  await buildah(['rm', container]);
}

async function ensureDebianRoot(release) {
  const folder = join(FOLDER, `debian-${release}`);
  if (existsSync(folder)) return folder;
  const mirror = await debianMirror();
  if (mirror === undefined) throw new SetupError("This machine takes no packages from a mirror of Debian's.");
  const part = `${folder}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  say(`debootstrap ${release} (into .cache/)`);
  const args = ['--variant=minbase', `--keyring=${DEBIAN_KEYRING}`, release, part, mirror];
  const { code, output } = await runProgram('debootstrap', args);
  if (code !== 0) throw new SetupError(`debootstrap ${release} failed: ${output.split('\n').at(-1)}`);
  slim(part);
  renameSync(part, folder);
  return folder;
}

function slim(root) {
  for (const name of NOT_IN_SLIM)
    for (const entry of readdirSync(join(root, name))) rmSync(join(root, name, entry), { recursive: true });
  const docs = join(root, 'usr/share/doc');
  for (const entry of readdirSync(docs, { recursive: true, withFileTypes: true }))
    if (!entry.isDirectory() && entry.name !== 'copyright')
      rmSync(join(entry.parentPath ?? entry.path, entry.name));
}

/** Node and npm where Node's image has them; and this machine's word on where npm's registry is and whom to trust there. */
async function makeNodeLayer() {
  const folder = join(FOLDER, 'node');
  rmSync(folder, { recursive: true, force: true });
  const packages = join(folder, 'packages');
  const node = `node-linux-${process.arch}`;
  say(`npm install ${node}@${NODE} npm@${NPM} (into .cache/)`);
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', packages];
  const { code, output } = await runProgram('npm', ['install', ...options, `${node}@${NODE}`, `npm@${NPM}`]);
  if (code !== 0) throw new SetupError(`npm install ${node} failed: ${output.split('\n').at(-1)}`);
  const local = join(folder, 'layer/usr/local');
  for (const name of ['bin', 'etc', 'lib/node_modules']) mkdirSync(join(local, name), { recursive: true });
  renameSync(join(packages, 'node_modules', node, 'bin/node'), join(local, 'bin/node'));
  renameSync(join(packages, 'node_modules/npm'), join(local, 'lib/node_modules/npm'));
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
  await tellNpm(local);
  return join(folder, 'layer');
}

async function tellNpm(local) {
  const trusted = process.env.NODE_EXTRA_CA_CERTS ?? (await npmConfig('cafile'));
  const lines = [`registry=${await npmConfig('registry')}`];
  if (existsSync(trusted)) {
    copyFileSync(trusted, join(local, 'etc/trusted.pem'));
    lines.push('cafile=/usr/local/etc/trusted.pem');
  }
  writeFileSync(join(local, 'etc/npmrc'), `${lines.join('\n')}\n`);
}

/** npm's warnings stand in between. */
async function npmConfig(key) {
  const { output } = await runProgram('npm', ['config', 'get', key]);
  return output.split('\n').find((line) => !line.startsWith('npm ')) ?? '';
}
