import type { Batch } from '../protocol/batch.ts';
import type { Log } from './log.ts';

/** Positions before a run of frames: where each log stood. */
export type Positions = (log: Log) => number;

/** What one turn brought for one channel, on its way to the channel's subscribers. */
export interface Sealed {
  readonly turn: number;
  readonly batch: Batch;
  /** When the first of it came, in milliseconds. */
  readonly arrivedMs: number;
  /** Where each log stood before that turn. */
  readonly before: Positions;
  readonly bytes: number;
  /** How many publications that is, what is told of the channel left out. */
  readonly publications: number;
}
