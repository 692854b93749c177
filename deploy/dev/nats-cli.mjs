// The `nats` command line tool, with which the documentation's examples are run.
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, namedProgram, ROOT, runProgram, say } from './command.mjs';
import { mayInstall } from './debian.mjs';
import { withLock } from './lock.mjs';

/** As in nats-cli/go.mod; what it is built of stands in go.sum. */
const VERSION = 'v0.1.6';
const MODULE = join(ROOT, 'deploy/dev/nats-cli');
const FOLDER = join(CACHE, `nats-cli-${VERSION}`);

async function build() {
  const go = findProgram(['go'], { places: ['/usr/local/go/bin', '/usr/lib/go/bin'] });
  if (go === undefined) return 'there is no Go to build it with';
  mkdirSync(FOLDER, { recursive: true });
  say(`go build github.com/nats-io/natscli/nats (${VERSION})`);
  const part = join(FOLDER, 'nats.part');
  const args = ['build', '-trimpath', '-o', part, 'github.com/nats-io/natscli/nats'];
  const { code, output } = await withLock('install', () => runProgram(go, args, { cwd: MODULE }));
  if (code !== 0) return `go build failed: ${output.split('\n').at(-1)}`;
  renameSync(part, join(FOLDER, 'nats'));
  return undefined;
}

/**
 * The tool: NATS_CLI_BIN, the one on the PATH, else one built with Go, once.
 * @returns {Promise<{ file: string } | { why: string }>}
 * @throws {import('./command.mjs').SetupError} when NATS_CLI_BIN names no program
 */
export async function ensureNatsCli(env = process.env) {
  const find = () => findProgram(['nats'], { path: '', places: [FOLDER] });
  const known = namedProgram('NATS_CLI_BIN', env) ?? findProgram(['nats']) ?? find();
  if (known !== undefined) return { file: known };
  if (!mayInstall(env)) return { why: 'SIDESTREAM_NO_INSTALL is set' };
  const why = await build();
  return why === undefined ? { file: join(FOLDER, 'nats') } : { why };
}
