import type { Observed } from './observed.ts';
import type { Exposition } from './register.ts';

/** What the control plane published, and the channels that it made and closed. */
export function exposePublished(to: Exposition, { publishing }: Observed): void {
  to.counts(
    'sidestream_control_messages_total',
    'Messages that the control plane was to publish: accepted, or why not.',
    ['result'],
    () => [...publishing.counts.results].map(([result, n]) => [{ result }, n]),
  );
  to.gauges(
    'sidestream_control_channels',
    'Channels that were made or closed at run time, by what they are now.',
    'state',
    () => publishing.states,
  );
  to.gauge(
    'sidestream_control_channels_persistent',
    '1 while what is made and closed is kept over restarts.',
    () => Number(publishing.isPersistent),
  );
  to.counter(
    'sidestream_control_channels_expired_total',
    'Channels that expired by the judgement of this instance.',
    () => publishing.expired,
  );
}
