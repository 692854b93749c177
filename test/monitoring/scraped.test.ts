import { describe, expect, test } from 'vitest';
import { ALERTS_FILE, readAlerts } from './alerts.ts';
import { filledIn, readDashboard, shownPanels } from './dashboard.ts';
import { documentedFields } from './logged.ts';
import { noPrometheus, type Prometheus, startPrometheus } from './prometheus.ts';
import { type Scene, startScene } from './scene.ts';

const dashboard = readDashboard();
const queries = shownPanels(dashboard).flatMap(({ title, targets = [] }) =>
  targets.map(({ refId, expr }) => ({ of: `${title} ${refId}`, expression: filledIn(expr) })),
);
const annotations = dashboard.annotations.list.flatMap(({ name, expr }) =>
  expr === undefined ? [] : [{ of: name, expression: filledIn(expr) }],
);

/** What the scene made happen must be what the metrics say. */
const SEEN = [
  'count(up == 0) == 1',
  'absent(ALERTS{alertname="SidestreamDown"})',
  'sum(sidestream_workers) == 2',
  'sum by (verdict) (sidestream_resumes_total{verdict="recovered"}) == 4',
  'sum(increase(sidestream_gaps_total{reason="disconnected"}[1m])) > 0',
  'sum by (reason) (sidestream_requests_refused_total{reason="TOKEN_INVALID"}) == 2',
  'sum by (reason) (sidestream_requests_refused_total{reason="CHANNEL_UNKNOWN"}) == 2',
  'sum by (reason) (sidestream_requests_refused_total{reason="AUTH_UNAVAILABLE"}) == 2',
  'sum by (reason) (sidestream_publications_dropped_total{reason="too-large"}) > 0',
  'sum by (reason) (sidestream_nats_errors_total{reason="PermissionViolationError"}) > 0',
  'min(sidestream_stream_followed) == 1 and count(sidestream_stream_followed) == 9',
  'count(sum by (url) (sidestream_jwks_fetches_total) >= 3) == 1',
  'max(sidestream_pending_memory_bytes) > 0',
  'sum(sidestream_compressed_connections{coding="gzip"}) == 4',
  'min(sidestream_cluster_instances) == 3 and max(sidestream_cluster_instances) == 3',
];

const EVERY_LINE = ['level', 'time', 'message'];

/** Asks all; gives those without an answer, and of the others whether any of it is a number. */
async function unanswered(prometheus: Prometheus, asked: typeof queries): Promise<string[]> {
  const answers = await Promise.all(asked.map(({ expression }) => prometheus.query(expression)));
  return asked
    .filter((_, index) => !answers[index]?.some(({ value }) => Number.isFinite(value)))
    .map(({ of, expression }) => `${of}: ${expression}`);
}

/** Of all lines that were logged, down to `debug`. */
function fieldsOf({ instances }: Scene): string[] {
  const names = new Set(instances.flatMap(({ cli }) => cli.logs.flatMap((line) => Object.keys(line))));
  return [...names].filter((name) => !EVERY_LINE.includes(name));
}

async function loseNats({ nats }: Scene, prometheus: Prometheus): Promise<void> {
  await nats.stop();
  await prometheus.holds('count(sidestream_nats_connected == 0) == 3');
  await prometheus.holds('count(ALERTS{alertname="SidestreamNatsDown",alertstate="pending"}) == 3');
  await nats.start();
  await prometheus.holds('count(sidestream_nats_connected == 1) == 3');
  await prometheus.holds('count(sidestream_stream_followed == 1) == 9');
}

/** One that is refused, and one that is taken, of which something needs a restart. */
async function reload(scene: Scene, prometheus: Prometheus): Promise<void> {
  scene.reconfigure({ limits: { connections: 'many' } });
  await prometheus.holds('ALERTS{alertname="SidestreamConfigRefused",alertstate="pending"}');
  scene.reconfigure({ limits: { connections: 5_000 }, nats: { name: 'another' } });
  await prometheus.holds(
    'sidestream_config_last_reload_successful == 1 and sidestream_connections_limit == 5000',
  );
  await prometheus.holds('ALERTS{alertname="SidestreamRestartNeeded",alertstate="pending"}');
}

describe.skipIf(noPrometheus !== undefined)('a real Prometheus', () => {
  test('finds in two instances, one of them of two workers, what each panel and alert asks for', async () => {
    const scene = await startScene();
    const prometheus = await startPrometheus(
      scene.instances.map(({ opsUrl }) => opsUrl),
      ALERTS_FILE,
    );
    await prometheus.holds('sum(up) == 2');

    await scene.everyday();
    await scene.refusals();
    await scene.control();
    await scene.oddities();
    await scene.slowReader();
    await loseNats(scene, prometheus);
    await scene.everyday();
    await reload(scene, prometheus);

    for (const expression of SEEN) await prometheus.holds(expression);
    await expect.poll(() => unanswered(prometheus, queries), { timeout: 10_000 }).toEqual([]);

    const rules = await prometheus.rules();
    expect(rules.map(({ name }) => name).sort()).toEqual(
      readAlerts()
        .map(({ alert }) => alert)
        .sort(),
    );
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    const texts = rules.flatMap(({ alerts }) =>
      alerts.flatMap(({ annotations }) => Object.values(annotations)),
    );
    expect(texts.length).toBeGreaterThan(10);
    expect(texts.filter((text) => /error expanding|no value|%!/.test(text))).toEqual([]);

    expect(fieldsOf(scene).filter((field) => !documentedFields().includes(field))).toEqual([]);

    await scene.drain();
    await prometheus.holds('sidestream_draining == 1');
    expect(await unanswered(prometheus, annotations)).toEqual([]);
  }, 90_000);
});
