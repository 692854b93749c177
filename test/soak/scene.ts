import { type JetStreamManager, StorageType } from '@nats-io/jetstream';
import { AUTH } from '../integration/protected.ts';

const STREAM = 'ORDERS';
/** Messages that the stream holds; the bridge reads some of them again for who returns. */
const STREAM_LENGTH = 500;
const BULK_BYTES = 64 * 1024;

export interface Feed {
  readonly subject: string;
  /** Publications a second. */
  readonly rate: number;
  readonly bytes: number;
}

const names = (count: number) => Array.from({ length: count }, (_, n) => n);

/** What is published all the time. */
export const FEEDS: readonly Feed[] = [
  ...names(20).map((n) => ({ subject: `ticks.${n}`, rate: 10, bytes: 100 })),
  ...names(5).map((n) => ({ subject: `orders.${n}`, rate: 4, bytes: 300 })),
  { subject: 'inbox.42', rate: 10, bytes: 200 },
  ...names(4).map((n) => ({ subject: `bulk.${n}`, rate: 10, bytes: BULK_BYTES })),
];

/** Channels that anybody may read. */
export const PUBLIC: readonly string[] = [
  ...names(20).map((n) => `ticks-${n}`),
  ...names(5).map((n) => `orders-${n}`),
  'calm',
];
/** User 42's. */
export const PRIVATE = 'inbox-42';
/** So much that who does not read it falls behind within seconds, and is then closed. */
export const BULK = 'bulk';
/** The same; who is behind is spared some of it. */
export const SPARED: readonly string[] = ['bulk-dropped', 'bulk-latest'];

export async function addStream(manager: JetStreamManager): Promise<void> {
  const storage = StorageType.Memory;
  await manager.streams.add({ name: STREAM, subjects: ['orders.>'], storage, max_msgs: STREAM_LENGTH });
}

/** All that is kept is let go of soon, so that a minute later nothing may be left. */
const soon = { linger: '500ms', history: { size: 50, age: '1s' } };
const open = { ...soon, access: 'public' };
const bulk = { ...open, subject: 'bulk.*', history: { size: 2, age: '1s' } };

/** The bridge's config file, but for where it listens. */
export const CONFIG = {
  auth: AUTH,
  sse: { retry: '100ms..300ms', heartbeat: '1s', maxAge: '8s', compression: ['gzip'] },
  limits: { pending: '64KiB', stalled: '2s', connections: 5000 },
  drain: { timeout: '1s', reconnectRate: '100000/s' },
  log: { level: 'info' },
  channels: {
    ticks: { ...open, channel: 'ticks-{id}', subject: 'ticks.{id}' },
    calm: { ...open, channel: 'calm', subject: 'ticks.*', throttle: '500ms' },
    bulk: { ...bulk, channel: BULK },
    dropped: { ...bulk, channel: 'bulk-dropped', slow: 'drop' },
    latest: { ...bulk, channel: 'bulk-latest', slow: 'latest' },
    orders: {
      ...open,
      channel: 'orders-{id}',
      subject: 'orders.{id}',
      stream: STREAM,
      replay: 5,
      warm: '1s',
    },
    inbox: {
      ...soon,
      channel: 'inbox-{id}',
      subject: 'inbox.{id}',
      access: { where: { id: '{claims.sub}' } },
    },
  },
};
