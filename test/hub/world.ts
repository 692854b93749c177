import { TimerWheel } from '../../src/clock.ts';
import type { RouteConfig } from '../../src/config/schema.ts';
import { Acts } from '../../src/http/acts.ts';
import type { ConnectionContext } from '../../src/http/connection.ts';
import { Retry } from '../../src/http/retry.ts';
import { Waiting } from '../../src/http/waiting.ts';
import { Hub } from '../../src/hub/hub.ts';
import { Log } from '../../src/hub/log.ts';
import type { Source } from '../../src/hub/source.ts';
import { createLog } from '../../src/log.ts';
import { Metrics } from '../../src/metrics.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { type Destination, type Route, Router } from '../../src/routing/router.ts';
import { LIMITS } from '../http/open-connection.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';
import { FakeSource } from './fakes.ts';
import { dataOf, ModelStream, StreamFeed } from './world-stream.ts';

/** Routes `x` and `y` map the same messages to channels of their own; `z` is of another stream, `c` of core NATS. */
export const CHANNELS = ['x-a', 'x-b', 'y-a', 'y-b', 'z-a', 'z-b', 'c-a', 'c-b'] as const;
/** The last belongs to no channel. */
export const SUBJECTS = ['x.a', 'x.b', 'z.a', 'z.b', 'c.a', 'c.b', 'x.other.deep'] as const;

/** What varies from world to world. */
export interface Conditions {
  readonly history: RouteConfig['history'];
  readonly historyBytes: number;
  readonly maxReplay: number;
  readonly lingerMs: number;
  /** How long route `y` holds messages back; 0: not at all. */
  readonly batchMs: number;
}

/** One process that serves the channels. */
export interface Replica {
  readonly name: string;
  readonly hub: Hub;
  readonly metrics: Metrics;
  readonly context: ConnectionContext;
  readonly acts: Acts;
  readonly core: FakeSource;
  readonly feeds: readonly StreamFeed[];
  readonly source: (route: Route) => Source;
}

/** Where each message was in each process's own log. */
interface CoreMark {
  readonly offset: number;
  readonly serial: number;
}

/** Two streams, core NATS, and two processes that read them, each at its own speed. */
export class World {
  readonly clock = new ManualClock();
  readonly streams = ['x', 'z'].map((name) => new ModelStream(name, (serial) => this.gone.add(serial)));
  readonly replicas: readonly Replica[] = [];
  readonly conditions: Conditions;
  /** Serials of each channel's messages, in order; and those that need not be delivered late. */
  readonly published = new Map<string, number[]>(CHANNELS.map((channel) => [channel, []]));
  readonly perishable = new Set<number>();
  /** Serials of what nobody can read again. */
  readonly gone = new Set<number>();
  /** Serials of those that came with a gap. */
  readonly replacing = new Set<number>();
  readonly #router: Router;
  readonly #wheels: TimerWheel[] = [];
  readonly #coreMarks: CoreMark[][] = [];
  serial = 0;

  constructor(conditions: Conditions) {
    this.conditions = conditions;
    const { history, lingerMs, batchMs } = conditions;
    const batch = { windowMs: batchMs, as: 'events' } as const;
    const route = (name: string, subject: string, more: Partial<RouteConfig>) =>
      routeConfig({ channel: `${name}-{id}`, subject: `${subject}.{id}`, history, lingerMs, ...more });
    const stream = (name: string) => ({ kind: 'stream', stream: name, warmMs: 0 }) as const;
    this.#router = new Router({
      x: route('x', 'x', { source: stream('x') }),
      y: route('y', 'x', {
        source: stream('x'),
        replay: { kind: 'last', count: 2 },
        ...(batchMs > 0 && { batch }),
      }),
      z: route('z', 'z', { source: stream('z'), replay: { kind: 'all' } }),
      c: route('c', 'c', {}),
    });
    // The streams are older than the processes that read them.
    for (const subject of ['x.a', 'x.b', 'z.a', 'x.a', 'z.a', 'x.a', 'z.b']) this.publish(subject, undefined);
    this.replicas = ['p', 'q'].map((name) => this.#replica(name));
  }

  destination(channel: string): Destination {
    const found = this.#router.resolve(channel);
    if (found === undefined) throw new TypeError(`no channel name: ${channel}`);
    return found;
  }

  /** A message that is gone before anybody has read it, and the one that took its place. */
  replace(subject: string): void {
    this.publish(subject, undefined);
    this.streams.find(({ name }) => subject.startsWith(name))?.discardNewest();
    this.publish(subject, undefined);
    this.replacing.add(this.serial);
  }

  publish(subject: string, ttlMs: number | undefined): void {
    this.serial += 1;
    const { serial } = this;
    if (ttlMs !== undefined) this.perishable.add(serial);
    const [kind = '', id = ''] = subject.split('.');
    const stored = { serial, subject, timeMs: this.clock.wall(), ttlMs };
    const channels = kind === 'x' ? [`x-${id}`, `y-${id}`] : [`${kind}-${id}`];
    for (const channel of channels) this.published.get(channel)?.push(serial);
    if (kind !== 'c') {
      this.streams.find(({ name }) => name === kind)?.store(stored);
      return;
    }
    this.gone.add(serial);
    for (const [index, { core }] of this.replicas.entries()) {
      if (core.interrupted) continue;
      const data = dataOf(`c-${id}`, serial);
      core.sink(`c-${id}`)?.publish({ event: undefined, data, ...(ttlMs !== undefined && { ttlMs }) });
      this.#coreMarks[index]?.push({ offset: core.log.offset, serial });
    }
  }

  /** The newest message, of any channel, that lies up to a position. */
  serialAt(replica: Replica, log: Log, offset: number): number {
    if (log === replica.core.log) {
      const marks = this.#coreMarks[this.replicas.indexOf(replica)] ?? [];
      return marks.findLast((mark) => mark.offset <= offset)?.serial ?? 0;
    }
    return this.#streamOf(replica, log)?.serialAt(log.epoch, offset) ?? 0;
  }

  /** The newest message that a cursor says its owner has of a channel's log; absent where it does not tell of that. */
  coveredBy(cursor: string, channel: string): number | undefined {
    const stream = this.streams.find(({ name }) => channel.replace('y', 'x').startsWith(name));
    for (const { epoch, offset } of parseCursor(cursor) ?? []) {
      if (stream !== undefined && epoch.startsWith(stream.name)) return stream.serialAt(epoch, offset);
      const at = this.replicas.find(({ core }) => core.log.epoch === epoch);
      if (stream === undefined && at !== undefined) return this.serialAt(at, at.core.log, offset);
    }
    return undefined;
  }

  /** Whether it is no wonder that a channel's recovery after `offset` has a gap. */
  excuses(replica: Replica, channel: string, offset: number): boolean {
    const { log } = replica.source(this.destination(channel).route);
    const stream = this.#streamOf(replica, log);
    // So little memory does not hold what one connection needs at once.
    if (stream === undefined || this.conditions.historyBytes < 10_000) return true;
    const { route } = this.destination(channel);
    const missed = stream.messages.filter(
      (stored) =>
        stored.offset > offset &&
        stored.offset <= log.offset &&
        route.template.toChannel(stored.subject) === channel,
    );
    if (missed.some(({ hasReplaced }) => hasReplaced)) return true;
    return (
      stream.epoch !== log.epoch || stream.first > offset + 1 || missed.length > this.conditions.maxReplay
    );
  }

  pass(ms: number): void {
    this.clock.advance(ms);
    for (const wheel of this.#wheels) wheel.advance();
    for (const { hub } of this.replicas) hub.sweep();
  }

  /** Ends the troubles, and brings every process up to date. */
  heal(): void {
    for (const { core, feeds } of this.replicas) {
      for (const feed of feeds) {
        feed.archive.isFailing = false;
        feed.archive.release();
        feed.feed(Infinity);
      }
      this.restore(core);
    }
  }

  restore(core: FakeSource): void {
    if (!core.interrupted) return;
    core.interrupted = false;
    for (const channel of core.fed) core.sink(channel)?.gap('disconnected');
  }

  #streamOf(replica: Replica, log: Log): ModelStream | undefined {
    return this.streams[replica.feeds.findIndex((feed) => feed.log === log)];
  }

  #replica(name: string): Replica {
    const { clock } = this;
    const { historyBytes, maxReplay } = this.conditions;
    const wheel = new TimerWheel(clock);
    const metrics = new Metrics();
    const core = new FakeSource(new Log(`core${name}`));
    const { routes } = this.#router;
    const feeds = this.streams.map((stream) => {
      const own = routes.filter(
        ({ config: { source } }) => 'stream' in source && source.stream === stream.name,
      );
      return new StreamFeed(stream, own, () => clock.wall());
    });
    const source = ({ name: route }: Route): Source =>
      (route === 'z' ? feeds[1] : route === 'c' ? core : feeds[0]) ?? core;
    const hub = new Hub({
      clock,
      wheel,
      metrics,
      source,
      maxChannels: 100,
      maxReplay,
      historyBytes,
      control: true,
    });
    for (const feed of feeds) feed.intake = hub;
    this.#wheels.push(wheel);
    this.#coreMarks.push([]);
    const acts = new Acts({
      hub,
      wheel,
      authenticator: { mayRead: async () => undefined },
      limits: LIMITS,
      control: true,
      patienceMs: 3000,
      channelState: () => 'open',
      hasSeat: () => true,
      recount: () => undefined,
    });
    return { name, hub, metrics, acts, core, feeds, source, context: contextOf(clock, wheel, hub, metrics) };
  }
}

export function contextOf(
  clock: ManualClock,
  wheel: TimerWheel,
  hub: Hub,
  metrics: Metrics,
): ConnectionContext {
  const retryMs = { min: 1000, max: 2000 };
  return {
    clock,
    wheel,
    hub,
    metrics,
    waiting: new Waiting(LIMITS.pendingTotalBytes, metrics),
    retry: new Retry({ clock, retryMs, reconnectRatePerSecond: 1000, connections: () => 1 }),
    log: createLog({ level: 'silent', format: 'json' }, { write: () => undefined }),
    sse: { retryMs, heartbeatMs: 15_000, maxAgeMs: 0, control: true, compression: [] },
    limits: LIMITS,
    ended: () => undefined,
  };
}

/** Lets everything happen that is to happen by itself: flushes, reads, those in line. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
