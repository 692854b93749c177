import { expect, test } from 'vitest';
import { judge } from './judge.ts';
import { HEADING, row, verdict } from './report.ts';
import { runSoak, type SoakOptions } from './soak.ts';

/** Besides the time of the soak: starting, the first crowd, twice waiting for everybody to be forgotten. */
const REST_MS = 120_000;

const options: SoakOptions = JSON.parse(process.env.SIDESTREAM_SOAK ?? '');

test(`${JSON.stringify(options)}`, { timeout: options.minutes * 60_000 + REST_MS }, async () => {
  process.stdout.write(`${HEADING}\n`);
  const result = await runSoak(options, (sample) => process.stdout.write(`${row(sample)}\n`));
  const checks = judge(result);
  process.stdout.write(`${verdict(options, result, checks)}\n`);
  expect(checks.every(({ isMet }) => isMet)).toBe(true);
});
