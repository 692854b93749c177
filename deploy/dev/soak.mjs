// `npm run soak`: the set-up for test/soak/run.mjs, which starts and stops everything itself.
import { join } from 'node:path';
import { ROOT, runProgram } from './command.mjs';
import { ensureBuild, ensureDependencies } from './dependencies.mjs';
import { ensureNatsServer } from './nats-server.mjs';

/**
 * @param {readonly string[]} args the run's own
 * @returns {Promise<number>} its exit code
 */
export async function soak(args) {
  await ensureDependencies();
  await ensureBuild();
  const env = { ...process.env, NATS_SERVER_BIN: await ensureNatsServer() };
  const file = join(ROOT, 'test/soak/run.mjs');
  return (await runProgram(process.execPath, [file, ...args], { show: 'all', env })).code;
}
