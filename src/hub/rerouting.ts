import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { Destination, Route } from '../routing/router.ts';
import type { Channel, Subscriber } from './channel.ts';
import { isSameFeed, type Opening } from './opening.ts';
import type { Source } from './source.ts';

/** What became of channels whose names have other routes now. */
export interface Rerouted {
  /** Those that go on, and the route that they had. */
  readonly kept: readonly { readonly channel: Channel; readonly before: Route }[];
  /** Those that are there only for who is still on them. */
  readonly detached: readonly Channel[];
}

export interface Rerouting {
  readonly opening: Opening;
  readonly hub: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    source(route: Route): Source;
    /** Told who is on a channel by which route. */
    readonly attendance?: Record<'joined' | 'left', (subscriber: Subscriber, channel: Channel) => void>;
  };
  /** The route that a name has now. */
  resolve(channel: string): Destination | undefined;
  /** Gives up a channel that nobody is on. */
  vacated(channel: Channel): void;
  /** What memory had of a channel is gone. */
  breaks(channel: Channel): void;
}

/**
 * Has every channel go by the route that its name has now. One whose feed stays goes on as it is, with its subscribers. One that is fed
 * from elsewhere, or by nobody any more, is no longer found by its name; who is on it stays on it until taken off.
 */
export function reroute(channels: Map<string, Channel>, rerouting: Rerouting): Rerouted {
  const { hub, resolve, vacated } = rerouting;
  const kept: Rerouted['kept'][number][] = [];
  const detached: Channel[] = [];
  for (const channel of [...channels.values()]) {
    const { destination: before, source } = channel;
    const now = resolve(channel.name);
    if (now?.route === before.route) continue;
    if (now !== undefined && isSameFeed(before, now) && hub.source(now.route).log === source.log) {
      retarget(channel, now, rerouting);
      kept.push({ channel, before: before.route });
    } else if (channel.subscribers.size === 0) vacated(channel);
    else {
      channels.delete(channel.name);
      detach(channel, rerouting);
      if (now !== undefined) hub.metrics.gap('changed');
      detached.push(channel);
    }
  }
  return { kept, detached };
}

// Who is there by the one route or the other has been there all along.
function retarget(channel: Channel, to: Destination, { opening, hub, breaks }: Rerouting): void {
  const { attendance } = hub;
  const { presence } = channel.destination.route.config;
  const follows = !isDeepStrictEqual(presence, to.route.config.presence);
  const attending = follows ? [...channel.subscribers].filter(({ isProxy }) => isProxy !== true) : [];
  for (const subscriber of attending) attendance?.left(subscriber, channel);
  if (!opening.retarget(channel, to)) breaks(channel);
  for (const subscriber of attending) attendance?.joined(subscriber, channel);
}

// What memory has of the name is of another feed, and the log's memory of it begins anew.
function detach(channel: Channel, { hub }: Rerouting): void {
  const { history, source } = channel;
  channel.isDetached = true;
  history.held = false;
  history.breaks(source.log.offset, 'evicted', hub.clock.wall());
  history.drop();
  history.retire();
}
