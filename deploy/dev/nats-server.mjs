// Finds a nats-server, or gets one.
import { chmodSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CACHE, findProgram, namedProgram, runProgram, SetupError, say } from './command.mjs';
import { aptUnpack, mayInstall } from './debian.mjs';

/** Debian's place for it is not on every user's PATH; `go install` and Homebrew have theirs. */
const PLACES = [
  '/usr/sbin',
  '/usr/local/bin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
  join(homedir(), 'go/bin'),
];
const IMAGE = 'nats:2';

/** Where the ways below leave it, for the next run to find. */
const CACHED = [join(CACHE, 'nats-server/usr/sbin'), join(CACHE, 'nats-server/usr/bin'), join(CACHE, 'bin')];

async function fromBrew() {
  if (findProgram(['brew']) === undefined) return { why: 'no Homebrew' };
  say('brew install nats-server');
  const { code } = await runProgram('brew', ['install', 'nats-server'], { show: 'stderr' });
  const file = findProgram(['nats-server'], { places: PLACES });
  return file ? { file } : { why: `brew install nats-server failed (exit ${code})` };
}

async function fromApt() {
  const { why } = await aptUnpack('nats-server');
  return why === undefined ? { file: findProgram(['nats-server'], { places: CACHED }) } : { why };
}

/** The server is one static Linux binary, so it is copied out of its image; the tests start it many times, with files of theirs. */
async function fromDocker() {
  if (findProgram(['docker']) === undefined) return { why: 'no docker' };
  if (process.platform !== 'linux') return { why: 'the docker image holds a Linux program' };
  if ((await runProgram('docker', ['version'])).code !== 0) return { why: 'no docker engine answers' };
  say(`docker: copying nats-server out of the image ${IMAGE}`);
  const { code, output } = await runProgram('docker', ['create', '--quiet', IMAGE]);
  if (code !== 0) return { why: `docker create ${IMAGE} failed: ${output}` };
  const container = output.split('\n').at(-1);
  const file = join(CACHE, 'bin/nats-server');
  mkdirSync(join(CACHE, 'bin'), { recursive: true });
  const copied = await runProgram('docker', ['cp', `${container}:/nats-server`, `${file}.${process.pid}`]);
  await runProgram('docker', ['rm', container]);
  if (copied.code !== 0 || !existsSync(`${file}.${process.pid}`))
    return { why: `docker cp failed: ${copied.output}` };
  chmodSync(`${file}.${process.pid}`, 0o755);
  renameSync(`${file}.${process.pid}`, file);
  return { file };
}

const ADVICE = `Install one of these, or name one with NATS_SERVER_BIN=/path/to/nats-server:
  Debian, Ubuntu   sudo apt-get install nats-server
  macOS            brew install nats-server
  Go               go install github.com/nats-io/nats-server/v2@latest
  a download       https://nats.io/download/
The demo can also use a server that already runs: NATS_URL=nats://127.0.0.1:4222 npm run demo`;

const WAYS = { apt: fromApt, brew: fromBrew, docker: fromDocker };

async function getServer() {
  const reasons = [];
  for (const [name, way] of Object.entries(WAYS)) {
    const { file, why } = await way();
    if (file !== undefined) {
      say(`nats-server: ${file}`);
      return file;
    }
    reasons.push(`  ${name.padEnd(6)} ${why ?? 'it holds no nats-server'}`);
  }
  throw new SetupError(
    `There is no nats-server here, and getting one did not work:\n${reasons.join('\n')}\n\n${ADVICE}`,
  );
}

/**
 * A nats-server's full path: NATS_SERVER_BIN, the PATH, the usual places, what an earlier run fetched; else fetched now.
 * @param {{ env?: NodeJS.ProcessEnv, places?: readonly string[] }} [machine] what a test replaces
 * @throws {SetupError} with what to install, when there is none and none can be got
 */
export async function ensureNatsServer({ env = process.env, places = [...PLACES, ...CACHED] } = {}) {
  const file =
    namedProgram('NATS_SERVER_BIN', env) ?? findProgram(['nats-server'], { path: env.PATH, places });
  if (file !== undefined) return file;
  if (!mayInstall(env)) {
    throw new SetupError(`There is no nats-server here, and SIDESTREAM_NO_INSTALL is set.\n\n${ADVICE}`);
  }
  return getServer();
}
