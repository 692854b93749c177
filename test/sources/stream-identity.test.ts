import type { StreamState } from '@nats-io/jetstream';
import { expect, it } from 'vitest';
import { EPOCH_LENGTH } from '../../src/protocol/cursor.ts';
import { epochAfterLoss, epochOf } from '../../src/sources/stream-identity.ts';

const CREATED = '2026-11-20T23:05:46.385903374Z';
const state = (last_seq: number, last_ts: string) => ({ last_seq, last_ts }) as StreamState;

it('an epoch is the same everywhere, for this stream made at this time alone', () => {
  expect(epochOf('ORDERS', CREATED)).toBe('RjQSYq');
  const epochs = [
    epochOf('ORDERS', CREATED),
    epochOf('OTHER', CREATED),
    epochOf('ORDERS', '2026-11-20T23:05:47Z'),
  ];
  expect(new Set(epochs).size).toBe(3);
  for (const epoch of epochs) expect(epoch).toMatch(new RegExp(`^[A-Za-z0-9]{${EPOCH_LENGTH}}$`));
});

it('an epoch after a loss is none that was there before, however often the same is lost', () => {
  const epochs = [epochOf('ORDERS', CREATED)];
  for (let i = 0; i < 3; i += 1)
    epochs.push(epochAfterLoss(epochs.at(-1) ?? '', state(0, '0001-01-01T00:00:00Z')));
  expect(new Set(epochs).size).toBe(4);
});
