import { type Clock, TICK_MS, Timer, type TimerWheel } from '../clock.ts';
import type { Bus } from '../cluster/bus.ts';
import type { Peers } from '../cluster/peers.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import type { Destination, Route, Router } from '../routing/router.ts';
import { Announcer, type AnnouncerOptions } from './announcer.ts';
import { Attendance } from './attendance.ts';
import type { BackendEvents } from './backend-events.ts';
import { membersPage, type Page, type PageQuery } from './page.ts';
import { Replication, type ReplicationOptions } from './replication.ts';
import { Reporter } from './reporter.ts';
import { Table } from './table.ts';
import { type Tracking, trackingOf } from './tracking.ts';
import { Unlisted } from './unlisted.ts';

export interface PresenceOptions
  extends Pick<AnnouncerOptions, 'subscribers' | 'notice'>,
    Pick<ReplicationOptions, 'messageBytes'> {
  readonly config: Pick<Config['control'], 'prefix' | 'members'>;
  readonly events: BackendEvents;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: Logger;
  readonly bus: Pick<Bus, 'listen' | 'publish'> & Partial<Pick<Bus, 'maxPayloadBytes'>>;
  readonly peers: Peers;
  readonly router: Router;
  /** Runs something in a later turn of the event loop. Default: `setImmediate`. */
  defer?(run: () => void): void;
}

/** Who is on the channels of the cluster, and who is told. */
export interface Presence {
  /** The hub's: who comes and goes here. */
  readonly attendance: Attendance;
  /** Whether it is known who is on a channel, and whoever may read it may know. */
  isShown(destination: Destination): boolean;
  page(channel: string, query: PageQuery): Page;
  /** There are other routes now. */
  rerouted(): void;
  readonly observed: PresenceObserved;
  connected(): void;
  reconnected(): void;
  start(): void;
  stop(): void;
}

export interface PresenceObserved {
  readonly channels: number;
  readonly members: number;
  readonly hidden: number;
  readonly incomplete: number;
  readonly messages: Replication['counts'];
}

/** `undefined` where no route has it and no backend is told: then nothing of it costs anything. */
export function createPresence(options: PresenceOptions): Presence | undefined {
  const { config, events, clock, wheel, log, bus, peers, router, defer = setImmediate } = options;
  const { prefix } = config;
  const tracked = () =>
    trackingOf({ routes: router.routes, followsOccupancy: events.wants('occupied', 'vacated') });
  const first = tracked();
  if (first.size === 0) return undefined;
  // Who is still on a channel of a route that is gone leaves it by what that route said.
  const tracking = new WeakMap(first);
  let followed = followedBy(first);
  const count = (channel: string) => table.count(channel);
  const announcer = new Announcer({ ...options, count });
  const reporter = new Reporter({
    events,
    count,
    isResponsible: (channel) => peers.isResponsible(channel),
    route: (channel) => router.resolve(channel)?.route.name,
  });
  const table = new Table({
    clock,
    maxMembers: config.members,
    tracking: (channel) => {
      const route = router.resolve(channel)?.route;
      return route === undefined ? undefined : tracking.get(route);
    },
    listener: {
      joined: (member, isNews) => {
        announcer.joined(member);
        if (isNews) reporter.joined(member);
        wake();
      },
      left: (member) => {
        announcer.left(member);
        reporter.left(member);
      },
      wentAway: () => wake(),
      occupied: (channel, isNews) => {
        wake();
        if (isNews) reporter.occupied(channel);
      },
      vacated: (channel) => reporter.vacated(channel),
    },
  });
  const { instance } = peers.own;
  const attendance = new Attendance({
    tracking,
    sinceMs: (channel, key) => table.channel(channel)?.members.get(key)?.sinceMs ?? clock.wall(),
    changed: (changes) => {
      table.apply({ ...changes, instance, round: 0, isNews: true });
      wake();
    },
  });
  const replication = new Replication({
    clock,
    log,
    bus,
    peers,
    prefix,
    attendance,
    table,
    defer,
    messageBytes: options.messageBytes,
  });
  const unlisted = new Unlisted({ instance, attendance, table });
  const timer = new Timer({ onDue: (nowMs) => tick(nowMs) });
  const wake = () => {
    if (timer.slot === undefined) wheel.schedule(timer, TICK_MS);
  };
  const tick = (nowMs: number) => {
    table.expire(nowMs);
    unlisted.list();
    replication.flush();
    announcer.flush();
    reporter.flush();
    if (table.hasAway || announcer.isPending || attendance.hasChanged || unlisted.isPending) wake();
  };
  return {
    attendance,
    isShown: ({ route: { config: of } }) => of.presence?.access === 'readers',
    rerouted() {
      const now = tracked();
      for (const [route, its] of now) if (!tracking.has(route)) tracking.set(route, its);
      table.retrack();
      const before = followed;
      followed = followedBy(now);
      // An instance that had these routes before this one has told of them already, to nobody.
      if ([...followed].some((each) => !before.has(each))) replication.doubt();
    },
    page: (channel, query) => membersPage({ channel, count: count(channel) }, table.channel(channel), query),
    get observed() {
      const { channelCount: channels, size: members, hiddenCount: hidden } = table;
      const { counts: messages, incomplete } = replication;
      return { channels, members, hidden, incomplete, messages };
    },
    connected: () => replication.connected(),
    reconnected: () => undefined,
    start: () => replication.start(),
    stop: () => {
      replication.flush();
      reporter.flush();
      wheel.cancel(timer);
      replication.stop();
    },
  };
}

/** Which channels are followed, and what of them: a route may change in much besides. */
function followedBy(tracking: ReadonlyMap<Route, Tracking>): ReadonlySet<string> {
  const followed = [...tracking].map(([{ config }, { presence }]) =>
    JSON.stringify([config.channel, presence]),
  );
  return new Set(followed);
}
