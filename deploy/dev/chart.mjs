// `npm run test:chart`: the tests of the chart with kubectl-validate, which takes minutes to build the first time.
import { say } from './command.mjs';
import { ensureHelm } from './helm.mjs';
import { test } from './test.mjs';

/** @returns {Promise<number>} vitest's exit code; 1 where it cannot be done: who asks for it wants to know */
export async function testChart() {
  const { variables, missing } = await ensureHelm({ validator: true });
  for (const line of missing) say(`${line}.`);
  if (missing.length > 0) return 1;
  Object.assign(process.env, variables);
  return test(['test/helm/']);
}
