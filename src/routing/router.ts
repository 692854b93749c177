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
  readonly routes: readonly Route[];
  readonly #statics = new Map<string, Route>();
  readonly #patterns: Route[] = [];

  /** @throws SidestreamError TEMPLATE_INVALID */
  constructor(channels: Readonly<Record<string, RouteConfig>>) {
    this.routes = Object.entries(channels).map(([name, config]) => compile(name, config));
    for (const route of this.routes) {
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
  return { name, template, config, event, payload: payloadReader(config), isKeyed: isKeyed(config) };
}
