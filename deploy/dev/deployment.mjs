// What the files of deploy/ are tested with: proxies, the compose specification's reader, systemd-analyze.
import { ensureComposeCheck } from './compose-check.mjs';
import { ensureProxies } from './proxies.mjs';
import { ensureSystemdAnalyze } from './systemd.mjs';

/**
 * @returns {Promise<{ variables: Record<string, string>, missing: string[] }>} what the tests read from the environment, and what of
 *   them will not run and why
 * @throws {import('./command.mjs').SetupError} when a variable names no program
 */
export async function ensureDeployment(env = process.env) {
  const { variables, missing } = await ensureProxies(env);
  const compose = await ensureComposeCheck(env);
  if (compose.why === undefined) variables.COMPOSE_CHECK_BIN = compose.file;
  else missing.push(`The compose file will not be checked as Docker Compose does: ${compose.why}`);
  const systemd = await ensureSystemdAnalyze(env);
  if (systemd.why === undefined) variables.SYSTEMD_ANALYZE_BIN = systemd.file;
  else {
    variables.SIDESTREAM_NO_SYSTEMD = systemd.why;
    missing.push(`The unit file will not be checked by systemd: ${systemd.why}`);
  }
  return { variables, missing };
}
