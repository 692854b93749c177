import type { Batch } from '../protocol/frame.ts';

/** What the hub knows of a connection: somebody who takes batches. */
export interface Subscriber {
  /** Takes the bytes of one turn, in order; writes them or queues references to them. Never throws. */
  deliver(batch: Batch): void;
}
