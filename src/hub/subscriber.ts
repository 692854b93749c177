import type { Batch } from '../protocol/frame.ts';
import type { View } from './log.ts';

/** What the hub knows of a connection: somebody who takes batches. */
export interface Subscriber {
  /** Set where a frame's own `id:` is not the connection's cursor, or not every frame is for it. The hub's to write. */
  view: View | undefined;
  /** Takes the bytes of one turn, in order; writes them or queues references to them. Never throws. */
  deliver(batch: Batch): void;
}
