import type { Clock, TimerWheel } from '../clock.ts';
import type { Bus } from '../cluster/bus.ts';
import type { Peer, Peers } from '../cluster/peers.ts';
import type { Config } from '../config/schema.ts';
import { actingOperations } from '../control/acting.ts';
import { maxPageBytes } from '../control/answer-size.ts';
import type { Channels } from '../control/channels/channels.ts';
import { disconnectOperations } from '../control/disconnect.ts';
import { type InboxDeps, inboxOperations } from '../control/inbox.ts';
import { instanceOperations } from '../control/instances.ts';
import type { Served } from '../control/operation.ts';
import { type PresenceDeps, presenceOperations } from '../control/presence.ts';
import { readingOperations } from '../control/reading/reading.ts';
import { statisticsOperations } from '../control/reading/statistics.ts';
import { revokeOperations } from '../control/revocation/revoke.ts';
import type { Revoker } from '../control/revocation/revoker.ts';
import type { Acts } from '../http/acts.ts';
import { StreamListing } from '../http/listing.ts';
import type { Live } from '../http/live.ts';
import type { Server } from '../http/server.ts';
import type { Hub } from '../hub/hub.ts';
import { ChannelListing } from '../hub/listing.ts';
import { Walks } from '../hub/walks.ts';
import type { Metrics } from '../metrics.ts';
import type { Router } from '../routing/router.ts';

/** The parts of a bridge that its operations see or steer. */
export interface Steered {
  readonly config: Config;
  readonly own: Peer;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly metrics: Metrics;
  readonly router: Router;
  readonly hub: Hub;
  readonly server: Server;
  readonly live: Live;
  readonly acts: Acts;
  readonly bus: Bus;
  readonly peers: Peers;
  /** Absent where no tokens are checked. */
  readonly revoker: Revoker | undefined;
  readonly channels: Channels;
  readonly inbox: InboxDeps['inbox'];
  readonly presence: PresenceDeps['members'];
  /** Whether streams are given, but for a drain. */
  accepting(): boolean;
  /** Begins to drain. */
  drain(): void;
}

/** Wires what the control plane offers; each part has its own. */
export function operationsOf(parts: Steered): Served[] {
  const { config, clock, live, router, inbox, presence, revoker, channels } = parts;
  return [
    ...instanceOperations({ own: parts.own, state: () => stateOf(parts), drain: parts.drain }),
    ...revokeOperations({ revoker, revocationTtlMs: config.control.revocationTtlMs, clock }),
    ...disconnectOperations({ live, isServed: (channel) => router.resolve(channel) !== undefined }),
    ...acting(parts),
    ...reading(parts),
    ...channels.operations,
    ...inboxOperations({ router, inbox }),
    ...presenceOperations({ router, members: presence, maxAnswerBytes: () => maxPageBytes(parts.bus) }),
  ];
}

function acting({ live, acts, router }: Steered): Served[] {
  return actingOperations({
    resolve: (channel) => router.resolve(channel),
    pick: (whose) => live.pick(whose),
    subscribe: (...act) => acts.subscribe(...act),
    unsubscribe: (...act) => acts.unsubscribe(...act),
  });
}

function stateOf({ metrics, hub, accepting }: Steered) {
  return {
    connections: metrics.connections,
    channels: hub.channelCount,
    draining: metrics.draining,
    accepting: accepting() && !metrics.draining,
    natsConnected: metrics.natsConnected,
  };
}

function reading({
  own,
  clock,
  wheel,
  metrics,
  router,
  hub,
  server,
  bus,
  peers,
  channels,
}: Steered): Served[] {
  const walks = new Walks(clock);
  const streams = new StreamListing({ streams: server.streams, hub, clock, walks });
  const maxAnswerBytes = () => maxPageBytes(bus);
  return [
    ...statisticsOperations({
      metrics,
      clock,
      wheel,
      peers,
      streams,
      channels: () => ({ held: hub.channelCount, lingering: hub.lingeringCount }),
      maxAnswerBytes,
    }),
    ...readingOperations({
      instance: own.instance,
      streams,
      channels: new ChannelListing(hub.channels, walks),
      resolve: (channel) => router.resolve(channel),
      describe: (channel) => channels.describe(channel),
      exists: (destination) => channels.state(destination) !== 'unknown',
      maxAnswerBytes,
    }),
  ];
}
