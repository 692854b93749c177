import type { Claim } from '../auth/used-tickets.ts';
import type { Clock } from '../clock.ts';
import type { Config, HostPort } from '../config/schema.ts';
import type { Caller } from '../control/operation.ts';
import type { Outcome } from '../control/outcome.ts';
import type { CallPayload } from '../control/plane.ts';
import type { DrainChoices } from '../http/drain.ts';
import type { Others } from '../http/others.ts';
import type { Logger } from '../log.ts';
import type { Family, Metrics, ReloadMetrics } from '../metrics.ts';
import type { Prepared } from './reload.ts';

export interface BridgeOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Of this software, for `sidestream_build_info`. */
  readonly version: string;
  readonly clock?: Clock;
  /** What became of configs that were read since, for the metrics. Absent where another process shows that. */
  readonly reloads?: ReloadMetrics;
  /** Where it is one of several processes that share a port: what they know of each other. Their metrics and probes are not served here. */
  readonly shared?: Shared;
}

export interface Shared {
  /** Its number. */
  readonly worker: number;
  readonly others: Others;
  /** How long it waits for NATS before it listens, in milliseconds: until then the others take whoever comes. */
  readonly patienceMs: number;
  /** Whether it does not listen at all where it would refuse all streams then: another lets them in, and is to go. */
  readonly needsNats: boolean;
  /** Takes a ticket for used, of all of them. Never rejects. */
  claimTicket(key: string): Promise<Claim>;
}

/** A running bridge, as the process and the tests handle it. */
export interface Bridge {
  readonly metrics: Metrics;
  /** Whether streams are given: NATS was reached once, and what was revoked is known. */
  readonly accepting: boolean;
  /** Listens and begins to connect to NATS; gives the addresses. @throws SidestreamError LISTEN_FAILED, NATS_UNREACHABLE */
  start(): Promise<{ readonly http: HostPort; readonly ops?: HostPort }>;
  /** Calls an operation of the control plane. Never rejects. */
  call(operation: string, payload: CallPayload, caller: Caller): Promise<Outcome>;
  /**
   * Makes ready for another config, which differs only in what can change while it runs; nothing has changed until it is applied.
   * @throws SidestreamError CONFIG_INVALID, TEMPLATE_INVALID
   */
  prepare(config: Config): Promise<Prepared>;
  /** Fails readiness, refuses new streams, ends those that are open, each at its time. */
  drain(choices?: DrainChoices): Promise<void>;
  /** What `/metrics` shows. */
  families(): Promise<readonly Family[]>;
  /** Why new streams would be refused, or `undefined` when they are accepted. */
  unready(): string | undefined;
  /** Lets go of everything. After `drain`, nobody notices. */
  stop(): Promise<void>;
}
