import type { Trouble } from './jetstream.ts';

/** What is logged of what keeps a stream from being followed. */
export const TROUBLE_LINES = {
  denied: 'NATS does not permit what it takes to read the stream; its channels are unavailable',
  missing: 'the stream does not exist; its channels are unavailable',
  absent:
    'there is no JetStream here, so the channels of its stream are unavailable; run nats-server with it (-js)',
  passing: 'the stream cannot be read now; trying again',
} as const satisfies Readonly<Record<Trouble['kind'], string>>;
