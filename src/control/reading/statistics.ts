import { z } from 'zod';
import type { Clock, TimerWheel } from '../../clock.ts';
import type { Peers } from '../../cluster/peers.ts';
import type { Metrics } from '../../metrics.ts';
import { type Part, type Served, spread } from '../operation.ts';
import { instanceStats, stats } from '../operations/reading.ts';
import { ClusterPeak, type Peak } from './cluster-peak.ts';
import { countDistinct, printsOf } from './distinct.ts';
import { RateMeter, type Rates, rounded } from './rates.ts';

export interface StatisticsDeps {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly peers: Pick<Peers, 'own' | 'attach' | 'follow'>;
  readonly streams: {
    /** Open now, by how they are written. */
    readonly counts: { readonly sse: number; readonly ndjson: number; readonly poll: number };
    users(): Promise<ReadonlySet<string>>;
  };
  /** Channels that are held, and those of them that nobody is on. */
  channels(): { readonly held: number; readonly lingering: number };
  /** What one answer may take, in bytes. */
  maxAnswerBytes(): number;
}

/** What an instance says: besides what it is shown to say, what makes sums right. */
const part = instanceStats.extend({
  prints: z.string().optional(),
  clusterPeak: z.strictObject({ connections: z.int().min(0), time: z.iso.datetime().optional() }),
});

type StatsPart = z.output<typeof part>;

/** What one answer needs besides the prints of users, in bytes. */
const OTHER_BYTES = 4096;

/**
 * The operation `stats`. Everything is read from plain counters: once a second for the rates and the peak of the cluster, otherwise as it is
 * asked for. Users are counted then.
 */
export function statisticsOperations(deps: StatisticsDeps): Served[] {
  const { metrics, clock, wheel, peers } = deps;
  const clusterPeak = new ClusterPeak(metrics, clock);
  peers.attach('connections', clusterPeak);
  peers.follow(clusterPeak);
  const rates = new RateMeter(metrics, clock, wheel, () => clusterPeak.look());
  rates.start();
  return [operation(deps, rates, clusterPeak)];
}

function operation(deps: StatisticsDeps, rates: RateMeter, clusterPeak: ClusterPeak): Served {
  return spread(stats, {
    part,
    each: async () => {
      const users = await deps.streams.users();
      const prints = printsOf(users, deps.maxAnswerBytes() - OTHER_BYTES);
      return {
        ...figuresHere(deps, rates),
        users: users.size,
        clusterPeak: toPeak(clusterPeak.peak),
        ...(prints !== undefined && { prints }),
      };
    },
    merge: (parts) => ({
      ...together(parts.map((one) => one.part)),
      each: parts.map(shown).sort((a, b) => (a.instance < b.instance ? -1 : 1)),
    }),
  });
}

function figuresHere({ metrics, clock, peers, streams, channels }: StatisticsDeps, rates: RateMeter) {
  const { held, lingering } = channels();
  const { sse, ndjson, poll } = streams.counts;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    connections: { total: sse + ndjson + poll, sse, ndjson, poll },
    channels: { held, occupied: held - lingering, lingering },
    ...countersOf(metrics),
    rates: { over10s: rates.over(10), over60s: rates.over(60) },
    peak: toPeak({ connections: metrics.connectionsPeak, atMs: metrics.connectionsPeakMs }),
    uptimeSeconds: rounded((clock.wall() - peers.own.startedMs) / 1000),
    memory: { rss, heapUsed },
  };
}

function countersOf(metrics: Metrics) {
  const routes = [...metrics.routes.values()];
  const publications = total(routes, (route) => route.publications);
  const publishedBytes = total(routes, (route) => route.publishedBytes);
  return {
    publications,
    publishedBytes,
    averageEventBytes: average(publishedBytes, publications),
    deliveries: total(routes, (route) => route.deliveries),
    sentBytes: metrics.sentBytes,
    opened: metrics.connectionsOpened,
    refused: total([...metrics.requestsRefused.values()], (count) => count),
    slow: metrics.slowConnections,
    closedSlow: metrics.connectionsClosed.get('slow') ?? 0,
    pendingBytes: metrics.pendingBytes,
  };
}

/** All that is counted, added up; the peak and the users, which cannot be, for themselves. */
function together(parts: readonly StatsPart[]) {
  const sum = (of: (one: StatsPart) => number) => total(parts, of);
  const publications = sum((one) => one.publications);
  const publishedBytes = sum((one) => one.publishedBytes);
  const connections = {
    total: sum((one) => one.connections.total),
    sse: sum((one) => one.connections.sse),
    ndjson: sum((one) => one.connections.ndjson),
    poll: sum((one) => one.connections.poll),
  };
  return {
    connections,
    channels: {
      held: sum((one) => one.channels.held),
      occupied: sum((one) => one.channels.occupied),
      lingering: sum((one) => one.channels.lingering),
    },
    publications,
    publishedBytes,
    averageEventBytes: average(publishedBytes, publications),
    deliveries: sum((one) => one.deliveries),
    sentBytes: sum((one) => one.sentBytes),
    opened: sum((one) => one.opened),
    refused: sum((one) => one.refused),
    slow: sum((one) => one.slow),
    closedSlow: sum((one) => one.closedSlow),
    pendingBytes: sum((one) => one.pendingBytes),
    rates: {
      over10s: addedUp(parts.map((one) => one.rates.over10s)),
      over60s: addedUp(parts.map((one) => one.rates.over60s)),
    },
    peak: highest(parts),
    users: countDistinct(
      parts.map(({ users: count, prints }) => ({ count, ...(prints !== undefined && { prints }) })),
    ),
  };
}

/** What any of them saw of the whole. */
function highest(parts: readonly StatsPart[]): StatsPart['clusterPeak'] {
  return parts
    .map(({ clusterPeak }) => clusterPeak)
    .reduce((most, one) => (one.connections > most.connections ? one : most), { connections: 0 });
}

function shown({ instance, part: { prints: _, clusterPeak: __, ...rest } }: Part<StatsPart>) {
  return { instance, ...rest };
}

function addedUp(all: readonly Rates[]): Rates {
  return {
    publications: rounded(total(all, (one) => one.publications)),
    deliveries: rounded(total(all, (one) => one.deliveries)),
    sentBytes: rounded(total(all, (one) => one.sentBytes)),
    connects: rounded(total(all, (one) => one.connects)),
  };
}

function total<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((sum, one) => sum + of(one), 0);
}

function average(bytes: number, times: number): number {
  return times === 0 ? 0 : Math.round(bytes / times);
}

function toPeak({ connections, atMs }: Peak) {
  return { connections, ...(connections > 0 && { time: new Date(atMs).toISOString() }) };
}
