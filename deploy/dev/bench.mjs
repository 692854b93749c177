// `npm run bench`: the set-up for test/bench/run.mjs, which starts and stops everything it measures.
import { join } from 'node:path';
import { ROOT, runProgram } from './command.mjs';
import { ensureBuild, ensureDependencies } from './dependencies.mjs';
import { ensureNatsServer } from './nats-server.mjs';

/**
 * @param {readonly string[]} args the benchmark's own
 * @returns {Promise<number>} its exit code
 */
export async function bench(args) {
  await ensureDependencies();
  await ensureBuild();
  const env = { ...process.env, NATS_SERVER_BIN: await ensureNatsServer() };
  return (
    await runProgram(process.execPath, [join(ROOT, 'test/bench/run.mjs'), ...args], { show: 'all', env })
  ).code;
}
