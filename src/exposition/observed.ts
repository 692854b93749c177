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
