import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folder.ts';
import { CHART, chartFile, noHelm, only, render, TAKEN, valueSet, valuesFile } from './chart.ts';

/** What `helm install` would tell, of some values. It asks a cluster first; so the notes are rendered as an object here. */
async function notes(file: string): Promise<string> {
  const chart = join(temporaryFolder(), 'sidestream');
  cpSync(CHART, chart, { recursive: true });
  const object = `{{ define "notes" }}${chartFile('templates/NOTES.txt')}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: { name: the-notes }
data: { notes: {{ include "notes" . | toJson }} }
`;
  writeFileSync(join(chart, 'templates/notes.yaml'), object);
  return only(await render([file], { chart }), 'ConfigMap', 'the-notes').data?.notes ?? '';
}

const { config } = TAKEN;

describe.skipIf(noHelm !== undefined)('the notes after an installation', () => {
  it('name the next commands as they are to be typed', async () => {
    const text = await notes(valueSet('gateway'));
    expect(text).toContain('kubectl -n live rollout status deployment/demo-sidestream');
    expect(text).toContain('helm -n live test demo');
    expect(text).toContain('kubectl -n live port-forward service/demo-sidestream 8080:80');
    expect(text).toContain('curl -N http://localhost:8080/live/events/YOUR-CHANNEL');
  });

  it('name https where the pods speak it', async () => {
    expect(await notes(valueSet('load-balancer'))).toContain(
      'curl -N --insecure https://localhost:8080/events/YOUR-CHANNEL',
    );
  });

  it.each([
    ['core routes in several pods', TAKEN, 'prices: core NATS'],
    ['one pod', { ...TAKEN, replicas: 1 }, 'one pod'],
    [
      'too little time to end',
      { ...TAKEN, lifecycle: { terminationGracePeriodSeconds: 29 } },
      'is 29, and sleep and drain take 30',
    ],
    ['that nothing leads in', TAKEN, 'nothing leads in from outside'],
    ['workers without a limit', { config: { ...config, workers: 'auto' } }, 'no resources.limits.cpu'],
    ['workers without CPUs', { config: { ...config, workers: 4 } }, '4 workers use as many CPUs'],
    [
      'workers without resources',
      { config: { ...config, workers: 'auto' }, resources: null },
      'no resources.limits.cpu',
    ],
    [
      'workers that request nothing',
      { config: { ...config, workers: 4 }, resources: null },
      'resources.requests.cpu (none) says so',
    ],
    [
      'many files',
      { config: { ...config, limits: { connections: 100_000 } } },
      'limits.connections is 100000',
    ],
    [
      'one address for all',
      {
        config: { ...config, limits: { connectionsPerIp: 5 } },
        ingress: { enabled: true },
      },
      'without http.trustedProxies',
    ],
    [
      'the control plane for all',
      {
        config: { ...config, ops: { tokenFile: '/run/secrets/ops/token' } },
        secretFiles: { ops: { secret: 'ops' } },
      },
      'ops.token switches the control plane on',
    ],
    ['a NATS server for trying out', { ...TAKEN, nats: { enabled: true } }, 'nats.enabled is for trying out'],
  ])('warn of %s', async (_, values, warning) => {
    expect(await notes(valuesFile(values))).toContain(warning);
  });

  it('have nothing to warn of where all is well', async () => {
    const channels = { orders: { channel: 'orders', subject: 'orders', stream: 'ORDERS', access: 'public' } };
    const ingress = { enabled: true, hosts: ['events.example.com'] };
    const well = { config: { ...config, channels }, ingress };
    // `null`: as many as something else decides.
    for (const replicas of [2, null])
      expect(await notes(valuesFile({ ...well, replicas }))).not.toMatch(/WARNING|NOTE:/);
  });

  it('tell of a sidecar what its pods still need', async () => {
    expect(await notes(valueSet('sidecar'))).toContain('40 more');
  });
});
