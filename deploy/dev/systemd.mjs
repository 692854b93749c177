// systemd-analyze, with which the unit file is checked. It needs no systemd that runs.
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, namedProgram, runProgram } from './command.mjs';
import { aptUnpack, mayInstall } from './debian.mjs';

const SCRIPT = join(CACHE, 'systemd-analyze');

/** Debian's package, unpacked: installed it would be the init of this machine. Its own library lies beside it. */
async function fromApt() {
  const { folder, why } = await aptUnpack('systemd');
  if (why !== undefined) return { why };
  const file = findProgram(['systemd-analyze'], {
    path: '',
    places: [join(folder, 'usr/bin'), join(folder, 'bin')],
  });
  if (file === undefined) return { why: 'the package systemd holds no systemd-analyze' };
  const libraries = ['usr/lib', 'lib']
    .map((place) => `${folder}/${place}/$(uname -m)-linux-gnu/systemd`)
    .join(':');
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(`${SCRIPT}.part`, `#!/bin/sh\nLD_LIBRARY_PATH="${libraries}" exec "${file}" "$@"\n`);
  chmodSync(`${SCRIPT}.part`, 0o755);
  renameSync(`${SCRIPT}.part`, SCRIPT);
  const { code } = await runProgram(SCRIPT, ['--version']);
  return code === 0 ? { file: SCRIPT } : { why: `${file} does not run here` };
}

/**
 * SYSTEMD_ANALYZE_BIN, the one on the PATH, else Debian's package, unpacked and not installed.
 * @returns {Promise<{ file: string } | { why: string }>}
 * @throws {import('./command.mjs').SetupError} when SYSTEMD_ANALYZE_BIN names no program
 */
export async function ensureSystemdAnalyze(env = process.env) {
  const places = [CACHE];
  const known =
    namedProgram('SYSTEMD_ANALYZE_BIN', env) ?? findProgram(['systemd-analyze'], { path: env.PATH, places });
  if (known !== undefined) return { file: known };
  if (!mayInstall(env)) return { why: 'there is no systemd-analyze, and SIDESTREAM_NO_INSTALL is set' };
  return fromApt();
}
