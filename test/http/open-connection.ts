import type { Identity } from '../../src/auth/identity.ts';
import type { Config } from '../../src/config/schema.ts';
import { Connection } from '../../src/http/connection.ts';
import { Retry } from '../../src/http/retry.ts';
import { openStream } from '../../src/http/subscribe.ts';
import { Waiting } from '../../src/http/waiting.ts';
import { createLog } from '../../src/log.ts';
import type { Ending } from '../../src/metrics.ts';
import { type HubSetup, setUpHub } from '../hub/fakes.ts';
import { EventStreamParser } from '../support/event-stream.ts';
import { FakeResponse } from './fake-response.ts';

export const HEARTBEAT_MS = 15_000;
export const STALLED_MS = 30_000;
export const PENDING_BYTES = 1000;
export const PENDING_TOTAL_BYTES = 100_000;

export const LIMITS: Config['limits'] = {
  connections: 10_000,
  connectionsPerIp: 0,
  connectionsPerUser: 0,
  connectionsPerChannel: 0,
  channels: 100,
  channelsPerConnection: 16,
  connectRatePerSecond: 2000,
  pendingBytes: PENDING_BYTES,
  pendingTotalBytes: PENDING_TOTAL_BYTES,
  stalledMs: STALLED_MS,
  eventBytes: 1024 * 1024,
  replay: 1000,
  historyBytes: 64 * 1024 * 1024,
  requestHeaderBytes: 16 * 1024,
};

export interface ConnectionSetup extends HubSetup {
  readonly channels?: readonly string[];
  readonly sse?: Partial<Config['sse']>;
  readonly cursor?: Parameters<typeof openStream>[3]['cursor'];
  readonly identity?: Identity;
}

/** One stream that has just been opened on a response made by hand, with a hub and a clock to move. */
export function openConnection({ channels = ['a'], sse, cursor, identity, ...setup }: ConnectionSetup = {}) {
  const real = setUpHub(setup);
  const { clock, wheel, hub, metrics, destination } = real;
  const settings: Config['sse'] = {
    retryMs: { min: 3000, max: 10_000 },
    heartbeatMs: HEARTBEAT_MS,
    maxAgeMs: 0,
    control: setup.control ?? true,
    compression: [],
    ...sse,
  };
  const retry = new Retry({
    clock,
    retryMs: settings.retryMs,
    reconnectRatePerSecond: 1000,
    connections: () => 1,
  });
  const endings: Ending[] = [];
  const watched: string[] = [];
  const context = {
    clock,
    wheel,
    hub,
    metrics,
    retry,
    waiting: new Waiting(LIMITS.pendingTotalBytes, metrics),
    log: createLog({ level: 'silent', format: 'json' }, { write: () => undefined }),
    sse: settings,
    limits: LIMITS,
    watcher: {
      opened: (stream: Connection) => void watched.push(`opened on ${namesOf(stream)}`),
      ended: (stream: Connection, ending: Ending) =>
        void watched.push(`ended on ${namesOf(stream)}: ${ending}`),
    },
    ended: (_: Connection, ending: Ending) => void endings.push(ending),
  };
  const res = new FakeResponse();
  const connection = new Connection(res.asResponse, { address: '192.0.2.1', identity }, context);
  res.handle(() =>
    openStream(connection, res.asResponse, context, {
      destinations: channels.map(destination),
      cursor,
      mediaType: 'text/event-stream',
      headers: [],
    }),
  );
  const first = res.bytes;
  return {
    ...real,
    connection,
    res,
    /** How the stream ended: nothing, or one entry. */
    endings,
    /** What the watcher was told. */
    watched,
    /** The body's first bytes, written as it was opened. */
    first,
    /** Publishes, and ends the turn. */
    send: (channel: string, data: string) => {
      real.publish(channel, data);
      hub.flush();
    },
    /** The stream as a browser reads it so far. */
    read: () => {
      const parser = new EventStreamParser();
      parser.push(res.bytes);
      return parser;
    },
  };
}

const namesOf = ({ channels }: Connection) => channels.map(({ name }) => name).join(' ');

/** The data of what was published, without Sidestream's own events. */
export function published(parser: EventStreamParser): string[] {
  return parser.events.filter(({ event }) => !event.startsWith('sidestream.')).map(({ data }) => data);
}
