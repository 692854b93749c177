import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfiguredKeys } from '../../src/auth/configured-keys.ts';
import { readConfig } from '../../src/config/load.ts';
import {
  at,
  CHART,
  chartFile,
  configOf,
  helm,
  type KubernetesObject,
  listAt,
  noHelm,
  objectsOf,
  only,
  render,
  TAKEN,
  template,
  valueSets,
  valuesFile,
} from './chart.ts';
import { provideFiles } from './secrets.ts';

/** RFC 1123 label, as names of Services must be. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

/** Bytes of all annotations of an object together, as Kubernetes takes them. */
const MAX_ANNOTATIONS = 256 * 1024;

const podOf = (object: KubernetesObject): unknown => at(object.spec, 'template');

describe.skipIf(noHelm !== undefined)('the chart', () => {
  it('has nothing that helm lint would complain about, without values and with any', async () => {
    const all = [...valueSets.values()].map((file) => ['--values', file]);
    for (const values of [[], ...all]) {
      const { code, stdout } = await helm('lint', '--strict', '--kube-version', '1.30.0', CHART, ...values);
      expect(stdout).toContain('0 chart(s) failed');
      expect(code).toBe(0);
    }
  }, 120_000);

  describe.each([...valueSets.keys()])('with the values %s', (name) => {
    it('gives every object a name and labels that Kubernetes takes, and no two the same', async () => {
      const objects = await objectsOf(name);
      for (const { kind, metadata } of objects) {
        expect(metadata.name, `${kind} ${metadata.name}`).toMatch(NAME);
        for (const value of Object.values(metadata.labels ?? {})) expect(value).toMatch(LABEL_VALUE);
      }
      const keys = objects.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`);
      expect(keys).toEqual([...new Set(keys)]);
    });

    it('selects by labels that the pods have, and leads to ports that they have', async () => {
      const objects = await objectsOf(name);
      const workloads = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
      const pods = workloads.map((workload) => ({
        labels: at(podOf(workload), 'metadata', 'labels'),
        ports: listAt(podOf(workload), 'spec', 'containers').flatMap(
          (container) => (at(container, 'ports') as readonly { name: string }[] | undefined) ?? [],
        ),
      }));
      for (const workload of workloads)
        expect(at(podOf(workload), 'metadata', 'labels')).toMatchObject(
          at(workload.spec, 'selector', 'matchLabels') as object,
        );
      // In the mode for sidecars the pods are somebody else's.
      if (name === 'sidecar') return;
      for (const service of objects.filter(({ kind }) => kind === 'Service')) {
        const selector = at(service.spec, 'selector') as object;
        const [pod, ...others] = pods.filter(({ labels }) => contains(labels, selector));
        expect(others, 'one workload is selected').toEqual([]);
        for (const port of listAt(service.spec, 'ports'))
          expect(pod?.ports.map((each) => each.name)).toContain(at(port, 'targetPort'));
      }
    });

    it('yields a config that is taken', async () => {
      const { config, env } = provideFiles(configOf(await objectsOf(name)));
      // What `check` does, in this process: it throws what it would complain about.
      const read = readConfig(config, env);
      for (const issuer of read.config.auth.jwt) await loadConfiguredKeys(issuer);
      expect(Object.keys(read.config.channels)).not.toEqual([]);
    });
  });
});

describe.skipIf(noHelm !== undefined)('a release of an odd name', () => {
  const trial = { ...TAKEN, nats: { enabled: true }, secretEnv: { NO: { secret: 's', key: 'k' } } };

  it.each([['true'], ['123'], ['1e5']])(
    'gives texts wherever Kubernetes wants one, be it called %s',
    async (name) => {
      const values = valuesFile({ ...trial, fullnameOverride: 'events' });
      const objects = await render([values], { release: name, namespace: name });
      for (const { kind, metadata, spec } of objects) {
        const maps = [metadata.labels, at(spec, 'selector', 'matchLabels') ?? at(spec, 'selector')];
        for (const map of [...maps, at(spec, 'template', 'metadata', 'labels'), metadata])
          for (const value of Object.values(map ?? {}).filter((each) => typeof each !== 'object'))
            expect(value, `${kind} ${metadata.name}`).toBeTypeOf('string');
      }
      const env = at(podOf(only(objects, 'Deployment')), 'spec', 'containers', 0, 'env');
      expect(env).toMatchObject([{ name: 'NO' }]);
    },
  );

  it('is refused where a Service could not be called so, and told how it could', async () => {
    for (const release of ['1st', 'a.b']) {
      const { code, stderr } = await template([valuesFile(TAKEN)], { release });
      expect(code).not.toBe(0);
      expect(stderr).toContain(`${release}-sidestream is no name for a Service`);
      const named = valuesFile({ ...TAKEN, fullnameOverride: 'events' });
      expect((await template([named], { release })).code).toBe(0);
    }
  });

  it('leaves room for what Kubernetes puts behind it', async () => {
    // Helm takes 53 characters; a StatefulSet's name has 11 more behind it in a label.
    const values = { config: { channels: TAKEN.config.channels }, nats: { enabled: true } };
    const objects = await render([valuesFile(values)], { release: 'r'.repeat(53) });
    const { name } = only(objects, 'StatefulSet').metadata;
    expect(name.length).toBeLessThanOrEqual(52);
    expect(only(objects, 'Service', '-nats').metadata.name).toBe(name);
    expect(parse(configOf(objects))).toMatchObject({ nats: { servers: [`nats://${name}:4222`] } });
  });
});

describe.skipIf(noHelm !== undefined)('the pods', () => {
  it('are restricted, whatever else is asked for', async () => {
    for (const name of valueSets.keys()) {
      const running = (await objectsOf(name)).filter(({ kind }) =>
        /^(Deployment|StatefulSet|Pod)$/.test(kind),
      );
      for (const object of running) {
        const pod = object.kind === 'Pod' ? object.spec : at(podOf(object), 'spec');
        expect(at(pod, 'automountServiceAccountToken')).toBe(false);
        expect(at(pod, 'securityContext')).toMatchObject({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(at(pod, 'containers', 0, 'securityContext')).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
    }
  });

  it('are replaced when the config changes, and only then', async () => {
    const checksum = async (values: object) =>
      at(podOf(only(await render([valuesFile(values)]), 'Deployment')), 'metadata', 'annotations');
    const { config } = TAKEN;
    const first = await checksum(TAKEN);
    expect(first).toEqual({ 'checksum/sidestream': expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(await checksum({ ...TAKEN, replicas: 7 })).toEqual(first);
    expect(await checksum({ config: { ...config, log: { level: 'warn' } } })).not.toEqual(first);
    expect(await checksum({ ...TAKEN, rollOnConfigChange: false })).toBeUndefined();
  });

  it.each([
    [undefined, 40],
    ['0', 15],
    [0, 15],
    ['250ms', 16],
    ['1500ms', 17],
    ['30s', 45],
    ['2m', 135],
    ['1h', 3615],
  ])('have the time to sleep, to drain for %s and a margin: %i s', async (timeout, seconds) => {
    const config = { ...TAKEN.config, ...(timeout !== undefined && { drain: { timeout } }) };
    const deployment = only(await render([valuesFile({ config })]), 'Deployment');
    expect(at(podOf(deployment), 'spec', 'terminationGracePeriodSeconds')).toBe(seconds);
  });

  it('sleep before they are told to end, by the kubelet where it can and by Node where not', async () => {
    const preStop = async (version: string) =>
      at(
        podOf(only(await render([valuesFile(TAKEN)], { version }), 'Deployment')),
        ...['spec', 'containers', 0, 'lifecycle', 'preStop'],
      );
    expect(await preStop('1.30')).toEqual({ sleep: { seconds: 5 } });
    expect(await preStop('1.29')).toEqual({
      exec: { command: ['/usr/local/bin/node', '-e', 'setTimeout(() => {}, 5000)'] },
    });
  });

  it('are asked on the ops port, wherever the config puts it', async () => {
    const config = { ...TAKEN.config, ops: { listen: '0.0.0.0:9999' }, http: { listen: 8181 } };
    const objects = await render([valuesFile({ config })]);
    const container = at(podOf(only(objects, 'Deployment')), 'spec', 'containers', 0);
    expect(at(container, 'ports')).toEqual([
      { name: 'streams', containerPort: 8181, protocol: 'TCP' },
      { name: 'ops', containerPort: 9999, protocol: 'TCP' },
    ]);
    expect(at(container, 'readinessProbe', 'httpGet')).toEqual({ path: '/readyz', port: 'ops' });
    expect(at(container, 'livenessProbe', 'httpGet')).toEqual({ path: '/livez', port: 'ops' });
    expect(at(container, 'startupProbe', 'httpGet')).toEqual({ path: '/livez', port: 'ops' });
  });

  it('have a probe less where one is null, and start anew at once where that is asked for', async () => {
    const values = { ...TAKEN, probes: { startup: null }, strategy: { type: 'Recreate' } };
    const deployment = only(await render([valuesFile(values)]), 'Deployment');
    expect(at(deployment.spec, 'strategy')).toEqual({ type: 'Recreate' });
    const container = at(podOf(deployment), 'spec', 'containers', 0);
    expect(at(container, 'startupProbe')).toBeUndefined();
    expect(at(container, 'livenessProbe', 'httpGet', 'path')).toBe('/livez');
  });

  it('run where their nodes are, the pod of helm test too', async () => {
    const values = { ...TAKEN, nodeSelector: { pool: 'web' }, tolerations: [{ operator: 'Exists' }] };
    const objects = await render([valuesFile(values)]);
    for (const pod of [at(podOf(only(objects, 'Deployment')), 'spec'), only(objects, 'Pod', '-test').spec])
      expect(pod).toMatchObject({ nodeSelector: { pool: 'web' }, tolerations: [{ operator: 'Exists' }] });
  });

  it('run what the image has, as the user that it has', async () => {
    const image = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
    const objects = await objectsOf('minimal');
    const pod = at(podOf(only(objects, 'Deployment')), 'spec');
    expect(image).toContain('ENTRYPOINT ["/usr/local/bin/node", "/app/dist/main.js"]');
    expect(at(pod, 'containers', 0, 'command')).toBeUndefined();
    expect(at(pod, 'containers', 0, 'args')).toEqual(['serve', '--config', '/etc/sidestream/config.yaml']);
    const { runAsUser, runAsGroup } = at(pod, 'securityContext') as Record<string, number>;
    expect(image).toContain(`USER ${runAsUser}:${runAsGroup}`);
    const [test] = listAt(only(objects, 'Pod').spec, 'containers');
    expect(at(test, 'command', 0)).toBe('/usr/local/bin/node');
  });

  it('get secrets from Secrets: as environment, and as folders of files', async () => {
    const pod = at(podOf(only(await objectsOf('locked-down'), 'Deployment')), 'spec');
    const ref = { name: 'sidestream-ops', key: 'token' };
    expect(at(pod, 'containers', 0, 'env')).toEqual([
      { name: 'OPS_TOKEN', valueFrom: { secretKeyRef: ref } },
    ]);
    expect(at(pod, 'containers', 0, 'volumeMounts')).toContainEqual({
      name: 'sidestream-secret-nats',
      mountPath: '/run/secrets/nats',
      readOnly: true,
    });
    expect(at(pod, 'volumes')).toContainEqual({
      name: 'sidestream-secret-nats',
      secret: { secretName: 'nats-creds', items: [{ key: 'creds', path: 'sidestream.creds' }] },
    });
  });
});

describe.skipIf(noHelm !== undefined)('the objects around them', () => {
  it('let nothing lead to the ops port from outside', async () => {
    for (const name of valueSets.keys())
      for (const object of await objectsOf(name)) {
        if (object.metadata.name.endsWith('-ops')) expect(at(object.spec, 'type')).toBe('ClusterIP');
        if (object.kind === 'HTTPRoute' || object.kind === 'Ingress')
          expect(JSON.stringify(object.spec)).not.toContain('-ops"');
      }
  });

  it('route the path of the config, for as long as a stream lasts', async () => {
    const route = only(await objectsOf('gateway'), 'HTTPRoute');
    expect(listAt(route.spec, 'rules')[0]).toMatchObject({
      matches: [{ path: { type: 'PathPrefix', value: '/live/events' } }],
      timeouts: { request: '0s', backendRequest: '0s' },
      backendRefs: [{ name: 'demo-sidestream', port: 80 }],
    });
    expect(at(only(await objectsOf('gke'), 'HTTPRoute').spec, 'rules', 0, 'timeouts')).toBeUndefined();
  });

  it('scale by streams and CPU, down one pod at a time', async () => {
    const objects = await objectsOf('autoscaled');
    expect(at(only(objects, 'Deployment').spec, 'replicas')).toBeUndefined();
    const { spec } = only(objects, 'HorizontalPodAutoscaler');
    const metrics = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
    expect(metrics).toContain('| `sidestream_connections` | gauge |');
    expect(listAt(spec, 'metrics')).toMatchObject([
      { pods: { metric: { name: 'sidestream_connections' }, target: { averageValue: '15000' } } },
      { containerResource: { container: 'sidestream', target: { averageUtilization: 70 } } },
    ]);
    expect(at(spec, 'behavior', 'scaleDown', 'policies')).toEqual([
      { type: 'Pods', value: 1, periodSeconds: 300 },
    ]);
  });

  it('keep a budget only where there is more than one pod', async () => {
    const has = async (name: string) =>
      (await objectsOf(name)).some(({ kind }) => kind === 'PodDisruptionBudget');
    expect([await has('minimal'), await has('autoscaled'), await has('one-pod')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('open the network to what the config needs, and to nothing else', async () => {
    const { spec } = only(await objectsOf('locked-down'), 'NetworkPolicy');
    const ports = listAt(spec, 'egress').map((rule) => listAt(rule, 'ports').map((each) => at(each, 'port')));
    expect(ports).toEqual([[53, 53], [4222, 4333], [443, 8443].sort(), [4318]]);
    const [streams, ops] = listAt(spec, 'ingress');
    expect(JSON.stringify(at(streams, 'from'))).toContain('gateways');
    expect(JSON.stringify(at(ops, 'from'))).toContain('monitoring');
    // A name that ends in a digit is no port.
    const config = { ...TAKEN.config, nats: { servers: 'nats://nats1' } };
    const values = { config, networkPolicy: { enabled: true } };
    const open = only(await render([valuesFile(values)]), 'NetworkPolicy');
    expect(at(open.spec, 'ingress', 0, 'from')).toBeUndefined();
    expect(listAt(open.spec, 'egress')).toHaveLength(2);
    expect(listAt(open.spec, 'egress')[1]).toEqual({ ports: [{ port: 4222, protocol: 'TCP' }] });
  });

  it('carry the rules and the dashboard as they are', async () => {
    const objects = await objectsOf('monitored');
    const rules = parse(chartFile('files/alerts.yaml'));
    expect(only(objects, 'PrometheusRule').spec).toEqual(rules);
    const dashboard = only(objects, 'ConfigMap', '-dashboard');
    expect(dashboard.metadata.labels).toMatchObject({ grafana_dashboard: '1' });
    expect(JSON.parse(dashboard.data?.['sidestream.json'] ?? '')).toEqual(
      JSON.parse(chartFile('files/dashboard.json')),
    );
    // kubectl apply keeps the object in an annotation of its own, and the dashboard may grow.
    expect(JSON.stringify(dashboard).length).toBeLessThan(MAX_ANNOTATIONS / 1.5);
  });

  it('are scraped by a label that only the ops Service has', async () => {
    const objects = await objectsOf('monitored');
    const selector = at(only(objects, 'ServiceMonitor').spec, 'selector', 'matchLabels') as object;
    const found = objects.filter(
      ({ kind, metadata }) => kind === 'Service' && contains(metadata.labels, selector),
    );
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['demo-sidestream-ops']);
  });
});

function contains(labels: unknown, selector: object): boolean {
  return Object.entries(selector).every(([key, value]) => at(labels, key) === value);
}
