import type { ControlCode, Operation } from './command.ts';

/** What is counted about control. Plain fields, read when metrics are scraped. */
export class ControlCounts {
  /** Commands acted on. */
  readonly accepted: Record<Operation, number> = { revoke: 0, disconnect: 0 };
  /** Commands that were not acted on. */
  readonly refused: Record<ControlCode, number> = {
    CONTROL_TOO_LARGE: 0,
    CONTROL_MALFORMED: 0,
    CONTROL_INVALID: 0,
    CONTROL_FULL: 0,
    CONTROL_FAILED: 0,
  };

  /** Commands by operation or by why they were refused. */
  get commands(): [{ readonly result: string }, number][] {
    return Object.entries({ ...this.accepted, ...this.refused }).map(([result, n]) => [{ result }, n]);
  }

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
