import type { Authentication } from '../auth/authentication.ts';
import type { Config } from '../config/schema.ts';
import type { Channels } from '../control/channels/channels.ts';
import type { Api } from '../http/api.ts';
import type { Rerouting } from '../http/rerouting.ts';
import type { Server } from '../http/server.ts';
import type { Hub } from '../hub/hub.ts';
import type { Inbox } from '../inbox/inbox.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Presence } from '../presence/presence.ts';
import type { Router } from '../routing/router.ts';
import type { CoreSource } from '../sources/core.ts';
import type { StreamSources } from '../sources/stream-sources.ts';
import type { LivingConfig } from './living-config.ts';

/** The parts of a bridge that go by a config that may change. */
export interface Reloaded {
  readonly living: LivingConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly router: Router;
  readonly core: CoreSource;
  readonly streams: StreamSources;
  readonly hub: Hub;
  readonly authentication: Authentication;
  readonly server: Server;
  readonly rerouting: Rerouting;
  readonly channels: Channels;
  readonly inbox: Inbox | undefined;
  readonly presence: Presence | undefined;
  readonly api: Api;
}

/** A config of which everything is at hand. Exactly one of the two is to be called, once, before another one is prepared. */
export interface Prepared {
  /** Goes by it from now on: in one turn of a process, so that nobody sees half of it. Cannot fail. */
  apply(): void | Promise<void>;
  /** Lets go of it. */
  discard(): void;
}

/**
 * Makes a running bridge ready for another config, which differs from the one it goes by only in what can change while it runs.
 * Whatever may be wrong with it is found out here.
 * @throws SidestreamError TEMPLATE_INVALID, CONFIG_INVALID (a key is of no use, a key set cannot be fetched)
 */
export async function prepareReload(parts: Reloaded, config: Config): Promise<Prepared> {
  const { living, log, router, authentication, server, api } = parts;
  const routes = router.prepare(config.channels);
  const auth = await authentication.prepare(config.auth);
  return {
    apply() {
      const { level } = config.log;
      if (level !== living.config.log.level) log.level = level;
      living.adopt(config);
      api.setToken(config.ops.token);
      const before = router.routes.map(({ name }) => name);
      router.adopt(routes);
      // Behind the routes: it looks for those that nobody asks for.
      auth.adopt();
      reroute(parts, before);
      server.reconfigured();
      parts.channels.reconfigured();
      parts.hub.limitHistory(config.limits.historyBytes);
    },
    discard: () => auth.discard(),
  };
}

/** From where messages come to who is given them: each must be ready when the next one asks it. */
function reroute(parts: Reloaded, before: readonly string[]): void {
  const { metrics, router, core, streams, hub, rerouting, inbox, presence } = parts;
  const names = new Set(router.routes.map(({ name }) => name));
  for (const name of names) metrics.route(name);
  streams.reroute(router.routes);
  inbox?.rerouted(router.routes);
  presence?.rerouted();
  const rerouted = hub.reroute((channel) => router.resolve(channel));
  for (const { channel } of rerouted.kept)
    for (const subscriber of channel.subscribers) inbox?.joined(subscriber, [channel]);
  rerouting.rerouted(rerouted);
  for (const name of before.filter((each) => !names.has(each))) {
    metrics.forget(name);
    core.forget(name);
  }
  prune(parts);
}

/** Lets go of streams that nobody reads any more: to be called now and then, since who is on a channel takes a while to leave it. */
export function prune({ streams, hub }: Pick<Reloaded, 'streams' | 'hub'>): void {
  for (const log of streams.prune()) hub.forget(log);
}
