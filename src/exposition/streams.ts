import type { Metrics } from '../metrics.ts';
import { CLOSE_REASONS, REFUSAL_CODES } from '../reasons.ts';
import type { Observed } from './observed.ts';
import { byReason, type Exposition } from './register.ts';

const ENDINGS = ['client', 'answered', ...Object.keys(CLOSE_REASONS)];
/** As `sidestream.open` says them. */
const VERDICTS = ['live', 'recovered', 'gap', 'reset'];

/** Streams: open, ended, refused, slow. */
export function exposeStreams(
  to: Exposition,
  metrics: Metrics,
  { accepting }: Pick<Observed, 'accepting'>,
): void {
  to.gauge('sidestream_connections', 'Streams open now.', () => metrics.connections);
  to.gauge(
    'sidestream_connections_peak',
    'The most streams that were open at once since the process started.',
    () => metrics.connectionsPeak,
  );
  to.counter('sidestream_connections_opened_total', 'Streams opened.', () => metrics.connectionsOpened);
  to.counts('sidestream_connections_closed_total', 'Streams ended, by reason.', ['reason'], () =>
    byReason(metrics.connectionsClosed, ENDINGS),
  );
  to.counts(
    'sidestream_requests_refused_total',
    'Requests that got no stream, by reason; behind a 200 no proxy log shows them.',
    ['reason'],
    () => byReason(metrics.requestsRefused, Object.keys(REFUSAL_CODES)),
  );
  to.counts(
    'sidestream_resumes_total',
    'Channels joined, by verdict on what the client brought.',
    ['verdict'],
    () => byReason(metrics.resumes, VERDICTS).map(([{ reason }, n]) => [{ verdict: reason }, n]),
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
  to.gauge('sidestream_accepting', '1 while new streams are given.', () =>
    Number(accepting() && !metrics.draining),
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
