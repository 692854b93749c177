import type { Metrics } from '../metrics.ts';
import { byReason, type Exposition } from './register.ts';

/** Streams: open, ended, refused, slow. */
export function exposeStreams(to: Exposition, metrics: Metrics): void {
  to.gauge('sidestream_connections', 'Streams open now.', () => metrics.connections);
  to.gauge(
    'sidestream_connections_peak',
    'The most streams that were open at once since the process started.',
    () => metrics.connectionsPeak,
  );
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
