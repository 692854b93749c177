import { expect, test } from 'vitest';
import { report } from './report.ts';
import { runStress } from './stress.ts';

const SHORT = { seed: 1, seconds: 5, clients: 24 };

test('whatever ends, restarts or lags: no client misses anything unsaid, has anything twice or out of order', async () => {
  const findings = await runStress(SHORT);
  const text = report(SHORT, findings);
  expect(findings.faults.length, text).toBe(0);
  // A run in which nobody came back for anything would prove nothing.
  for (const what of ['all: replayed', 'limited: replayed', 'archive reads', 'returns with an old cursor'])
    expect(findings.counted(what), `${what}\n${text}`).toBeGreaterThan(0);
}, 60_000);
