import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Family, Metrics } from '../metrics.ts';
import { exposeApi } from './api.ts';
import { exposeChannels } from './channels.ts';
import { exposeCluster } from './cluster.ts';
import { exposeInbox } from './inbox.ts';
import { LatencyMetric } from './latency.ts';
import { exposeLimits } from './limits.ts';
import { exposeNats } from './nats.ts';
import type { Observed } from './observed.ts';
import { exposePresence } from './presence.ts';
import { exposePublished } from './published.ts';
import { Exposition } from './register.ts';
import { exposeReloads } from './reloads.ts';
import { exposeStreams } from './streams.ts';
import { exposeTokens } from './tokens.ts';

/** Registers every metric; `registry.metrics()` is then the text of `/metrics`. docs/metrics.md describes them. */
export function exposeMetrics(metrics: Metrics, observed: Observed): Registry {
  const registry = new Registry();
  const to = new Exposition(registry);
  exposeStreams(to, metrics, observed);
  exposeLimits(to, observed);
  exposeChannels(to, metrics, observed);
  exposeNats(to, metrics, observed);
  exposeTokens(to, observed);
  exposeApi(to, observed);
  exposeCluster(to, observed);
  exposePublished(to, observed);
  exposeInbox(to, observed);
  exposePresence(to, observed);
  if (observed.reloads !== undefined) exposeReloads(to, observed.reloads);
  registry.registerMetric(
    new LatencyMetric(
      'sidestream_publish_to_flush_seconds',
      'From a message leaving the NATS client to its last subscriber’s bytes being handed to the socket layer.',
      metrics.publishToFlush,
    ),
  );
  new Gauge({
    name: 'sidestream_build_info',
    help: '1; what runs is in the labels.',
    labelNames: ['version', 'node', 'uws'],
    registers: [registry],
  }).set({ version: observed.version, node: process.version, uws: observed.uwsVersion }, 1);
  collectDefaultMetrics({ register: registry, prefix: 'sidestream_' });
  return registry;
}

/** Everything that a registry would show now. */
export async function familiesOf(registry: Registry): Promise<readonly Family[]> {
  const shown = await registry.getMetricsAsJSON();
  return shown.map(({ name, help, type, values }) => ({
    name,
    help,
    // The type declarations have a number there; it is the word.
    type: String(type),
    samples: values.map((entry) => ({
      name: 'metricName' in entry ? String(entry.metricName ?? name) : name,
      labels: Object.fromEntries(Object.entries(entry.labels).map(([label, of]) => [label, String(of)])),
      value: entry.value,
    })),
  }));
}

/** What a process shows that serves the ops port alone: what it takes itself (CPU, memory, event loop), and what it refused. */
export function exposePrimary(observed: Pick<Observed, 'apiRefusals' | 'reloads'>): Registry {
  const registry = new Registry();
  const to = new Exposition(registry);
  exposeApi(to, observed);
  if (observed.reloads !== undefined) exposeReloads(to, observed.reloads);
  collectDefaultMetrics({ register: registry, prefix: 'sidestream_' });
  return registry;
}
