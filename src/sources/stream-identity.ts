import { createHash } from 'node:crypto';
import type { StreamState } from '@nats-io/jetstream';
import { EPOCH_LENGTH } from '../protocol/cursor.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * The epoch of a stream: equal in every process that asks, and another one for a stream that was deleted and made anew
 * under its name, whose sequences start again at 1.
 */
export function epochOf(stream: string, created: string): string {
  return epochFrom(`${stream}\n${created}`);
}

/**
 * The epoch after a stream lost its newest messages and kept its creation time: it was restored from a backup, or its
 * storage was lost. Sequences are given out a second time then, so cursors of before must not be taken any more. Processes
 * that notice before anything else is stored come to the same epoch; others differ, and a client that moves between them
 * is told a gap that there is not. A process that starts only afterwards cannot know: nothing in the stream tells.
 */
export function epochAfterLoss(epoch: string, { last_seq, last_ts }: StreamState): string {
  return epochFrom(`${epoch}\n${last_seq}\n${last_ts}`);
}

/** An epoch that is as good as never that of another text. */
export function epochFrom(text: string): string {
  let number = createHash('sha256').update(text).digest().readBigUInt64BE();
  let name = '';
  while (name.length < EPOCH_LENGTH) {
    name += ALPHABET[Number(number % 62n)] ?? '';
    number /= 62n;
  }
  return name;
}
