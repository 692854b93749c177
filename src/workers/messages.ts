import type { Claim } from '../auth/used-tickets.ts';
import type { Config, HostPort } from '../config/schema.ts';
import type { Caller } from '../control/operation.ts';
import type { Outcome } from '../control/outcome.ts';
import type { CallPayload } from '../control/plane.ts';
import type { DrainChoices } from '../http/drain.ts';
import type { Family } from '../metrics.ts';

/** A key that a limit counts by, and how many streams it has in one worker, or how many bad tokens it brought. */
export type Entry = readonly [key: string, count: number];

/** What the primary process tells a worker of the others: their streams and its own, both as they were when all were asked. */
export interface Word {
  readonly counts: readonly (readonly [key: string, others: number, own: number])[];
  /** Bad tokens that came to others since the last word, by client. */
  readonly failures: readonly Entry[];
  /** Workers that let streams in now. */
  readonly among: number;
  /** Whether it is the first part of a word. All have heard the word before by then: each has answered since. */
  readonly isFirst: boolean;
}

export type ToWorker =
  | {
      readonly kind: 'start';
      readonly config: Config;
      readonly number: number;
      readonly version: string;
      /** How long it waits for NATS before it listens. */
      readonly patienceMs: number;
      /** Whether it is to give up where it would refuse all streams then. */
      readonly needsNats: boolean;
    }
  | { readonly kind: 'count' }
  | ({ readonly kind: 'word' } & Word)
  | { readonly kind: 'ask'; readonly id: number; readonly about: Question }
  | ({ readonly kind: 'call'; readonly id: number } & Call)
  | { readonly kind: 'claimed'; readonly id: number; readonly claim: Claim }
  /** Makes ready for another config; one of the next two follows. */
  | { readonly kind: 'prepare'; readonly id: number; readonly config: Config }
  | { readonly kind: 'apply'; readonly id: number }
  | { readonly kind: 'discard' }
  | { readonly kind: 'drain'; readonly choices: DrainChoices };

/** A call of the control plane that came to the ops port. */
export interface Call {
  readonly operation: string;
  readonly payload: CallPayload;
  readonly caller: Caller;
}

export type Question = 'metrics' | 'readiness';

export interface Answer {
  readonly families?: readonly Family[];
  /** Why new streams would be refused. */
  readonly unready?: string;
  /** To `readiness`: whether streams are given, as far as NATS goes. */
  readonly isAccepting?: boolean;
}

/** What keeps a worker from a config. */
export interface Problem {
  readonly code: string | undefined;
  readonly message: string;
}

export type FromWorker =
  /** To `prepare` and `apply`. */
  | { readonly kind: 'prepared'; readonly id: number; readonly problem?: Problem }
  | { readonly kind: 'listening'; readonly http: HostPort }
  | { readonly kind: 'failed'; readonly code: string | undefined; readonly message: string }
  /** Something is counted that was not told yet. Said once, until it is asked. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'counts'; readonly counts: readonly Entry[]; readonly failures: readonly Entry[] }
  | ({ readonly kind: 'answer'; readonly id: number } & Answer)
  | { readonly kind: 'outcome'; readonly id: number; readonly outcome: Outcome }
  | { readonly kind: 'claim'; readonly id: number; readonly key: string }
  /** The last one: it has drained, and these are its last metrics. */
  | { readonly kind: 'drained'; readonly families: readonly Family[] }
  /** Somebody sent this very process a SIGTERM. */
  | { readonly kind: 'signalled' };
