// A current nats-server beside Debian's old one: what JetStream does differs between them.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, runProgram, say } from './command.mjs';
import { mayInstall } from './debian.mjs';
import { withLock } from './lock.mjs';

/** What is tested against; raise it when a newer one is out. */
const VERSION = 'v2.15.2';
/** Older ones lack what the tests of newer servers are about. */
const MINIMUM = [2, 12];

async function isCurrent(file) {
  const { code, output } = await runProgram(file, ['--version']);
  const [, major, minor] = /v(\d+)\.(\d+)\./.exec(output) ?? [];
  if (code !== 0 || major === undefined) return false;
  return Number(major) > MINIMUM[0] || (Number(major) === MINIMUM[0] && Number(minor) >= MINIMUM[1]);
}

async function install(folder) {
  const go = findProgram(['go'], { places: ['/usr/local/go/bin', '/usr/lib/go/bin'] });
  if (go === undefined) return 'there is no Go to build one with';
  const source = `github.com/nats-io/nats-server/v2@${VERSION}`;
  say(`go install ${source}`);
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, GOFLAGS: '-trimpath' };
  const { code, output } = await withLock('install', () => runProgram(go, ['install', source], { env }));
  return code === 0 ? undefined : `go install failed: ${output.split('\n').at(-1)}`;
}

/**
 * A nats-server of {@link MINIMUM} or later: the one that the other tests use if it is new enough, else one built with Go.
 * @param {string} ours the server of the other tests
 * @returns {Promise<{ file: string } | { why: string }>}
 */
export async function ensureCurrentNatsServer(ours, env = process.env) {
  if (await isCurrent(ours)) return { file: ours };
  const folder = join(CACHE, `nats-server-${VERSION}`);
  const known = findProgram(['nats-server'], { path: '', places: [folder] });
  if (known !== undefined) return { file: known };
  if (!mayInstall(env)) return { why: 'SIDESTREAM_NO_INSTALL is set' };
  const why = await install(folder);
  const file = findProgram(['nats-server'], { path: '', places: [folder] });
  return file === undefined ? { why: why ?? 'go install left none' } : { file };
}
