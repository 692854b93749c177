import { expect, onTestFinished, test } from 'vitest';
import { Findings } from './findings.ts';
import { report } from './report.ts';
import { runStress, type StressOptions } from './stress.ts';

const PROGRESS_MS = 10_000;
/** Besides the time of trouble: starting, the calm at the end, reading the streams. */
const REST_MS = 120_000;

const options: StressOptions = JSON.parse(process.env.SIDESTREAM_STRESS ?? '');

test(`${JSON.stringify(options)}`, { timeout: options.seconds * 1000 + REST_MS }, async () => {
  const findings = new Findings();
  const progress = setInterval(() => {
    const received = findings.counted('publications received');
    process.stderr.write(`${findings.clock}: ${received} received, ${findings.faults.length} faults\n`);
  }, PROGRESS_MS);
  onTestFinished(() => clearInterval(progress));
  await runStress(options, findings);
  process.stdout.write(`${report(options, findings)}\n`);
  expect(findings.faults.length).toBe(0);
});
