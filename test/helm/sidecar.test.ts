import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  at,
  CHART,
  helm,
  type KubernetesObject,
  listAt,
  noHelm,
  only,
  render,
  valueSet,
  valuesFile,
} from './chart.ts';
import { KubernetesSchemas, noSchemas } from './kubernetes-schemas.ts';

const EXAMPLE = fileURLToPath(new URL('sidecar', import.meta.url));

describe.skipIf(noHelm !== undefined)("somebody's own chart that includes the sidecar", () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidestream-chart-'));
  const chart = join(folder, 'test/helm/sidecar');
  let objects: readonly KubernetesObject[];

  beforeAll(async () => {
    // At the same places, so that the path in its Chart.yaml leads to the chart; `helm dependency build` writes into the folder.
    cpSync(CHART, join(folder, 'helm'), { recursive: true });
    cpSync(EXAMPLE, chart, { recursive: true });
    const { code, stderr } = await helm('dependency', 'build', chart);
    expect(stderr).not.toContain('Error');
    expect(code).toBe(0);
    objects = await render([], { chart });
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const pod = () => at(only(objects, 'Deployment').spec, 'template');

  it('has the bridge in its pods as a native sidecar, with its probes and its config', () => {
    const [sidecar] = listAt(pod(), 'spec', 'initContainers');
    expect(sidecar).toMatchObject({
      name: 'sidestream',
      restartPolicy: 'Always',
      startupProbe: { httpGet: { path: '/livez', port: 'ops' } },
      readinessProbe: { httpGet: { path: '/readyz', port: 'ops' } },
      securityContext: { readOnlyRootFilesystem: true, runAsNonRoot: true },
    });
    const [volume] = listAt(pod(), 'spec', 'volumes');
    const configMap = only(objects, 'ConfigMap');
    expect(at(volume, 'configMap', 'name')).toBe(configMap.metadata.name);
    expect(at(sidecar, 'volumeMounts', 0)).toMatchObject({
      name: at(volume, 'name'),
      mountPath: '/etc/sidestream',
    });
    expect(at(pod(), 'metadata', 'annotations', 'checksum/sidestream')).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has the volumes that its container is told to mount', async () => {
    const values = {
      sidestream: {
        extraVolumes: [{ name: 'more', emptyDir: {} }],
        extraVolumeMounts: [{ name: 'more', mountPath: '/more' }],
      },
    };
    const template = at(only(await render([valuesFile(values)], { chart }), 'Deployment').spec, 'template');
    const names = (from: unknown) => listAt(from).map((each) => at(each, 'name'));
    expect(names(at(template, 'spec', 'volumes'))).toEqual(
      expect.arrayContaining(names(at(template, 'spec', 'initContainers', 0, 'volumeMounts'))),
    );
  });

  it('stays in rotation while NATS is away', () => {
    expect(only(objects, 'ConfigMap').data?.['config.yaml']).toContain('readyNeedsNats: false');
  });

  it('has its own time to end, and the time of the bridge after it', () => {
    expect(at(pod(), 'spec', 'terminationGracePeriodSeconds')).toBe(20 + 5 + 10 + 10);
  });

  it('gets Services that lead to its pods, and no pods, accounts or budgets of the bridge', () => {
    const services = objects.filter(({ kind }) => kind === 'Service');
    expect(services.map(({ metadata }) => metadata.name)).toEqual(['demo-sidestream-ops', 'demo-sidestream']);
    for (const { spec } of services) expect(at(spec, 'selector')).toEqual({ app: 'shop' });
    // By number: before Kubernetes 1.32 a Service with the name of a sidecar's port leads nowhere, without a word.
    const targets = services.map(({ spec }) => at(spec, 'ports', 0, 'targetPort'));
    expect(targets).toEqual([9090, 8080]);
    expect(new Set(objects.map(({ kind }) => kind))).toEqual(
      new Set(['ConfigMap', 'Service', 'Deployment', 'Pod']),
    );
  });

  it.skipIf(noSchemas !== undefined)('is what the schemas of Kubernetes want', () => {
    const schemas = new KubernetesSchemas('1.29');
    for (const object of objects) expect(schemas.problems(object), object.kind).toEqual([]);
  });

  it('is told of values that are wrong as the chart itself would tell', async () => {
    const { stderr } = await helm(
      'template',
      'demo',
      chart,
      '--kube-version',
      '1.30.0',
      '--set',
      'sidestream.config.chanels.a=1',
    );
    expect(stderr).toContain("additional properties 'chanels' not allowed");
  });

  it('needs no Service of its own, unless something is to lead to one', async () => {
    const values = ['sidecar.podLabels=null'].flatMap((value) => ['--set', value]);
    const { stderr } = await helm(
      'template',
      'demo',
      CHART,
      '--kube-version',
      '1.30.0',
      '-f',
      valueSet('sidecar'),
      ...values,
    );
    expect(stderr).toContain('sidecar.podLabels is empty');
  });
});
