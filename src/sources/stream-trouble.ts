import type { Trouble } from './jetstream.ts';

/** What is logged of what keeps a stream from being followed. */
export const TROUBLE_LINES = {
  denied: 'NATS does not permit what it takes to read the stream; its channels are unavailable',
  missing: 'the stream does not exist; its channels are unavailable',
  absent:
    'there is no JetStream here, so the channels of its stream are unavailable; run nats-server with it (-js)',
  queue:
    'the stream is a work queue, whose messages are for its workers alone; its channels are unavailable; publish what browsers are to see to a stream of another retention',
  passing: 'the stream cannot be read now; trying again',
} as const satisfies Readonly<Record<Trouble['kind'], string>>;

/** What somebody has to mend: asking again soon would hardly help. */
export const LASTING_TROUBLES: ReadonlySet<Trouble['kind']> = new Set<Trouble['kind']>([
  'denied',
  'absent',
  'queue',
]);
