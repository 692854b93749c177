import type { Authentication } from '../auth/authentication.ts';
import type { Revocations } from '../auth/revocations.ts';
import type { Peers } from '../cluster/peers.ts';
import type { Config } from '../config/schema.ts';
import type { Channels } from '../control/channels/channels.ts';
import type { Plane } from '../control/plane.ts';
import type { Revoker } from '../control/revocation/revoker.ts';
import type { TicketBucket } from '../control/revocation/ticket-bucket.ts';
import type { Observed } from '../exposition/observed.ts';
import type { Api } from '../http/api.ts';
import type { Hub } from '../hub/hub.ts';
import type { Inbox } from '../inbox/inbox.ts';
import type { ReloadMetrics } from '../metrics.ts';
import type { Backend } from '../presence/backend.ts';
import type { Presence } from '../presence/presence.ts';
import type { CoreSource } from '../sources/core.ts';
import type { StreamSources } from '../sources/stream-sources.ts';

/** The parts of a bridge that have something to show in metrics. */
export interface Shown {
  readonly hub: Hub;
  readonly core: CoreSource;
  readonly streams: StreamSources;
  readonly authentication: Authentication;
  readonly revocations: Revocations;
  readonly revoker: Revoker | undefined;
  readonly tickets: TicketBucket | undefined;
  readonly peers: Peers;
  readonly plane: Plane;
  readonly channels: Channels;
  readonly inbox: Inbox | undefined;
  readonly presence: Presence | undefined;
  readonly backend: Backend;
  readonly api: Api;
  /** Those that hold now. */
  limits(): Config['limits'];
  accepting(): boolean;
  readonly reloads: ReloadMetrics | undefined;
  readonly version: string;
  readonly uwsVersion: string;
}

/** What metrics read when they are scraped. */
export function observedOf(parts: Shown): Observed {
  const { hub, core, streams, authentication, revocations, peers, plane, backend, api } = parts;
  const { revoker, tickets, inbox, presence, channels, limits, accepting, version, uwsVersion } = parts;
  return {
    channels: () => hub.channelCount,
    lingeringChannels: () => hub.lingeringCount,
    natsSubscriptions: () => core.subscriptionCount,
    streams: () => streams.states(),
    historyBytes: () => hub.historyBytes,
    archiveReads: () => hub.archiveReads,
    tokenChecks: () => authentication.checks,
    keySets: () => authentication.keySets,
    authQuestions: () => authentication.questions,
    authFaults: () => authentication.faults,
    revocations: () => revocations.size,
    controlCommands: () => plane.commands,
    cluster: () => ({
      instances: peers.all.length,
      calls: plane.calls.values(),
      waiting: plane.waiting,
    }),
    controlBucketOpen: () => revoker?.persistent ?? false,
    ticketsShared: () => tickets?.isShared ?? false,
    publishing: channels,
    inbox: () => inbox?.observed,
    presence: () => presence?.observed,
    backendEvents: () => backend.events.counts,
    apiRefusals: () => api.refused,
    limits,
    accepting,
    reloads: parts.reloads,
    version,
    uwsVersion,
  };
}
