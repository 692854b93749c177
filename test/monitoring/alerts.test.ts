import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ALERTS_FILE, anchorsOf, readAlerts, readScenes, SCENE_FILES } from './alerts.ts';
import { noPrometheus, PROMTOOL } from './prometheus.ts';

const alerts = readAlerts();
const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const names = alerts.map(({ alert }) => alert);
const run = promisify(execFile);

describe.skipIf(noPrometheus !== undefined)('promtool', () => {
  it('finds nothing wrong with the rules', async () => {
    expect((await run(PROMTOOL, ['check', 'rules', ALERTS_FILE])).stdout).toContain(
      `SUCCESS: ${alerts.length} rules found`,
    );
  });

  it('sees each alert fire in its scene, and no other', async () => {
    // It ends with 1 where a scene went otherwise, and says how; that is the error's text.
    const { stdout } = await run(PROMTOOL, ['test', 'rules', ...SCENE_FILES]);
    expect(stdout.match(/SUCCESS/g)).toHaveLength(SCENE_FILES.length);
    // It reckons for some 6 s, on a machine that has nothing else to do.
  }, 120_000);
});

describe('the alerts', () => {
  it('are each shown to fire, and in the same scene not to', () => {
    const scenes = readScenes();
    for (const name of names) {
      const own = scenes.filter(({ promql_expr_test: looks }) =>
        looks.some(({ exp_samples: firing }) => firing.some(({ labels }) => labels.includes(`"${name}"`))),
      );
      expect(own.length, `${name} fires`).toBeGreaterThan(0);
      const isQuietToo = own.some(({ promql_expr_test: looks }) =>
        looks.some(({ exp_samples: firing }) => firing.every(({ labels }) => !labels.includes(`"${name}"`))),
      );
      expect(isQuietToo, `${name} does not fire`).toBe(true);
    }
  });

  it('have names of their own, a severity and something to say', () => {
    expect(new Set(names).size).toBe(names.length);
    for (const { alert, labels, annotations } of alerts) {
      expect(['critical', 'warning', 'info'], alert).toContain(labels.severity);
      expect(annotations.summary.length, alert).toBeGreaterThan(20);
      expect(annotations.description, alert).toMatch(/\.$/);
    }
  });

  it('have runbooks that say what readers see, where to look, why, what to do and when it is over', () => {
    for (const { alert, labels } of alerts) {
      const [, runbook = ''] = new RegExp(`### ${alert}\\n([^]*?)(?:\\n### |$)`).exec(page) ?? [];
      expect(runbook, alert).toContain(`**${labels.severity}.**`);
      for (const part of ['Readers', 'First look', 'Likely', 'Do', 'Over when'])
        expect(runbook, alert).toMatch(new RegExp(`^- ${part}: \\S`, 'm'));
    }
  });

  it('have a runbook each, and each runbook has an alert', () => {
    for (const { alert, annotations } of alerts)
      expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    const runbooks = anchorsOf('operations.md').filter((anchor) => /^sidestream[a-z]/.test(anchor));
    expect(runbooks).toEqual(names.map((name) => name.toLowerCase()));
  });
});
