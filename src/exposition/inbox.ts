import type { Observed } from './observed.ts';
import type { Exposition } from './register.ts';

/** What inboxes did; nothing of any one user. */
export function exposeInbox(to: Exposition, { inbox }: Observed): void {
  to.gauge(
    'sidestream_inbox_channels',
    'Channels whose unread messages are counted in memory.',
    () => inbox()?.channels ?? 0,
  );
  to.counts('sidestream_inbox_marks_total', 'Calls that marked messages as read.', ['result'], () =>
    Object.entries(inbox()?.marks ?? {}).map(([result, n]) => [{ result }, n]),
  );
  to.counter(
    'sidestream_inbox_conflicts_total',
    'Marks that were merged with another that was quicker.',
    () => inbox()?.conflicts ?? 0,
  );
  to.counts('sidestream_inbox_counts_total', 'Countings of what is unread.', ['from'], () =>
    Object.entries(inbox()?.counts ?? {}).map(([from, n]) => [{ from }, n]),
  );
  to.counter(
    'sidestream_inbox_failures_total',
    'Questions of inboxes that JetStream left without an answer.',
    () => inbox()?.failures ?? 0,
  );
  to.counter(
    'sidestream_inbox_pushes_total',
    'Times that all streams on a channel were told what is unread.',
    () => inbox()?.pushes ?? 0,
  );
}
