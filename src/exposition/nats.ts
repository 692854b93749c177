import type { Metrics } from '../metrics.ts';
import type { Observed } from './observed.ts';
import { byReason, type Exposition } from './register.ts';

/** The connection to NATS, and the streams that are followed. */
export function exposeNats(to: Exposition, metrics: Metrics, observed: Observed): void {
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
  to.gauges(
    'sidestream_stream_pending',
    'Messages of the stream that are still to come, by the newest message.',
    'stream',
    () => [...observed.streams()].map(({ stream, pending }) => [stream, pending]),
  );
  to.counts('sidestream_nats_errors_total', 'Errors that NATS reported, by kind.', ['reason'], () =>
    byReason(metrics.natsErrors),
  );
}
