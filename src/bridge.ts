import { randomBytes } from 'node:crypto';
import { type Clock, systemClock, TICK_MS, TimerWheel } from './clock.ts';
import type { Config, HostPort } from './config/schema.ts';
import { OpsServer } from './http/ops.ts';
import { Server } from './http/server.ts';
import { loadUws } from './http/uws.ts';
import { Hub } from './hub/hub.ts';
import type { Logger } from './log.ts';
import { exposeMetrics, Metrics } from './metrics.ts';
import { Router } from './routing/router.ts';
import { CoreSource } from './sources/core.ts';
import { NatsLink } from './sources/nats.ts';

export interface BridgeOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Of this software, for `sidestream_build_info`. */
  readonly version: string;
  readonly clock?: Clock;
}

/** A running bridge, as the process and the tests handle it. */
export interface Bridge {
  readonly metrics: Metrics;
  /** Listens and begins to connect to NATS; gives the addresses. @throws SidestreamError LISTEN_FAILED */
  start(): Promise<{ readonly http: HostPort; readonly ops: HostPort }>;
  /** Fails readiness, refuses new streams, ends those that are open, each at its time. */
  drain(): Promise<void>;
  /** Lets go of everything. After `drain`, nobody notices. */
  stop(): Promise<void>;
}

/**
 * Wires the parts together; the only place that does.
 * @throws SidestreamError UWS_UNAVAILABLE, NATS_OPTIONS_INVALID, TEMPLATE_INVALID, LISTEN_FAILED (a certificate that is of no use)
 */
export function createBridge({ config, log, version, clock = systemClock }: BridgeOptions): Bridge {
  const { uws, version: uwsVersion } = loadUws(config.limits.requestHeaderBytes);
  const metrics = new Metrics();
  const wheel = new TimerWheel(clock);
  const router = new Router(config.channels);
  for (const route of router.routes) metrics.route(route.name);
  const source = new CoreSource({ clock, wheel, log, metrics, maxEventBytes: config.limits.eventBytes });
  const nats = new NatsLink({ config: config.nats, log, metrics, listener: source });
  const hub = new Hub({
    clock,
    wheel,
    metrics,
    source,
    epoch: randomBytes(5).toString('hex'),
    maxChannels: config.limits.channels,
    control: config.sse.control,
  });
  const server = new Server({
    config,
    clock,
    wheel,
    log,
    metrics,
    hub,
    router,
    uws,
    natsReady: () => nats.ready,
  });
  const registry = exposeMetrics(metrics, {
    channels: () => hub.channelCount,
    lingeringChannels: () => hub.lingeringCount,
    natsSubscriptions: () => source.subscriptionCount,
    version,
    uwsVersion,
  });
  const ops = new OpsServer({
    listen: config.ops.listen,
    metrics: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
    unready: () => unready(config, metrics),
  });
  const ticking = setInterval(() => wheel.advance(), TICK_MS);

  return {
    metrics,
    async start() {
      nats.start();
      const addresses = { http: await server.listen(), ops: await ops.listen() };
      log.info({ ...addresses, uws: uwsVersion, node: process.version, version }, 'listening');
      return addresses;
    },
    async drain() {
      log.info({ connections: metrics.connections, timeoutMs: config.drain.timeoutMs }, 'draining');
      await server.drain();
      log.info('drained');
    },
    async stop() {
      clearInterval(ticking);
      server.stop();
      hub.close();
      await nats.stop();
      await ops.stop();
      log.info('stopped');
    },
  };
}

function unready(config: Config, metrics: Metrics): string | undefined {
  if (metrics.draining) return 'draining';
  if (config.ops.readyNeedsNats && !metrics.natsConnected) return 'not connected to NATS';
  return undefined;
}
