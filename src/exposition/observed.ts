import type { Config } from '../config/schema.ts';
import type { ReloadMetrics } from '../metrics.ts';

/** The control plane, as metrics show it. */
export interface ObservedCluster {
  /** Instances that are known, this one included. */
  readonly instances: number;
  /** Calls answered from here; `outcome` is `ok` or a code. */
  readonly calls: Iterable<{ readonly operation: string; readonly outcome: string; readonly count: number }>;
  /** Calls that have not begun. */
  readonly waiting: number;
}

/** A stream that routes read. */
export interface ObservedStream {
  readonly stream: string;
  /** Whether it is caught up with. */
  readonly isFollowed: boolean;
  /** The newest position passed on. */
  readonly offset: number;
  /** Messages that the server still had to send when it sent the newest. */
  readonly pending: number;
}

/** What is asked for at scrape time because others hold it. */
export interface Observed {
  channels(): number;
  lingeringChannels(): number;
  natsSubscriptions(): number;
  streams(): Iterable<ObservedStream>;
  /** Those that hold now. */
  limits(): Pick<Config['limits'], 'connections' | 'channels' | 'historyBytes' | 'pendingTotalBytes'>;
  /** Whether new streams are given, as far as NATS goes. */
  accepting(): boolean;
  /** Absent where another process reads the config. */
  readonly reloads?: ReloadMetrics | undefined;
  /** Memory that history takes, in bytes. */
  historyBytes(): number;
  /** Reads of a stream for those who came back with old cursors. */
  archiveReads(): { readonly all: number; readonly failed: number };
  /** Tokens that were known, and that had to be checked. */
  tokenChecks(): { readonly hit: number; readonly miss: number };
  /** Revocations remembered. */
  revocations(): number;
  /** Commands over NATS, by what they did or why they were refused. */
  controlCommands(): Iterable<readonly [result: string, count: number]>;
  /** The control plane, and who else there is. */
  cluster(): ObservedCluster;
  /** Whether revocations are kept over restarts. */
  controlBucketOpen(): boolean;
  /** Whether a ticket that was used here is refused by every instance. */
  ticketsShared(): boolean;
  /** What the control plane published, and the channels that it made and closed. */
  readonly publishing: {
    readonly counts: { readonly results: ReadonlyMap<string, number> };
    /** How many there are of each state. */
    readonly states: Iterable<[string, number]>;
    readonly isPersistent: boolean;
    readonly expired: number;
  };
  /** What inboxes did; absent where there are none. */
  inbox():
    | {
        readonly channels: number;
        readonly marks: { readonly written: number; readonly unchanged: number };
        readonly conflicts: number;
        readonly counts: { readonly memory: number; readonly stream: number };
        readonly failures: number;
        readonly pushes: number;
      }
    | undefined;
  /** Absent where no route has presence. */
  presence():
    | {
        readonly channels: number;
        readonly members: number;
        readonly hidden: number;
        readonly incomplete: number;
        readonly messages: Readonly<Record<string, number>>;
      }
    | undefined;
  /** Events for backends, by what became of them. */
  backendEvents(): Readonly<Record<string, number>>;
  /** Attempts to fetch key sets. */
  keySets(): Iterable<[{ readonly url: string }, { readonly all: number; readonly failed: number }]>;
  /** What was asked of the services that say who may listen, by their key under `auth`. */
  authQuestions(): Iterable<[{ readonly service: string }, number]>;
  authFaults(): Iterable<[{ readonly service: string; readonly fault: string }, number]>;
  /** Requests to the HTTP API that got no further, by code. */
  apiRefusals(): Iterable<[string, number]>;
  readonly version: string;
  readonly uwsVersion: string;
}
