// Programs that are built with Go, once, from a folder beside this file whose go.mod and go.sum say of what.
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, findProgram, namedProgram, ROOT, runProgram, say } from './command.mjs';
import { mayInstall } from './debian.mjs';
import { withLock } from './lock.mjs';

/** Go, or `undefined`. */
export const findGo = () => findProgram(['go'], { places: ['/usr/local/go/bin', '/usr/lib/go/bin'] });

/**
 * @typedef {object} GoTool
 * @property {string} name what the program is called
 * @property {string} version as in its go.mod; a folder of its own below .cache
 * @property {string} package the package to build
 * @property {string} variable the environment variable that names one that is there
 * @property {readonly string[]} [flags] further ones of `go build`
 */

async function build(tool, folder) {
  const go = findGo();
  if (go === undefined) return 'there is no Go to build it with';
  mkdirSync(folder, { recursive: true });
  say(`go build ${tool.package} (${tool.version})`);
  const part = join(folder, `${tool.name}.part`);
  const args = ['build', '-trimpath', '-mod=readonly', ...(tool.flags ?? []), '-o', part, tool.package];
  const cwd = join(ROOT, 'deploy/dev', tool.module ?? tool.name);
  const { code, output } = await withLock('install', () => runProgram(go, args, { cwd }));
  if (code !== 0) return `go build failed: ${output.split('\n').at(-1)}`;
  renameSync(part, join(folder, tool.name));
  return undefined;
}

/**
 * The one that its variable names, the one on the PATH, else one built with Go, once.
 * @param {GoTool & { module?: string }} tool `module`: its folder beside this file, where that is not called as it is
 * @returns {Promise<{ file: string } | { why: string }>}
 * @throws {import('./command.mjs').SetupError} when its variable names no program
 */
export async function ensureGoTool(tool, env = process.env) {
  const folder = join(CACHE, `${tool.module ?? tool.name}-${tool.version}`);
  const known =
    namedProgram(tool.variable, env) ?? findProgram([tool.name], { path: env.PATH, places: [folder] });
  if (known !== undefined) return { file: known };
  if (!mayInstall(env)) return { why: 'SIDESTREAM_NO_INSTALL is set' };
  const why = await build(tool, folder);
  return why === undefined ? { file: join(folder, tool.name) } : { why };
}
