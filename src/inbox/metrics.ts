/** What inboxes did, for who asks. */
export class InboxMetrics {
  /** Calls that marked something as read: stored, or there was nothing new in it. */
  readonly marks = { written: 0, unchanged: 0 };
  /** Times that what was read was merged and written again since another was quicker. */
  conflicts = 0;
  /** Times that it was counted what is unread, by where it was found. */
  readonly counts = { memory: 0, stream: 0 };
  /** Questions to JetStream that were left without an answer of use. */
  failures = 0;
  /** Times that the streams on a channel were told. */
  pushes = 0;
}
