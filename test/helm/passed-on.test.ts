import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  at,
  chartFile,
  noHelm,
  objectsOf,
  only,
  render,
  TAKEN,
  template,
  valueSet,
  valuesFile,
} from './chart.ts';

const POD = ['spec', 'template', 'spec'];
const CONTAINER = [...POD, 'containers', 0];
const DIGEST = 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
const OWN = { 'app.kubernetes.io/name': 'sidestream', 'app.kubernetes.io/instance': 'demo' };
const BRIDGE = { ...OWN, 'app.kubernetes.io/component': 'bridge' };
const TEST = { ...OWN, 'app.kubernetes.io/component': 'test' };

/** What is said by whom: a set of values, the path of a value there, the kind of an object (and how its name ends), the place in it. */
type Passed = readonly [set: string, value: string, object: string, place: readonly (string | number)[]];

/** As it is written in the values, so it must stand in the object. */
const PASSED: readonly Passed[] = [
  ['everything', 'commonLabels', 'Deployment', ['metadata', 'labels']],
  ['everything', 'commonLabels', 'Deployment', ['spec', 'template', 'metadata', 'labels']],
  ['everything', 'commonLabels', 'ServiceAccount', ['metadata', 'labels']],
  ['everything', 'podLabels', 'Deployment', ['spec', 'template', 'metadata', 'labels']],
  ['everything', 'podAnnotations', 'Deployment', ['spec', 'template', 'metadata', 'annotations']],
  ['everything', 'annotations', 'Deployment', ['metadata', 'annotations']],
  ['everything', 'replicas', 'Deployment', ['spec', 'replicas']],
  ['everything', 'imagePullSecrets', 'Deployment', [...POD, 'imagePullSecrets']],
  ['everything', 'imagePullSecrets', 'Pod -test', ['spec', 'imagePullSecrets']],
  ['everything', 'image.pullPolicy', 'Deployment', [...CONTAINER, 'imagePullPolicy']],
  ['everything', 'env', 'Deployment', [...CONTAINER, 'env']],
  ['everything', 'envFrom', 'Deployment', [...CONTAINER, 'envFrom']],
  ['everything', 'affinity', 'Deployment', [...POD, 'affinity']],
  ['everything', 'podSpec', 'Deployment', POD],
  ['everything', 'priorityClassName', 'Deployment', [...POD, 'priorityClassName']],
  ['everything', 'topologySpreadConstraints', 'Deployment', [...POD, 'topologySpreadConstraints']],
  ['everything', 'serviceAccount.name', 'Deployment', [...POD, 'serviceAccountName']],
  ['everything', 'serviceAccount.name', 'ServiceAccount', ['metadata', 'name']],
  ['everything', 'serviceAccount.annotations', 'ServiceAccount', ['metadata', 'annotations']],
  [
    'everything',
    'lifecycle.terminationGracePeriodSeconds',
    'Deployment',
    [...POD, 'terminationGracePeriodSeconds'],
  ],
  ['everything', 'probes.readiness', 'Deployment', [...CONTAINER, 'readinessProbe']],
  ['everything', 'initContainers', 'Deployment', [...POD, 'initContainers']],
  ['everything', 'extraContainers.0', 'Deployment', [...POD, 'containers', 1]],
  ['everything', 'extraVolumes.0', 'Deployment', [...POD, 'volumes', 1]],
  ['everything', 'extraVolumeMounts.0', 'Deployment', [...CONTAINER, 'volumeMounts', 1]],
  ['workers', 'resources', 'Deployment', [...CONTAINER, 'resources']],
  ['one-pod', 'replicas', 'Deployment', ['spec', 'replicas']],
  ['load-balancer', 'service.type', 'Service', ['spec', 'type']],
  ['load-balancer', 'service.port', 'Service', ['spec', 'ports', 0, 'port']],
  ['load-balancer', 'service.nodePort', 'Service', ['spec', 'ports', 0, 'nodePort']],
  ['load-balancer', 'service.labels', 'Service', ['metadata', 'labels']],
  ['load-balancer', 'service.annotations', 'Service', ['metadata', 'annotations']],
  ['load-balancer', 'service.spec', 'Service', ['spec']],
  ['gateway', 'httpRoute.parentRefs', 'HTTPRoute', ['spec', 'parentRefs']],
  ['gateway', 'httpRoute.hostnames', 'HTTPRoute', ['spec', 'hostnames']],
  ['gateway', 'httpRoute.filters', 'HTTPRoute', ['spec', 'rules', 0, 'filters']],
  ['ingress-nginx', 'ingress.className', 'Ingress', ['spec', 'ingressClassName']],
  ['ingress-nginx', 'ingress.annotations', 'Ingress', ['metadata', 'annotations']],
  ['ingress-nginx', 'ingress.tls', 'Ingress', ['spec', 'tls']],
  ['ingress-traefik', 'ingress.hosts.0', 'Ingress', ['spec', 'rules', 0, 'host']],
  ['ingress-traefik', 'ingress.hosts.1', 'Ingress', ['spec', 'rules', 1, 'host']],
  ['autoscaled', 'autoscaling.minReplicas', 'HorizontalPodAutoscaler', ['spec', 'minReplicas']],
  ['autoscaled', 'autoscaling.maxReplicas', 'HorizontalPodAutoscaler', ['spec', 'maxReplicas']],
  ['autoscaled', 'podDisruptionBudget.maxUnavailable', 'PodDisruptionBudget', ['spec', 'maxUnavailable']],
  ['workers', 'podDisruptionBudget.minAvailable', 'PodDisruptionBudget', ['spec', 'minAvailable']],
  ['locked-down', 'networkPolicy.natsTo', 'NetworkPolicy', ['spec', 'egress', 1, 'to']],
  ['locked-down', 'networkPolicy.issuersTo', 'NetworkPolicy', ['spec', 'egress', 2, 'to']],
  ['locked-down', 'networkPolicy.extraEgress.0', 'NetworkPolicy', ['spec', 'egress', 3]],
  ['locked-down', 'networkPolicy.streamsFrom.0', 'NetworkPolicy', ['spec', 'ingress', 0, 'from', 1]],
  ['locked-down', 'networkPolicy.extraIngress.0', 'NetworkPolicy', ['spec', 'ingress', 2]],
  ['monitored', 'monitoring.serviceMonitor.labels', 'ServiceMonitor', ['metadata', 'labels']],
  ['monitored', 'monitoring.serviceMonitor.interval', 'ServiceMonitor', ['spec', 'endpoints', 0, 'interval']],
  ['monitored', 'monitoring.prometheusRule.labels', 'PrometheusRule', ['metadata', 'labels']],
  ['monitored', 'monitoring.dashboard.annotations', 'ConfigMap -dashboard', ['metadata', 'annotations']],
  [
    'trial',
    'nats.storageClass',
    'StatefulSet',
    ['spec', 'volumeClaimTemplates', 0, 'spec', 'storageClassName'],
  ],
  [
    'trial',
    'nats.storage',
    'StatefulSet',
    ['spec', 'volumeClaimTemplates', 0, 'spec', 'resources', 'requests', 'storage'],
  ],
];

/** What it says where nobody says otherwise; each has a reason that its template tells. */
const OF_ITSELF: readonly (readonly [
  set: string,
  object: string,
  place: readonly (string | number)[],
  found: unknown,
])[] = [
  [
    'minimal',
    'Deployment',
    [...CONTAINER, 'image'],
    `sidestream:${parse(chartFile('Chart.yaml')).appVersion}`,
  ],
  ['everything', 'Deployment', [...CONTAINER, 'image'], `registry.example.com/sidestream@${DIGEST}`],
  [
    'everything',
    'Pod -test',
    ['spec', 'containers', 0, 'image'],
    `registry.example.com/sidestream@${DIGEST}`,
  ],
  ['minimal', 'Deployment', [...POD, 'enableServiceLinks'], false],
  ['minimal', 'Deployment', [...POD, 'serviceAccountName'], 'demo-sidestream'],
  ['minimal', 'ServiceAccount', ['automountServiceAccountToken'], false],
  ['minimal', 'Deployment', [...CONTAINER, 'volumeMounts', 0, 'readOnly'], true],
  ['minimal', 'Deployment', ['spec', 'minReadySeconds'], 5],
  ['minimal', 'Deployment', ['spec', 'revisionHistoryLimit'], 5],
  ['minimal', 'Deployment', ['spec', 'strategy', 'rollingUpdate'], { maxSurge: 1, maxUnavailable: 0 }],
  [
    'minimal',
    'Deployment',
    [...POD, 'topologySpreadConstraints', 0, 'labelSelector'],
    { matchLabels: BRIDGE },
  ],
  [
    'minimal',
    'Deployment',
    [...POD, 'topologySpreadConstraints', 0, 'matchLabelKeys'],
    ['pod-template-hash'],
  ],
  ['minimal', 'PodDisruptionBudget', ['spec', 'selector'], { matchLabels: BRIDGE }],
  ['minimal', 'PodDisruptionBudget', ['spec', 'unhealthyPodEvictionPolicy'], 'AlwaysAllow'],
  ['autoscaled', 'HorizontalPodAutoscaler', ['spec', 'scaleTargetRef', 'name'], 'demo-sidestream'],
  ['locked-down', 'NetworkPolicy', ['spec', 'podSelector'], { matchLabels: BRIDGE }],
  ['locked-down', 'NetworkPolicy', ['spec', 'policyTypes'], ['Ingress', 'Egress']],
  // `helm test` must pass through it.
  ['locked-down', 'NetworkPolicy', ['spec', 'ingress', 0, 'from', 0, 'podSelector'], { matchLabels: TEST }],
  ['locked-down', 'NetworkPolicy', ['spec', 'ingress', 1, 'from', 0, 'podSelector'], { matchLabels: TEST }],
  [
    'locked-down',
    'NetworkPolicy',
    ['spec', 'egress', 0],
    {
      ports: [
        { port: 53, protocol: 'UDP' },
        { port: 53, protocol: 'TCP' },
      ],
    },
  ],
  [
    'sidecar',
    'HTTPRoute',
    ['spec', 'rules', 0, 'matches', 0, 'path'],
    { type: 'PathPrefix', value: '/events' },
  ],
  [
    'ingress-traefik',
    'Ingress',
    ['spec', 'rules', 1, 'http', 'paths'],
    [
      {
        path: '/events',
        pathType: 'Prefix',
        backend: { service: { name: 'demo-sidestream', port: { name: 'streams' } } },
      },
    ],
  ],
  [
    'monitored',
    'ServiceMonitor',
    ['spec', 'endpoints', 0],
    { port: 'ops', path: '/metrics', interval: '30s', scrapeTimeout: '10s' },
  ],
  [
    'monitored',
    'PodMonitor',
    ['spec', 'podMetricsEndpoints', 0],
    { port: 'ops', path: '/metrics', interval: '15s', scrapeTimeout: '10s' },
  ],
  // Once, and gone when it has passed: Helm and Argo CD tell it from the release by its annotations.
  ['minimal', 'Pod -test', ['spec', 'restartPolicy'], 'Never'],
  [
    'minimal',
    'Pod -test',
    ['metadata', 'annotations'],
    { 'helm.sh/hook': 'test', 'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded' },
  ],
  ['monitored', 'PodMonitor', ['spec', 'selector'], { matchLabels: BRIDGE }],
  ['trial', 'StatefulSet', [...CONTAINER, 'args'], expect.arrayContaining(['--jetstream', '--store_dir'])],
  ['trial', 'StatefulSet', [...CONTAINER, 'volumeMounts'], [{ name: 'data', mountPath: '/data' }]],
];

async function found(set: string, object: string, place: readonly (string | number)[]): Promise<unknown> {
  const [kind = '', suffix] = object.split(' ');
  const objects = (await objectsOf(set)).filter(({ metadata }) => !metadata.name.endsWith('-ops'));
  return at(only(objects, kind, suffix), ...place);
}

describe.skipIf(noHelm !== undefined)('the chart', () => {
  it.each(PASSED)('passes on, of the values %s, %s to the %s, %j', async (set, value, object, place) => {
    const said = at(parse(readFileSync(valueSet(set), 'utf8')), ...value.split('.'));
    expect(said).toBeDefined();
    // The chart may add to what is said.
    if (typeof said === 'object') expect(await found(set, object, place)).toMatchObject(said as object);
    else expect(await found(set, object, place)).toBe(said);
  });

  it.each(OF_ITSELF)(
    'says of itself, with the values %s, in the %s at %j: %j',
    async (set, object, place, is) => {
      expect(await found(set, object, place)).toEqual(is);
    },
  );

  it('leaves the number of pods to whoever else decides it, and keeps its budget', async () => {
    const objects = await render([valuesFile({ ...TAKEN, replicas: null })]);
    // `replicas: null` would be one pod, at each upgrade.
    expect(only(objects, 'Deployment').spec).not.toHaveProperty('replicas');
    expect(only(objects, 'PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1 });
  });

  it.each([
    [{}, { maxUnavailable: 1 }],
    [{ maxUnavailable: 0 }, { maxUnavailable: 0 }],
    [{ minAvailable: 0 }, { minAvailable: 0 }],
    [{ minAvailable: '50%' }, { minAvailable: '50%' }],
  ])('keeps the budget %j as %j', async (podDisruptionBudget, found) => {
    const { spec } = only(
      await render([valuesFile({ ...TAKEN, podDisruptionBudget })]),
      'PodDisruptionBudget',
    );
    const { minAvailable, maxUnavailable } = spec as Record<string, unknown>;
    expect({ minAvailable, maxUnavailable }).toEqual(found);
  });

  it('fills in an object that is a text as it is written, and one that is a mapping as Helm folds it', async () => {
    const words = 'words between quotes that go well beyond the column at which long lines are folded';
    const text = `apiVersion: v1
kind: ConfigMap
metadata: { name: more }
data: { text: '{{ printf "%s, of ${words}" .Release.Name }}' }
`;
    const objects = await render([valuesFile({ ...TAKEN, extraObjects: [text] })]);
    expect(only(objects, 'ConfigMap', 'more').data?.text).toBe(`demo, of ${words}`);
    const { stderr } = await template([valuesFile({ ...TAKEN, extraObjects: [parse(text)] })]);
    expect(stderr).toContain('unterminated quoted string');
  });

  it('keeps a budget where there may come to be several pods', async () => {
    const autoscaling = { enabled: true, minReplicas: 1 };
    const kinds = async (values: object) =>
      (await render([valuesFile({ ...TAKEN, ...values })])).map(({ kind }) => kind);
    expect(await kinds({ autoscaling })).toContain('PodDisruptionBudget');
    expect(await kinds({ autoscaling: { ...autoscaling, maxReplicas: 1 } })).not.toContain(
      'PodDisruptionBudget',
    );
  });

  it('calls its objects as the release, where that has the chart’s name in it', async () => {
    const objects = await render([valuesFile(TAKEN)], { release: 'eu-sidestream' });
    expect(only(objects, 'Deployment').metadata.name).toBe('eu-sidestream');
  });

  it('leaves room behind the longest name', async () => {
    const fullnameOverride = `a${'-'.repeat(3)}${'b'.repeat(80)}`;
    const monitoring = { dashboard: { enabled: true } };
    const objects = await render([valuesFile({ ...TAKEN, fullnameOverride, monitoring })]);
    expect(only(objects, 'ConfigMap', '-dashboard').metadata.name.length).toBeLessThanOrEqual(63);
  });

  it('takes an account that is there already, and makes none', async () => {
    const objects = await render([valuesFile({ ...TAKEN, serviceAccount: { create: false } })]);
    expect(at(only(objects, 'Deployment'), ...POD, 'serviceAccountName')).toBe('default');
    expect(objects.map(({ kind }) => kind)).not.toContain('ServiceAccount');
    const serviceAccount = { create: false, name: 'theirs' };
    const theirs = await render([valuesFile({ ...TAKEN, serviceAccount })]);
    expect(at(only(theirs, 'Deployment'), ...POD, 'serviceAccountName')).toBe('theirs');
  });

  it('is for no Kubernetes that has no native sidecars', async () => {
    const { stderr } = await template([valuesFile(TAKEN)], { version: '1.28' });
    expect(stderr).toContain('chart requires kubeVersion: >=1.29.0-0');
  });

  it('renders the same each time, without a cluster: what GitOps compares', async () => {
    const [first, second] = await Promise.all([1, 2].map(() => template([valueSet('locked-down')])));
    expect(second).toEqual(first);
    expect(first?.code).toBe(0);
  });
});
