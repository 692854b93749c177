// `npm run test:newest-uws`: the tests of what uWebSockets.js does for us, with the newest version that is supported. It wants a
// newer Node and a newer glibc than a Debian 12 has, so both are fetched, and a copy of the checkout is tested with them.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, ROOT, runProgram, say } from './command.mjs';
import { aptUnpack, mayInstall } from './debian.mjs';
import { withLock } from './lock.mjs';
import { ensureNatsServer } from './nats-server.mjs';
import { ensureNewerLibc } from './newer-libc.mjs';

/** What is tested with, and what stands in for the image's: raise both together. */
export const NODE = '24.21.0';
/** From these on the newest binary loads without our help. */
const ENOUGH = { node: 22, glibc: 38 };
const BIN = join(CACHE, `node-${NODE}/bin`);
const COPY = join(CACHE, 'newest-uws');
/** Made by the copy itself, and kept from one run to the next. */
const ITS_OWN = new Set(['node_modules', 'dist']);
const LEFT_OUT = new Set([...ITS_OWN, '.cache', '.git']);

/** What stands on how the binary writes, holds back, ends, reports and listens, and on what only a newer Node's zlib has (zstd). */
const TESTS = [
  'test/framing',
  'test/http/',
  'test/protocol/',
  'test/integration/aborts',
  'test/integration/backpressure',
  'test/integration/bad-requests',
  'test/integration/compression',
  'test/integration/drain',
  'test/integration/events',
  'test/integration/lifetime',
  'test/integration/ndjson',
  'test/integration/poll',
  'test/integration/slow-readers',
  'test/integration/switching',
  'test/integration/tls',
  'test/integration/workers.test',
];

/** Why there is nothing to do, or it cannot be done here. */
function whyNot(env) {
  const glibc = process.report.getReport().header.glibcVersionRuntime;
  if (process.platform !== 'linux' || glibc === undefined) return 'only Linux with glibc is provided for';
  const minor = Number(glibc.split('.')[1]);
  if (Number.parseInt(process.versions.node, 10) >= ENOUGH.node && minor >= ENOUGH.glibc)
    return 'it loads here, so the other tests run with it';
  return mayInstall(env) ? undefined : 'SIDESTREAM_NO_INSTALL is set';
}

async function fetchNode(folder) {
  say(`npm install node@${NODE} (into .cache/)`);
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, `node@${NODE}`];
  const { code, output } = await runProgram('npm', args);
  return code === 0 ? undefined : `npm install node@${NODE} failed: ${output.split('\n').at(-1)}`;
}

/**
 * A Node that uses the newer glibc, and so do its children of the same name: told by its ELF header, since a Node that is
 * started by `ld-linux` takes that for itself when it is to start another.
 */
async function makeNode() {
  const libc = await ensureNewerLibc();
  if (libc.why !== undefined) return libc.why;
  const patchelf = await aptUnpack('patchelf');
  if (patchelf.why !== undefined) return patchelf.why;
  const fetched = join(CACHE, `node-${NODE}/npm`);
  const why = await fetchNode(fetched);
  if (why !== undefined) return why;
  const file = join(fetched, 'node_modules/node/bin/node');
  const told = ['--set-interpreter', libc.loader, '--force-rpath', '--set-rpath', libc.folder, file];
  const { code, output } = await runProgram(join(patchelf.folder, 'usr/bin/patchelf'), told);
  if (code !== 0) return `patchelf failed: ${output}`;
  mkdirSync(BIN, { recursive: true });
  renameSync(file, join(BIN, 'node'));
  rmSync(fetched, { recursive: true });
  return undefined;
}

/** The checkout as it is now; resolved by links, its modules would find this machine's node_modules. */
function copyCheckout() {
  mkdirSync(COPY, { recursive: true });
  for (const name of readdirSync(COPY)) if (!ITS_OWN.has(name)) rmSync(join(COPY, name), { recursive: true });
  for (const name of readdirSync(ROOT))
    if (!LEFT_OUT.has(name)) cpSync(join(ROOT, name), join(COPY, name), { recursive: true });
}

/** The newest that package-lock.json names. */
function newestVersion() {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  return lock.packages['node_modules/uWebSockets.js'].version;
}

/**
 * @param {readonly string[]} args vitest's, in place of {@link TESTS}
 * @returns {Promise<number>} its exit code; 0 where the tests cannot run, which is said
 */
export async function testNewestUws(args) {
  const node = join(BIN, 'node');
  let why = whyNot(process.env);
  if (why === undefined && !existsSync(node)) why = await makeNode();
  const version = newestVersion();
  if (why !== undefined) {
    say(`The tests with uWebSockets.js ${version} will not run: ${why}.`);
    return 0;
  }
  return withLock('newest-uws', async () => {
    copyCheckout();
    const env = {
      ...process.env,
      PATH: `${BIN}:${process.env.PATH}`,
      NATS_SERVER_BIN: await ensureNatsServer(),
      SIDESTREAM_CACHE: CACHE,
      SIDESTREAM_EXPECTED_UWS: version,
    };
    say(`tests with uWebSockets.js ${version}, on Node ${NODE}`);
    const command = [join(COPY, 'deploy/dev/run.mjs'), 'test', ...(args.length > 0 ? args : TESTS)];
    return (await runProgram(node, command, { show: 'all', cwd: COPY, env })).code;
  });
}
