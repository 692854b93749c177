import { totalmem } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exposeMetrics } from '../src/exposition/exposition.ts';
import { LatencyHistogram, Metrics, ReloadMetrics } from '../src/metrics.ts';

function setUp() {
  const metrics = new Metrics();
  const registry = exposeMetrics(metrics, {
    channels: () => 7,
    lingeringChannels: () => 3,
    streams: () => [{ stream: 'ORDERS', isFollowed: true, offset: 41, pending: 3 }],
    historyBytes: () => 0,
    archiveReads: () => ({ all: 0, failed: 0 }),
    natsSubscriptions: () => 5,
    revocations: () => 0,
    controlCommands: () => [],
    cluster: () => ({ instances: 1, calls: [], waiting: 0 }),
    controlBucketOpen: () => false,
    ticketsShared: () => false,
    publishing: { counts: { results: new Map() }, states: [], isPersistent: false, expired: 0 },
    tokenChecks: () => ({ hit: 9, miss: 2 }),
    inbox: () => undefined,
    presence: () => undefined,
    backendEvents: () => ({ sent: 0, dropped: 0 }),
    keySets: () => [[{ url: 'https://id.example.com/keys' }, { all: 4, failed: 1 }]],
    authQuestions: () => [[{ service: 'callout' }, 6]],
    authFaults: () => [[{ service: 'callout', fault: 'timeout' }, 2]],
    apiRefusals: () => [],
    limits: () => ({ connections: 10, channels: 20, historyBytes: 30, pendingTotalBytes: 40 }),
    accepting: () => true,
    reloads: new ReloadMetrics(0),
    version: '1.2.3',
    uwsVersion: '20.0.0',
  });
  /** The samples as scraped: `name{labels}` to value. */
  const scrape = async () => {
    const lines = (await registry.metrics())
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => [
        line.slice(0, line.lastIndexOf(' ')),
        Number(line.slice(line.lastIndexOf(' ') + 1)),
      ]),
    );
  };
  return { metrics, scrape, text: () => registry.metrics() };
}

describe('what is scraped', () => {
  it('tells each stream by its name', async () => {
    const samples = await setUp().scrape();
    expect(samples.get('sidestream_stream_followed{stream="ORDERS"}')).toBe(1);
    expect(samples.get('sidestream_stream_offset{stream="ORDERS"}')).toBe(41);
    expect(samples.get('sidestream_stream_pending{stream="ORDERS"}')).toBe(3);
  });

  it('has beside what is held what may be held', async () => {
    expect(Object.fromEntries(await setUp().scrape())).toMatchObject({
      sidestream_connections_limit: 10,
      sidestream_channels_limit: 20,
      sidestream_history_limit_bytes: 30,
      sidestream_pending_memory_limit_bytes: 40,
    });
  });

  it('names a memory that the machine has, whether or not the container has a limit', async () => {
    const limitBytes = (await setUp().scrape()).get('sidestream_memory_limit_bytes');
    expect(limitBytes).toBeGreaterThan(0);
    expect(limitBytes).toBeLessThanOrEqual(totalmem());
  });

  it('says that no new streams are given from the moment at which it drains', async () => {
    const { metrics, scrape } = setUp();
    expect((await scrape()).get('sidestream_accepting')).toBe(1);
    metrics.draining = true;
    expect((await scrape()).get('sidestream_accepting')).toBe(0);
  });

  it('are the fields as they stand, however often they are scraped', async () => {
    const { metrics, scrape } = setUp();
    Object.assign(metrics, { connections: 2, connectionsOpened: 9, sentBytes: 1000, natsConnected: true });
    metrics.closed('slow');
    metrics.closed('slow');
    metrics.closed('client');
    metrics.refused('CONNECT_RATE');
    metrics.gap('disconnected');
    metrics.resumed('recovered');
    metrics.route('prices').publications = 4;
    metrics.route('prices').publishedBytes = 400;
    metrics.route('prices').dropped['too-large'] = 1;
    for (let i = 0; i < 2; i += 1) {
      const samples = await scrape();
      expect(Object.fromEntries(samples)).toMatchObject({
        sidestream_connections: 2,
        sidestream_connections_opened_total: 9,
        sidestream_sent_bytes_total: 1000,
        sidestream_nats_connected: 1,
        sidestream_channels: 7,
        sidestream_channels_lingering: 3,
        sidestream_nats_subscriptions: 5,
        'sidestream_connections_closed_total{reason="slow"}': 2,
        'sidestream_connections_closed_total{reason="client"}': 1,
        'sidestream_requests_refused_total{reason="CONNECT_RATE"}': 1,
        'sidestream_auth_questions_total{service="callout"}': 6,
        'sidestream_auth_faults_total{service="callout",fault="timeout"}': 2,
        'sidestream_gaps_total{reason="disconnected"}': 1,
        'sidestream_resumes_total{verdict="recovered"}': 1,
        'sidestream_publications_total{route="prices"}': 4,
        'sidestream_published_bytes_total{route="prices"}': 400,
        'sidestream_publications_dropped_total{route="prices",reason="too-large"}': 1,
      });
    }
  });

  it('begins with sidestream_ throughout, and says what runs and how the event loop fares', async () => {
    const { scrape, text } = setUp();
    const names = [...(await scrape()).keys()];
    expect(names.filter((name) => !name.startsWith('sidestream_'))).toEqual([]);
    expect(names).toContain(`sidestream_build_info{version="1.2.3",node="${process.version}",uws="20.0.0"}`);
    expect(await text()).toContain('# TYPE sidestream_nodejs_eventloop_lag_seconds gauge');
  });

  it('shows a route from the start, at zero', async () => {
    const { metrics, scrape } = setUp();
    metrics.route('quiet');
    expect((await scrape()).get('sidestream_publications_total{route="quiet"}')).toBe(0);
  });

  it('holds the latencies as a cumulative histogram from 0.25 ms', async () => {
    const { metrics, scrape, text } = setUp();
    for (const durationMs of [0.1, 0.25, 0.3, 9000]) metrics.publishToFlush.observe(durationMs);
    const samples = await scrape();
    const name = 'sidestream_publish_to_flush_seconds';
    const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`));
    expect(buckets[0]).toEqual([`${name}_bucket{le="0.00025"}`, 2]);
    expect(buckets[1]).toEqual([`${name}_bucket{le="0.0005"}`, 3]);
    expect(buckets.at(-2)?.[1]).toBe(3);
    expect(buckets.at(-1)).toEqual([`${name}_bucket{le="+Inf"}`, 4]);
    expect(samples.get(`${name}_count`)).toBe(4);
    expect(samples.get(`${name}_sum`)).toBeCloseTo(9.00065, 6);
    expect(await text()).toContain(`# TYPE ${name} histogram`);
  });
});

describe('a latency', () => {
  it('is counted once, in the first bucket whose bound it does not exceed', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 5000, noNaN: true })), (durationsMs) => {
        const histogram = new LatencyHistogram();
        for (const durationMs of durationsMs) histogram.observe(durationMs);
        expect(histogram.counts.reduce((sum, n) => sum + n, 0)).toBe(durationsMs.length);
        const aboveAll = durationsMs.filter((durationMs) => durationMs / 1000 > 2.5).length;
        expect(histogram.counts.at(-1)).toBe(aboveAll);
        expect(histogram.counts[0]).toBe(
          durationsMs.filter((durationMs) => durationMs / 1000 <= 0.00025).length,
        );
      }),
    );
  });
});

describe('the counters of a route', () => {
  it('are one object, so that who holds it counts by an increment', () => {
    const metrics = new Metrics();
    expect(metrics.route('a')).toBe(metrics.route('a'));
    expect(metrics.route('a')).not.toBe(metrics.route('b'));
    expect([...metrics.routes.keys()]).toEqual(['a', 'b']);
  });
});
