import { type Metrics, RouteMetrics } from '../metrics.ts';
import type { Destination, Route } from '../routing/router.ts';

/** A channel that a subject belongs to. */
export interface Target {
  readonly destination: Destination;
  readonly metrics: RouteMetrics;
  /** Whether memory keeps it while nobody reads it. */
  readonly keeps: boolean;
}

/** Subjects whose channels are remembered; above it all are found anew. */
const MAX_SUBJECTS = 10_000;

/** The channels of each subject: finding them costs more than all else that a message does here, so they are remembered. */
export class Targets {
  readonly #routes: readonly Route[];
  readonly #metrics: Metrics | undefined;
  readonly #known = new Map<string, readonly Target[]>();

  /** `metrics`: absent where the routes are gone; then memory keeps nothing more for them, and nothing is counted. */
  constructor(routes: readonly Route[], metrics: Metrics | undefined) {
    this.#routes = routes;
    this.#metrics = metrics;
  }

  of(subject: string): readonly Target[] {
    const known = this.#known.get(subject);
    if (known !== undefined) return known;
    const found = this.#routes.flatMap((route) => this.#find(route, subject));
    if (this.#known.size >= MAX_SUBJECTS) this.#known.clear();
    this.#known.set(subject, found);
    return found;
  }

  #find(route: Route, subject: string): Target[] {
    const channel = route.template.toChannel(subject);
    const resolved = channel === undefined ? undefined : route.template.toSubject(channel);
    // No browser can ask for such a channel.
    if (channel === undefined || resolved === undefined) return [];
    const destination = { route, channel, ...resolved };
    const metrics = this.#metrics?.route(route.name) ?? new RouteMetrics();
    const keeps = this.#metrics !== undefined && route.config.history.size > 0;
    return [{ destination, metrics, keeps }];
  }
}
