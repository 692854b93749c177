import type { Authenticator } from '../auth/authenticator.ts';
import type { TimerWheel } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import { Acts } from '../http/acts.ts';
import type { ChannelState } from '../http/channel-state.ts';
import { Rerouting } from '../http/rerouting.ts';
import type { Server } from '../http/server.ts';
import type { Hub } from '../hub/hub.ts';
import type { Destination, Router } from '../routing/router.ts';

/** Of `control.deadline`: what an act on a stream may take; the rest is for the answer. */
const PATIENCE_SHARE = 0.75;

export interface Acting {
  readonly config: Config;
  readonly wheel: TimerWheel;
  readonly hub: Hub;
  readonly router: Router;
  readonly server: Server;
  readonly authenticator: Pick<Authenticator, 'mayRead'>;
  channelState(destination: Destination): ChannelState;
}

/** What changes the channels of streams that are open: on behalf of backends, and of a new config. */
export function actingOn(parts: Acting): { readonly acts: Acts; readonly rerouting: Rerouting } {
  const { config, wheel, hub, router, server, authenticator, channelState } = parts;
  const shared = {
    hub,
    wheel,
    authenticator,
    control: config.sse.control,
    channelState,
    recount: (...counted: Parameters<Server['recount']>) => server.recount(...counted),
  };
  const acts = new Acts({
    ...shared,
    limits: config.limits,
    patienceMs: config.control.deadlineMs * PATIENCE_SHARE,
    hasSeat: (destination) => server.hasSeat(destination),
  });
  return {
    acts,
    rerouting: new Rerouting({ ...shared, acts, resolve: (channel) => router.resolve(channel) }),
  };
}
