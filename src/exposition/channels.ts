import type { Metrics, RouteMetrics } from '../metrics.ts';
import { GAP_REASONS } from '../reasons.ts';
import type { Observed } from './observed.ts';
import { byReason, type Exposition } from './register.ts';

/** Channels and what is published on them. */
export function exposeChannels(to: Exposition, metrics: Metrics, observed: Observed): void {
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
    'sidestream_published_bytes_total',
    'What these publications are together as frames, once each.',
    ['route'],
    () => byRoute((route) => route.publishedBytes),
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
    byReason(metrics.gaps, Object.keys(GAP_REASONS)),
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
