import { isDeepStrictEqual } from 'node:util';
import type { RouteConfig } from '../config/schema.ts';
import { type EventTemplate, parseEventTemplate } from './event.ts';
import { isKeyed, type PayloadReader, payloadReader } from './payload.ts';
import { parseRouteTemplate, type RouteTemplate } from './template.ts';

/** One entry under `channels:`, compiled. */
export interface Route {
  readonly name: string;
  readonly template: RouteTemplate;
  readonly config: RouteConfig;
  /** The event name where the message brings none of its own; absent means `message`. */
  readonly event: EventTemplate | undefined;
  /** Absent where payloads are passed on unread. */
  readonly payload: PayloadReader | undefined;
  /** Whether its events replace one another, so that each needs a key. */
  readonly isKeyed: boolean;
  /** Whether a new config has no such route any more, or another one in its place. The router's to write. */
  isRetired: boolean;
}

/** A channel name that a route serves. */
export interface Destination {
  readonly route: Route;
  readonly channel: string;
  readonly params: Readonly<Record<string, string>>;
  readonly subject: string;
}

/** Finds the route of a channel name. No name matches two: `config/load.ts` refuses templates that overlap. */
export class Router {
  readonly #routes: Route[] = [];
  readonly #statics = new Map<string, Route>();
  readonly #patterns: Route[] = [];

  /** @throws SidestreamError TEMPLATE_INVALID */
  constructor(channels: Readonly<Record<string, RouteConfig>>) {
    this.adopt(this.prepare(channels));
  }

  /** The very same list for as long as there is the router: who holds it sees the routes of now. */
  get routes(): readonly Route[] {
    return this.#routes;
  }

  /**
   * The routes of a new config; one that stays as it is is the very same.
   * @throws SidestreamError TEMPLATE_INVALID
   */
  prepare(channels: Readonly<Record<string, RouteConfig>>): readonly Route[] {
    const known = new Map(this.#routes.map((route) => [route.name, route]));
    return Object.entries(channels).map(([name, config]) => {
      const route = known.get(name);
      return route !== undefined && isDeepStrictEqual(route.config, config) ? route : compile(name, config);
    });
  }

  /** Goes by these from now on. */
  adopt(routes: readonly Route[]): void {
    const kept = new Set(routes);
    for (const route of this.#routes) route.isRetired = !kept.has(route);
    this.#routes.splice(0, Infinity, ...routes);
    this.#statics.clear();
    this.#patterns.length = 0;
    for (const route of routes) {
      if (route.template.params.length === 0) this.#statics.set(route.template.channel, route);
      else this.#patterns.push(route);
    }
  }

  resolve(channel: string): Destination | undefined {
    const fixed = this.#statics.get(channel);
    if (fixed !== undefined) return { route: fixed, channel, params: {}, subject: fixed.template.subject };
    for (const route of this.#patterns) {
      const resolved = route.template.toSubject(channel);
      if (resolved !== undefined)
        return { route, channel, params: resolved.params, subject: resolved.subject };
    }
    return undefined;
  }
}

function compile(name: string, config: RouteConfig): Route {
  const template = parseRouteTemplate(config.channel, config.subject);
  const event = config.event === undefined ? undefined : parseEventTemplate(config.event, template.params);
  const payload = payloadReader(config);
  return { name, template, config, event, payload, isKeyed: isKeyed(config), isRetired: false };
}
