import { randomUUID } from 'node:crypto';
import { Authentication } from './auth/authentication.ts';
import { Revocations } from './auth/revocations.ts';
import { ticketMemoryMs } from './auth/ticket.ts';
import type { Claim } from './auth/used-tickets.ts';
import { type Clock, systemClock, TICK_MS, TimerWheel } from './clock.ts';
import type { Config, HostPort } from './config/schema.ts';
import { Control } from './control/control.ts';
import { TicketBucket } from './control/ticket-bucket.ts';
import { SidestreamError } from './errors.ts';
import { exposeMetrics, familiesOf } from './exposition/exposition.ts';
import type { DrainChoices } from './http/drain.ts';
import { OpsServer } from './http/ops.ts';
import type { Others } from './http/others.ts';
import { Server } from './http/server.ts';
import { loadUws } from './http/uws.ts';
import { Hub } from './hub/hub.ts';
import type { Logger } from './log.ts';
import { type Family, Metrics } from './metrics.ts';
import { Router } from './routing/router.ts';
import { CoreSource } from './sources/core.ts';
import { NatsLink, type NatsListener } from './sources/nats.ts';
import { epochFrom } from './sources/stream-identity.ts';
import { createStreamSources } from './sources/stream-sources.ts';

/** How often revocations that have ended are forgotten. */
const SWEEP_MS = 60_000;
/** How often history is looked through for what is too old. */
const HISTORY_SWEEP_MS = 1000;

export interface BridgeOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Of this software, for `sidestream_build_info`. */
  readonly version: string;
  readonly clock?: Clock;
  /** Where it is one of several processes that share a port: what they know of each other. Their metrics and probes are not served here. */
  readonly shared?: Shared;
}

export interface Shared {
  readonly others: Others;
  /** How long it waits for NATS before it listens, in milliseconds: until then the others take whoever comes. */
  readonly patienceMs: number;
  /** Whether it does not listen at all where it would refuse all streams then: another lets them in, and is to go. */
  readonly needsNats: boolean;
  /** Takes a ticket for used, of all of them. Never rejects. */
  claimTicket(key: string): Promise<Claim>;
}

/** A running bridge, as the process and the tests handle it. */
export interface Bridge {
  readonly metrics: Metrics;
  /** Whether streams are given: NATS was reached once, and what was revoked is known. */
  readonly accepting: boolean;
  /** Listens and begins to connect to NATS; gives the addresses. @throws SidestreamError LISTEN_FAILED, NATS_UNREACHABLE */
  start(): Promise<{ readonly http: HostPort; readonly ops?: HostPort }>;
  /** Fails readiness, refuses new streams, ends those that are open, each at its time. */
  drain(choices?: DrainChoices): Promise<void>;
  /** What `/metrics` shows. */
  families(): Promise<readonly Family[]>;
  /** Why new streams would be refused, or `undefined` when they are accepted. */
  unready(): string | undefined;
  /** Lets go of everything. After `drain`, nobody notices. */
  stop(): Promise<void>;
}

/**
 * Wires the parts together; the only place that does.
 * @throws SidestreamError UWS_UNAVAILABLE, NATS_OPTIONS_INVALID, TEMPLATE_INVALID, LISTEN_FAILED (a certificate that is of no use)
 */
export function createBridge({ config, log, version, clock = systemClock, shared }: BridgeOptions): Bridge {
  const { uws, version: uwsVersion } = loadUws(config.limits.requestHeaderBytes);
  const metrics = new Metrics();
  const wheel = new TimerWheel(clock);
  const router = new Router(config.channels);
  for (const route of router.routes) metrics.route(route.name);
  const feeding = { clock, wheel, log, metrics, maxEventBytes: config.limits.eventBytes };
  const core = new CoreSource({ ...feeding, epoch: epochFrom(randomUUID()) });
  const streams = createStreamSources(router.routes, {
    ...feeding,
    intake: { keep: (...message) => hub.keep(...message) },
  });
  const listeners: NatsListener[] = [core, ...streams.listeners];
  const nats = new NatsLink({ config: config.nats, clock, log, metrics, listeners });
  const hub = new Hub({
    clock,
    wheel,
    metrics,
    source: (route) => streams.of(route) ?? core,
    maxChannels: config.limits.channels,
    maxReplay: config.limits.replay,
    historyBytes: config.limits.historyBytes,
    control: config.sse.control,
  });
  const revocations = new Revocations(clock);
  const instance = randomUUID();
  // Nobody is asked for a bucket where no issuer gives tickets.
  const ticketTtlMs = ticketMemoryMs(config.auth.jwt);
  const tickets =
    ticketTtlMs === undefined
      ? undefined
      : new TicketBucket({ name: config.control.ticketBucket, ttlMs: ticketTtlMs, instance, clock, log });
  if (tickets !== undefined) listeners.push(tickets);
  const authentication = new Authentication({
    config: config.auth,
    router,
    revocations,
    clock,
    log,
    request: (...question) => nats.request(...question),
    claimTicket: async (key) => {
      const claim = tickets === undefined ? 'alone' : await tickets.claim(key);
      // Asked also where the bucket let it pass: another on this port may not have found the bucket.
      return shared === undefined || claim === 'used' || claim === 'unavailable'
        ? claim
        : shared.claimTicket(key);
    },
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
    natsReady: () => accepting(),
    authenticator: authentication.authenticator,
    ...(shared !== undefined && { others: shared.others }),
  });
  // Without tokens there is nothing to revoke, and nobody is asked for a bucket.
  const control = authentication.authenticator.checksTokens
    ? new Control({ ...config.control, instance, clock, log, revocations, streams: server })
    : undefined;
  // What was revoked before this process started must be known before anybody is let in, however long a JetStream that
  // is there does not answer. Instances that run already know it.
  let revocationsLoaded = control === undefined;
  const accepting = () => nats.ready && revocationsLoaded;
  void control?.loaded.then(() => {
    revocationsLoaded = true;
  });
  if (control !== undefined) listeners.push(control);
  const connected = new Promise<void>((resolve) => {
    listeners.push({ connected: () => resolve(), reconnected: () => undefined });
  });
  const registry = exposeMetrics(metrics, {
    channels: () => hub.channelCount,
    lingeringChannels: () => hub.lingeringCount,
    natsSubscriptions: () => core.subscriptionCount,
    streams: () => streams.states(),
    historyBytes: () => hub.historyBytes,
    archiveReads: () => hub.archiveReads,
    tokenChecks: () => authentication.checks,
    jwksFetches: () => authentication.jwksFetches,
    authQuestions: () => authentication.questions,
    authFaults: () => authentication.faults,
    revocations: () => revocations.size,
    controlCommands: () => control?.counts.commands ?? [],
    controlBucketOpen: () => control?.persistent ?? false,
    ticketsShared: () => tickets?.isShared ?? false,
    version,
    uwsVersion,
  });
  const ops =
    shared === undefined
      ? new OpsServer({
          listen: config.ops.listen,
          metrics: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
          unready: () => unready(config, metrics),
        })
      : undefined;
  const ticking = setInterval(() => wheel.advance(), TICK_MS);
  const sweeping = [
    setInterval(() => revocations.sweep(), SWEEP_MS),
    setInterval(() => hub.sweep(), HISTORY_SWEEP_MS),
  ];

  return {
    metrics,
    get accepting() {
      return accepting();
    },
    async start() {
      await authentication.start();
      nats.start();
      if (shared !== undefined) await atMost(shared.patienceMs, Promise.all([connected, control?.loaded]));
      if (shared?.needsNats && !accepting()) throw unreachable(nats.ready, shared.patienceMs);
      const http = await server.listen();
      const addresses = ops === undefined ? { http } : { http, ops: await ops.listen() };
      const about = { ...addresses, uws: uwsVersion, node: process.version, version };
      if (shared === undefined) log.info(about, 'listening');
      else log.info({ ...about, pid: process.pid }, 'worker listening');
      return addresses;
    },
    families: () => familiesOf(registry),
    unready: () => unready(config, metrics),
    async drain(choices) {
      log.info({ connections: metrics.connections, timeoutMs: config.drain.timeoutMs }, 'draining');
      await server.drain(choices);
      log.info('drained');
    },
    async stop() {
      clearInterval(ticking);
      for (const timer of sweeping) clearInterval(timer);
      server.stop();
      authentication.stop();
      hub.close();
      streams.stop();
      tickets?.stop();
      await control?.stop();
      await nats.stop();
      await ops?.stop();
      log.info('stopped');
    },
  };
}

async function atMost(patienceMs: number, awaited: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  await Promise.race([over, awaited]);
  clearTimeout(timer);
}

function unreachable(isConnected: boolean, patienceMs: number): SidestreamError {
  const missed = isConnected ? 'JetStream did not tell what was revoked' : 'NATS was not reached';
  return new SidestreamError(
    'NATS_UNREACHABLE',
    `${missed} within ${patienceMs} ms, which the worker to be replaced has; see nats in the config`,
  );
}

function unready(config: Config, metrics: Metrics): string | undefined {
  if (metrics.draining) return 'draining';
  if (config.ops.readyNeedsNats && !metrics.natsConnected) return 'not connected to NATS';
  return undefined;
}
