// `npm run stress`: the set-up for test/stress/run.mjs, which starts and stops everything itself.
import { join } from 'node:path';
import { ROOT, runProgram } from './command.mjs';
import { ensureBuild, ensureDependencies } from './dependencies.mjs';
import { ensureNatsServer } from './nats-server.mjs';

/**
 * @param {readonly string[]} args the run's own
 * @returns {Promise<number>} its exit code
 */
export async function stress(args) {
  await ensureDependencies();
  await ensureBuild();
  const env = { ...process.env, NATS_SERVER_BIN: await ensureNatsServer() };
  const file = join(ROOT, 'test/stress/run.mjs');
  return (await runProgram(process.execPath, [file, ...args], { show: 'all', env })).code;
}
