import { randomUUID } from 'node:crypto';
import type { Config } from '../config/schema.ts';

/** What is split where it is split, at the least: below it a worker would be of no use. The notices of the config know it too. */
const LEAST = { channels: 1, historyBytes: 1 << 20 } as const;

/**
 * The config of one of `count` workers. What cannot be shared from moment to moment is split evenly, so that all together
 * keep within it: rates, memory, channels, questions to services at a time. Streams are counted together, and so their limits stay whole.
 */
export function shareOf(config: Config, number: number, count: number): Config {
  const { limits, drain, nats } = config;
  // The token is the primary process's alone; that there is one, a worker must know: what is closed by it is to be kept.
  const ops = { ...config.ops, ...(config.ops.token !== undefined && { token: randomUUID() }) };
  return {
    ...config,
    workers: count,
    ops,
    nats: { ...nats, name: `${nats.name}-${number}` },
    limits: {
      ...limits,
      channels: Math.max(LEAST.channels, Math.floor(limits.channels / count)),
      historyBytes: Math.max(LEAST.historyBytes, Math.floor(limits.historyBytes / count)),
      pendingTotalBytes: Math.max(limits.pendingBytes, Math.floor(limits.pendingTotalBytes / count)),
      connectRatePerSecond: limits.connectRatePerSecond / count,
    },
    drain: { ...drain, reconnectRatePerSecond: drain.reconnectRatePerSecond / count },
    auth: shareOfAuth(config.auth, count),
  };
}

function shareOfAuth(auth: Config['auth'], count: number): Config['auth'] {
  const each = <T extends { readonly concurrency: number }>(service: T): T => ({
    ...service,
    concurrency: Math.max(1, Math.floor(service.concurrency / count)),
  });
  return {
    ...auth,
    ...(auth.introspection !== undefined && { introspection: each(auth.introspection) }),
    ...(auth.callout !== undefined && { callout: each(auth.callout) }),
    access: each(auth.access),
  };
}
