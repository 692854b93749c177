import type { PresenceConfig } from '../config/schema.ts';
import type { Route } from '../routing/router.ts';

/** Of routes without presence: how long nobody may be there before a channel is vacated. */
const VACATED_AFTER_MS = 15_000;

/** What is followed of a route's channels. */
export interface Tracking {
  /** Absent where it is only followed whether anybody is there. */
  readonly presence: PresenceConfig | undefined;
  readonly leaveAfterMs: number;
}

export interface TrackingOptions {
  readonly routes: readonly Route[];
  /** Whether backends are told of channels that are occupied or vacated. */
  readonly followsOccupancy: boolean;
}

/** What is followed, by route; a route that is missing costs nothing. */
export function trackingOf({ routes, followsOccupancy }: TrackingOptions): ReadonlyMap<Route, Tracking> {
  const tracking = new Map<Route, Tracking>();
  for (const route of routes) {
    const { presence } = route.config;
    if (presence === undefined && !followsOccupancy) continue;
    tracking.set(route, { presence, leaveAfterMs: presence?.leaveAfterMs ?? VACATED_AFTER_MS });
  }
  return tracking;
}
