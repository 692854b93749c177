import type { RouteConfig } from '../../src/config/schema.ts';

/** A public route fed by core NATS that keeps nothing, but for what is given. */
export function routeConfig(
  given: Partial<RouteConfig> & Pick<RouteConfig, 'channel' | 'subject'>,
): RouteConfig {
  return {
    source: { kind: 'core' },
    access: [{ kind: 'public' }],
    binary: false,
    envelope: false,
    trace: false,
    lingerMs: 0,
    replay: { kind: 'none' },
    history: { size: 0, ageMs: 60_000, bytes: 1_048_576 },
    redact: [],
    map: {},
    throttleMs: 0,
    slow: 'close',
    latestBy: 'subject',
    dynamic: false,
    inbox: false,
    priority: 0,
    ...given,
  };
}
