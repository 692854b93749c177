// Prometheus and its promtool, with which alert rules and the dashboard are tested.
import { dirname, join } from 'node:path';
import { CACHE, findProgram, namedProgram } from './command.mjs';
import { aptUnpack, mayInstall } from './debian.mjs';

const FOLDER = join(CACHE, 'prometheus/usr/bin');

/** promtool comes with Prometheus, everywhere: where the one is, the other is looked for. */
function pairOf(server) {
  const promtool = findProgram(['promtool'], { path: '', places: [dirname(server)] });
  return promtool === undefined ? { why: `there is no promtool beside ${server}` } : { server, promtool };
}

/**
 * Both: PROMETHEUS_BIN, the PATH, else Debian's package, unpacked and not installed.
 * @returns {Promise<{ server: string, promtool: string } | { why: string }>}
 * @throws {import('./command.mjs').SetupError} when PROMETHEUS_BIN names no program
 */
export async function ensurePrometheus(env = process.env) {
  const find = () => findProgram(['prometheus'], { path: env.PATH, places: [FOLDER] });
  const known = namedProgram('PROMETHEUS_BIN', env) ?? find();
  if (known !== undefined) return pairOf(known);
  if (!mayInstall(env)) return { why: 'there is no Prometheus, and SIDESTREAM_NO_INSTALL is set' };
  const { why } = await aptUnpack('prometheus');
  const unpacked = find();
  return unpacked === undefined ? { why: why ?? 'the package holds no prometheus' } : pairOf(unpacked);
}
