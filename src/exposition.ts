import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  type Family,
  LATENCY_BOUNDS_SECONDS,
  type LatencyHistogram,
  type Metrics,
  type RouteMetrics,
} from './metrics.ts';

/** What is asked for at scrape time because others hold it. */
export interface Observed {
  channels(): number;
  lingeringChannels(): number;
  natsSubscriptions(): number;
  /** Each stream that a route reads: whether it is followed and caught up with, and the newest position passed on. */
  streams(): Iterable<{ readonly stream: string; readonly isFollowed: boolean; readonly offset: number }>;
  /** Memory that history takes, in bytes. */
  historyBytes(): number;
  /** Reads of a stream for those who came back with old cursors. */
  archiveReads(): { readonly all: number; readonly failed: number };
  /** Tokens that were known, and that had to be checked. */
  tokenChecks(): { readonly hit: number; readonly miss: number };
  /** Revocations remembered. */
  revocations(): number;
  /** Commands over NATS, by what they did or why they were refused. */
  controlCommands(): Iterable<[{ readonly result: string }, number]>;
  /** Whether revocations are kept over restarts. */
  controlBucketOpen(): boolean;
  /** Whether a ticket that was used here is refused by every instance. */
  ticketsShared(): boolean;
  jwksFetches(): { readonly all: number; readonly failed: number };
  /** What was asked of the services that say who may listen, by their key under `auth`. */
  authQuestions(): Iterable<[{ readonly service: string }, number]>;
  authFaults(): Iterable<[{ readonly service: string; readonly fault: string }, number]>;
  readonly version: string;
  readonly uwsVersion: string;
}

/** Registers every metric; `registry.metrics()` is then the text of `/metrics`. docs/metrics.md describes them. */
export function exposeMetrics(metrics: Metrics, observed: Observed): Registry {
  const registry = new Registry();
  const to = new Exposition(registry);
  exposeStreams(to, metrics);
  exposeChannels(to, metrics, observed);
  exposeNats(to, metrics, observed);
  exposeTokens(to, observed);
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

/** What the process itself takes (CPU, memory, event loop), without what bridges count. */
export function exposeProcess(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'sidestream_' });
  return registry;
}

/** Registers metrics that are read when they are scraped. */
class Exposition {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: this.#registers,
      collect() {
        this.set(read());
      },
    });
  }

  gauges(name: string, help: string, label: string, read: () => Iterable<[string, number]>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [value, amount] of read()) this.set({ [label]: value }, amount);
      },
    });
  }

  counter(name: string, help: string, read: () => number): void {
    this.counts(name, help, [], () => [[{}, read()]]);
  }

  counts<L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    read: () => Iterable<[Record<L, string>, number]>,
  ): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  }
}

function byReason(counted: ReadonlyMap<string, number>): [{ reason: string }, number][] {
  return [...counted].map(([reason, n]) => [{ reason }, n]);
}

function exposeStreams(to: Exposition, metrics: Metrics): void {
  to.gauge('sidestream_connections', 'Streams open now.', () => metrics.connections);
  to.counter('sidestream_connections_opened_total', 'Streams opened.', () => metrics.connectionsOpened);
  to.counts('sidestream_connections_closed_total', 'Streams ended, by reason.', ['reason'], () =>
    byReason(metrics.connectionsClosed),
  );
  to.counts(
    'sidestream_requests_refused_total',
    'Requests that got no stream, by reason; behind a 200 no proxy log shows them.',
    ['reason'],
    () => byReason(metrics.requestsRefused),
  );
  to.counts(
    'sidestream_resumes_total',
    'Channels joined, by verdict on what the client brought.',
    ['verdict'],
    () => [...metrics.resumes].map(([verdict, n]): [{ verdict: string }, number] => [{ verdict }, n]),
  );
  to.gauge(
    'sidestream_slow_connections',
    'Streams, and answers to long polls, whose reader is behind now.',
    () => metrics.slowConnections,
  );
  to.gauge('sidestream_pending_bytes', 'Bytes that wait for slow readers.', () => metrics.pendingBytes);
  to.gauge(
    'sidestream_pending_memory_bytes',
    'Memory that waits for slow readers: what is shared counts once.',
    () => metrics.pendingMemoryBytes,
  );
  to.gauge('sidestream_draining', '1 while the process drains.', () => Number(metrics.draining));
  to.counter(
    'sidestream_sent_bytes_total',
    'Bytes of streams handed to the socket layer.',
    () => metrics.sentBytes,
  );
  to.counter(
    'sidestream_plain_bytes_total',
    'What these would be without compression.',
    () => metrics.plainBytes,
  );
  to.gauges(
    'sidestream_compressed_connections',
    'Streams open now that are compressed.',
    'coding',
    () => metrics.compressed,
  );
  to.counter('sidestream_heartbeats_total', 'Heartbeats sent.', () => metrics.heartbeats);
}

function exposeChannels(to: Exposition, metrics: Metrics, observed: Observed): void {
  const byRoute = (read: (route: RouteMetrics) => number) =>
    [...metrics.routes].map(([route, of]): [{ route: string }, number] => [{ route }, read(of)]);
  to.gauge('sidestream_channels', 'Channels held, lingering ones included.', observed.channels);
  to.gauge(
    'sidestream_channels_lingering',
    'Channels without subscribers that are still fed.',
    observed.lingeringChannels,
  );
  to.counts(
    'sidestream_publications_total',
    'Messages taken from NATS and mapped by a route.',
    ['route'],
    () => byRoute((route) => route.publications),
  );
  to.counts(
    'sidestream_publications_dropped_total',
    'Messages that were not published, by reason.',
    ['route', 'reason'],
    () => dropped(metrics),
  );
  to.counts(
    'sidestream_publications_shaped_total',
    'Messages that the pace of their channel kept back for good, by reason.',
    ['route', 'reason'],
    () =>
      [...metrics.routes].flatMap(([route, { shaped }]) =>
        Object.entries(shaped).map(([reason, n]): [{ route: string; reason: string }, number] => [
          { route, reason },
          n,
        ]),
      ),
  );
  to.counts(
    'sidestream_message_fields_dropped_total',
    'Fields of messages that could not be used; the event went out without.',
    ['route', 'field'],
    () =>
      [...metrics.routes].flatMap(([route, { fieldsDropped }]) =>
        Object.entries(fieldsDropped).map(([field, n]): [{ route: string; field: string }, number] => [
          { route, field },
          n,
        ]),
      ),
  );
  to.counts(
    'sidestream_payloads_repaired_total',
    'Payloads that were not UTF-8 and were sent with U+FFFD in place.',
    ['route'],
    () => byRoute((route) => route.invalidUtf8),
  );
  to.counts('sidestream_deliveries_total', 'Events handed to connections.', ['route'], () =>
    byRoute((route) => route.deliveries),
  );
  to.counts(
    'sidestream_events_replayed_total',
    'Events of before that were sent to connections as they joined.',
    ['route'],
    () => byRoute((route) => route.replayed),
  );
  to.counts(
    'sidestream_events_skipped_total',
    'Events that readers who were behind were spared.',
    ['route', 'how'],
    () =>
      [...metrics.routes].flatMap(([route, { skipped }]) =>
        Object.entries(skipped).map(([how, n]): [{ route: string; how: string }, number] => [
          { route, how },
          n,
        ]),
      ),
  );
  to.gauge('sidestream_history_bytes', 'Memory that history takes.', observed.historyBytes);
  to.counter(
    'sidestream_archive_reads_total',
    'Reads of a stream for what memory no longer held.',
    () => observed.archiveReads().all,
  );
  to.counter(
    'sidestream_archive_failures_total',
    'Such reads that failed; the clients were asked to come back.',
    () => observed.archiveReads().failed,
  );
  to.counts('sidestream_gaps_total', 'Gaps in channels, by reason.', ['reason'], () =>
    byReason(metrics.gaps),
  );
}

function exposeNats(to: Exposition, metrics: Metrics, observed: Observed): void {
  to.gauge('sidestream_nats_connected', '1 while there is a connection to NATS.', () =>
    Number(metrics.natsConnected),
  );
  to.gauge('sidestream_nats_subscriptions', 'Subscriptions held in NATS.', observed.natsSubscriptions);
  to.counter('sidestream_nats_disconnects_total', 'Connections to NATS lost.', () => metrics.natsDisconnects);
  to.counter(
    'sidestream_nats_reconnects_total',
    'Connections to NATS restored.',
    () => metrics.natsReconnects,
  );
  to.gauges(
    'sidestream_stream_followed',
    '1 while the stream is followed and caught up with.',
    'stream',
    () => [...observed.streams()].map(({ stream, isFollowed }) => [stream, Number(isFollowed)]),
  );
  to.gauges('sidestream_stream_offset', 'Sequence of the newest message passed on.', 'stream', () =>
    [...observed.streams()].map(({ stream, offset }) => [stream, offset]),
  );
  to.counts('sidestream_nats_errors_total', 'Errors that NATS reported, by kind.', ['reason'], () =>
    byReason(metrics.natsErrors),
  );
}

function exposeTokens(to: Exposition, observed: Observed): void {
  to.counts(
    'sidestream_token_checks_total',
    'Tokens that requests brought: known already, or to be checked.',
    ['result'],
    () => Object.entries(observed.tokenChecks()).map(([result, n]) => [{ result }, n]),
  );
  to.counts(
    'sidestream_auth_questions_total',
    'Questions sent to the services that say who may listen.',
    ['service'],
    observed.authQuestions,
  );
  to.counts(
    'sidestream_auth_faults_total',
    'Questions that such a service left without an answer of use.',
    ['service', 'fault'],
    observed.authFaults,
  );
  to.gauge('sidestream_revocations', 'Revocations remembered.', observed.revocations);
  to.gauge('sidestream_revocations_persistent', '1 while revocations are kept over restarts.', () =>
    Number(observed.controlBucketOpen()),
  );
  to.gauge(
    'sidestream_tickets_shared',
    '1 while one-time tickets that were used are told to every instance.',
    () => Number(observed.ticketsShared()),
  );
  to.counts(
    'sidestream_control_commands_total',
    'Commands over NATS: the operation, or why it was refused.',
    ['result'],
    observed.controlCommands,
  );
  to.counter(
    'sidestream_jwks_fetches_total',
    'Attempts to fetch a key set.',
    () => observed.jwksFetches().all,
  );
  to.counter(
    'sidestream_jwks_failures_total',
    'Attempts to fetch a key set that failed.',
    () => observed.jwksFetches().failed,
  );
}

function dropped(metrics: Metrics): [{ route: string; reason: string }, number][] {
  return [...metrics.routes].flatMap(([route, { dropped }]) =>
    Object.entries(dropped).map(([reason, n]): [{ route: string; reason: string }, number] => [
      { route, reason },
      n,
    ]),
  );
}

/** Shows a {@link LatencyHistogram} to prom-client, whose own histogram costs a label look-up per observation. */
class LatencyMetric extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #source: LatencyHistogram;

  constructor(name: string, help: string, source: LatencyHistogram) {
    super({ name, help, registers: [] });
    this.#name = name;
    this.#help = help;
    this.#source = source;
  }

  /** What the registry asks for when it makes text of it. */
  getForPromString() {
    return this.get();
  }

  override async get() {
    let cumulative = 0;
    const bounds: (number | '+Inf')[] = [...LATENCY_BOUNDS_SECONDS, '+Inf'];
    const buckets = bounds.map((le, index) => {
      cumulative += this.#source.counts[index] ?? 0;
      return { metricName: `${this.#name}_bucket`, labels: { le }, sharedLabels: {}, value: cumulative };
    });
    const sum = {
      metricName: `${this.#name}_sum`,
      labels: {},
      sharedLabels: {},
      value: this.#source.sumSeconds,
    };
    const count = { metricName: `${this.#name}_count`, labels: {}, sharedLabels: {}, value: cumulative };
    // The declared type is of an enum that is not there when it runs.
    const shown = { name: this.#name, help: this.#help, type: 'histogram', values: [...buckets, sum, count] };
    return shown as never;
  }
}
