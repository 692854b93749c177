import { expect, test } from 'vitest';
import { judge } from './judge.ts';
import { HEADING, row, verdict } from './report.ts';
import { runSoak } from './soak.ts';

const SHORT = { seed: 1, minutes: 0.17, clients: 200, workers: 1 };

// A trend needs minutes (`npm run soak`); what a thousand connections leave behind shows at once.
test('clients of every kind that come, go, stall, lag and are refused leave no memory, descriptor, timer or count behind', async () => {
  const lines = [HEADING];
  const result = await runSoak(SHORT, (sample) => void lines.push(row(sample)));
  const checks = judge(result);
  const failed = checks.filter(({ isMet }) => !isMet).map(({ what }) => what);
  expect(failed, [...lines, verdict(SHORT, result, checks)].join('\n')).toEqual([]);
}, 90_000);
