import { type JetStreamManager, StorageType } from '@nats-io/jetstream';

/**
 * What a channel owes who reads it.
 * `all`: everything, whatever happens, since its stream lets nothing go. `limited`: its stream lets go of the oldest, which is
 * said. `values`: the newest of each key. `memory`: what one process saw; a gap is said, another process is a reset.
 */
export type Debt = 'all' | 'limited' | 'values' | 'memory';

export interface ChannelSpec {
  readonly name: string;
  /** What feeds it; of a bucket without the last token, which is the key. */
  readonly subject: string;
  /** Absent where core NATS feeds it. */
  readonly stream?: string;
  readonly debt: Debt;
  /** Publications a second. */
  readonly rate: number;
  /** Payload padding, in bytes. */
  readonly padding: number;
  /** Last tokens of its subject, each a value of its own. */
  readonly keys?: readonly string[];
  /** How many of the newest a connection without a cursor is sent. */
  readonly replay?: number;
}

const BUCKET = 'SETTINGS';
/** Publications that the stream with a limit holds. */
const LIMIT = 120;
const REPLAY = 20;

/** So many that a key keeps its value, or is gone, for a while. */
const MANY_KEYS = Array.from({ length: 12 }, (_, index) => `key${index}`);

const stored = { debt: 'all', padding: 40 } as const;
const bulk = { stream: 'BULK', debt: 'limited', rate: 12, padding: 40_000 } as const;
const settings = { stream: `KV_${BUCKET}`, debt: 'values', rate: 10, padding: 0 } as const;
const ticks = { debt: 'memory', rate: 20, padding: 0 } as const;

/** Several routes on one stream, a stream of its own, one with a limit, a bucket, core NATS: five logs. */
export const CHANNELS: readonly ChannelSpec[] = [
  { ...stored, name: 'orders-a', subject: 'orders.a.new', stream: 'SALES', rate: 20 },
  { ...stored, name: 'orders-b', subject: 'orders.b.new', stream: 'SALES', rate: 20 },
  { ...stored, name: 'orders-c', subject: 'orders.c.new', stream: 'SALES', rate: 1 },
  { ...stored, name: 'audit-a', subject: 'audit.a', stream: 'SALES', rate: 10 },
  { ...stored, name: 'news', subject: 'news.world', stream: 'NEWS', rate: 10, replay: REPLAY },
  { ...bulk, name: 'bulk-a', subject: 'bulk.a' },
  { ...bulk, name: 'bulk-b', subject: 'bulk.b' },
  { ...settings, name: 'settings-a', subject: `$KV.${BUCKET}.app.a`, keys: MANY_KEYS },
  { ...settings, name: 'settings-b', subject: `$KV.${BUCKET}.app.b`, keys: ['size', 'color'] },
  { ...ticks, name: 'ticks-a', subject: 'ticks.a' },
  { ...ticks, name: 'ticks-b', subject: 'ticks.b' },
];

export const STREAMS: readonly string[] = [
  ...new Set(CHANNELS.flatMap(({ stream }) => (stream === undefined ? [] : [stream]))),
];

/** Stored by a stream that channels read, and of no channel: positions go on without anything for anybody. */
export const NOISE = 'other.noise';

/** One channel of a stream, to ask for its epoch. */
export function channelOf(stream: string): ChannelSpec {
  const found = CHANNELS.find((channel) => channel.stream === stream);
  if (found === undefined) throw new TypeError(`no channel of ${stream}`);
  return found;
}

export async function addStreams(jsm: JetStreamManager): Promise<void> {
  const storage = StorageType.File;
  await jsm.streams.add({ name: 'SALES', subjects: ['orders.>', 'audit.>', 'other.>'], storage });
  await jsm.streams.add({ name: 'NEWS', subjects: ['news.>'], storage });
  await jsm.streams.add({ name: 'BULK', subjects: ['bulk.>'], storage, max_msgs: LIMIT });
  // ADR-8: what a bucket of one value a key is.
  await jsm.streams.add({
    name: `KV_${BUCKET}`,
    subjects: [`$KV.${BUCKET}.>`],
    storage,
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    allow_direct: true,
  });
}

/** Little memory, so that most who return need what is no longer in it. */
const history = { size: 30, age: '2s', bytes: '64MiB' };
const shared = { access: 'public', history };

/** The bridges' config file, but for where they listen. */
export const BRIDGE_CONFIG = {
  sse: { retry: '100ms..300ms', heartbeat: '1s' },
  limits: { pending: '64KiB', stalled: '1s', replay: 100_000 },
  drain: { timeout: '300ms', reconnectRate: '100000/s' },
  log: { level: 'info' },
  channels: {
    // Let go of as soon as nobody reads it, so that it is often opened anew.
    orders: {
      ...shared,
      channel: 'orders-{shop}',
      subject: 'orders.{shop}.>',
      stream: 'SALES',
      linger: '100ms',
    },
    audit: { ...shared, channel: 'audit-{unit}', subject: 'audit.{unit}', stream: 'SALES', warm: '1s' },
    news: { ...shared, channel: 'news', subject: 'news.>', stream: 'NEWS', replay: REPLAY, warm: '0s' },
    bulk: {
      ...shared,
      channel: 'bulk-{id}',
      subject: 'bulk.{id}',
      stream: 'BULK',
      history: { ...history, size: 10 },
    },
    settings: { ...shared, channel: 'settings-{app}', kv: BUCKET, key: 'app.{app}.*', envelope: true },
    ticks: { ...shared, channel: 'ticks-{id}', subject: 'ticks.{id}' },
  },
};
