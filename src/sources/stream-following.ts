import type { Msg } from '@nats-io/transport-node';
import type { GapReason } from '../reasons.ts';
import type { Delivery } from './delivery.ts';
import type { Trouble } from './jetstream.ts';
import type { Loss } from './stream-loss.ts';

/** What following a stream comes to. No call may throw. */
export interface StreamFollowing {
  /** The newest position that was passed on. */
  readonly offset: number;
  /** The log begins after `offset`; `startMs`: what was stored later is not missed. */
  begin(epoch: string, offset: number, startMs: number): void;
  /** Of the log that began, something up to `through` may be missing, though the rest was passed on. */
  holed(through: number): void;
  /** One message. `isWarm`: it was there before this process was. */
  message(message: Msg, delivery: Delivery, isWarm: boolean): void;
  /** Nothing of ours lies between the newest message and `offset`. */
  idle(offset: number): void;
  /** All that there was when the consumer began has been passed on. */
  caughtUp(): void;
  /** The log was made anew: to be said to whoever reads it. */
  recreated(): void;
  lost(loss: Loss): void;
  /** Older messages of this subject than those that were just passed on may have been missed. */
  lostOf(subject: string, reason: GapReason): void;
  /** What is stored from now on is delivered. Said at every beginning, and perhaps again. */
  available(): void;
  /** An attempt to follow it failed; `failures` in a row. */
  failed(trouble: Trouble, error: unknown, failures: number): void;
  /** A consumer came to its end for another reason than ours; another one is made. */
  ended(reason: string): void;
  /** Several filters were needed, and the server cannot have them, so that it sends the whole stream. */
  unfiltered(): void;
  /** Filters that the stream stores nothing of. */
  unstored(filters: readonly string[]): void;
}
