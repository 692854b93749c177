/** What is counted about revocations. Plain fields, read when metrics are scraped. */
export class RevocationCounts {
  /** Revocations that a command brought and the bucket has. */
  persisted = 0;
  /** Those that were in memory only when the command was answered. */
  unpersisted = 0;
  /** Revocations that the bucket told of, and no command. */
  learned = 0;
  /** Records in the bucket that are none of ours. */
  unreadable = 0;
  /** Revocations in the bucket that are not refused here, because as many are as can be remembered. */
  notTaken = 0;
  /** Times the bucket was lost, or could not be opened. */
  bucketFailures = 0;
}
