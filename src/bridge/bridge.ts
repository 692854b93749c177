import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Authentication } from '../auth/authentication.ts';
import { Revocations } from '../auth/revocations.ts';
import { ticketMemoryMs } from '../auth/ticket.ts';
import { systemClock, TICK_MS, TimerWheel } from '../clock.ts';
import { Bus } from '../cluster/bus.ts';
import { type Peer, Peers } from '../cluster/peers.ts';
import { Channels } from '../control/channels/channels.ts';
import { CONTROL_HTTP } from '../control/http.ts';
import { Plane } from '../control/plane.ts';
import { Revoker } from '../control/revocation/revoker.ts';
import { TicketBucket } from '../control/revocation/ticket-bucket.ts';
import { exposeMetrics, familiesOf } from '../exposition/exposition.ts';
import { Api } from '../http/api.ts';
import type { DrainChoices } from '../http/drain.ts';
import { Live } from '../http/live.ts';
import { OpsServer } from '../http/ops.ts';
import { Server } from '../http/server.ts';
import { loadUws } from '../http/uws.ts';
import { Hub } from '../hub/hub.ts';
import { createInbox } from '../inbox/inbox.ts';
import { InboxResource } from '../inbox/resource.ts';
import { Metrics } from '../metrics.ts';
import { attendanceOf } from '../presence/attendance.ts';
import { createBackend } from '../presence/backend.ts';
import { createPresence } from '../presence/presence.ts';
import { PresenceResource } from '../presence/resource.ts';
import { type Destination, Router } from '../routing/router.ts';
import { CoreSource } from '../sources/core.ts';
import { NatsLink, type NatsListener } from '../sources/nats.ts';
import { epochFrom } from '../sources/stream-identity.ts';
import { createStreamSources } from '../sources/stream-sources.ts';
import { findTracing } from '../tracing/tracing.ts';
import { actingOn } from './acting.ts';
import type { Bridge, BridgeOptions } from './contract.ts';
import { LivingConfig } from './living-config.ts';
import { observedOf } from './observed.ts';
import { operationsOf } from './operations.ts';
import { atMost, unreachable, unready } from './readiness.ts';
import { prepareReload, prune } from './reload.ts';

/** How often revocations that have ended are forgotten. */
const SWEEP_MS = 60_000;
/** How often history is looked through for what is too old. */
const HISTORY_SWEEP_MS = 1000;

/**
 * Wires the parts together; the only place that does.
 * @throws SidestreamError UWS_UNAVAILABLE, NATS_OPTIONS_INVALID, TEMPLATE_INVALID, LISTEN_FAILED (a certificate that is of no use)
 */
export function createBridge(options: BridgeOptions): Bridge {
  const { log, version, clock = systemClock, shared } = options;
  const living = new LivingConfig(options.config);
  const { config } = living;
  const { limits } = config;
  const { uws, version: uwsVersion } = loadUws(config.limits.requestHeaderBytes);
  const metrics = new Metrics();
  const wheel = new TimerWheel(clock);
  const router = new Router(config.channels);
  for (const route of router.routes) metrics.route(route.name);
  const tracing = findTracing({ version, log, clock });
  const feeding = { clock, wheel, log, metrics, tracing };
  const core = new CoreSource({
    ...feeding,
    epoch: epochFrom(randomUUID()),
    get maxEventBytes() {
      return limits.eventBytes;
    },
  });
  const streams = createStreamSources(router.routes, {
    ...feeding,
    get maxEventBytes() {
      return limits.eventBytes;
    },
    intake: { keep: (...message) => hub.keep(...message) },
  });
  const listeners: NatsListener[] = [core, ...streams.listeners];
  const nats = new NatsLink({ config: config.nats, clock, log, metrics, listeners });
  const hub = new Hub({
    clock,
    wheel,
    metrics,
    source: (route) => inbox?.sourceOf(route) ?? streams.of(route) ?? core,
    get maxChannels() {
      return limits.channels;
    },
    get maxReplay() {
      return limits.replay;
    },
    historyBytes: limits.historyBytes,
    control: config.sse.control,
    attendance: attendanceOf(() => presence?.attendance),
  });
  const revocations = new Revocations(clock);
  const instance = randomUUID();
  const own: Peer = {
    instance,
    host: hostname(),
    version,
    startedMs: clock.wall(),
    ...(shared !== undefined && { worker: shared.worker }),
  };
  const { prefix } = config.control;
  const bus = new Bus(log, { prefix, routes: router.routes, clock });
  const peers = new Peers({ own, prefix, bus, clock, wheel, log });
  // The bus first: who is told after it may publish.
  listeners.push(bus, peers);
  const inbox = createInbox({
    routes: router.routes,
    source: (route) => streams.of(route) ?? core,
    bucket: config.control.inboxBucket,
    prefix,
    bus,
    clock,
    wheel,
    log,
    tells: config.sse.control,
    subscribers: (channel) => hub.subscriberCount(channel),
    tell: (...notice) => hub.notice(...notice),
    tellOne(subscriber, event, data) {
      hub.catchUp(subscriber);
      subscriber.deliver(hub.aside({ event, data: JSON.stringify(data) }));
    },
  });
  if (inbox !== undefined) listeners.push(inbox);
  const backend = createBackend({ config: config.control, clock, bus, peers });
  listeners.push(backend);
  const presence = createPresence({
    config: config.control,
    events: backend.events,
    clock,
    wheel,
    log,
    bus,
    peers,
    router,
    subscribers: (channel) => hub.subscriberCount(channel),
    notice: (...told) => hub.notice(...told),
  });
  if (presence !== undefined) listeners.push(presence);
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
    isOpen: (destination) => channelState(destination) === 'open',
    request: (...question) => nats.request(...question),
    claimTicket: async (key) => {
      const claim = tickets === undefined ? 'alone' : await tickets.claim(key);
      // Asked also where the bucket let it pass: another on this port may not have found the bucket.
      return shared === undefined || claim === 'used' || claim === 'unavailable'
        ? claim
        : shared.claimTicket(key);
    },
  });
  // Who was still asking when the routes changed is to ask again.
  const channelState = (destination: Destination) =>
    destination.route.isRetired ? 'loading' : channels.state(destination);
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
    channelState,
    authenticator: authentication.authenticator,
    resources: [
      ...(inbox === undefined ? [] : [new InboxResource(inbox)]),
      ...(presence === undefined ? [] : [new PresenceResource(presence)]),
    ],
    joined: (...joined) => inbox?.joined(...joined),
    watcher: backend.streams,
    ...(shared !== undefined && { others: shared.others }),
  });
  // Without tokens there is nothing to revoke, and nobody is asked for a bucket.
  const revoker = authentication.authenticator.checksTokens
    ? new Revoker({ ...config.control, instance, clock, log, revocations, streams: server })
    : undefined;
  // What was revoked before this process started must be known before anybody is let in, however long a JetStream that
  // is there does not answer. Instances that run already know it.
  let revocationsLoaded = revoker === undefined;
  const accepting = () => nats.ready && revocationsLoaded;
  void revoker?.loaded.then(() => {
    revocationsLoaded = true;
  });
  if (revoker !== undefined) listeners.push(revoker);
  const live = new Live({
    hub,
    streams: server.streams,
    control: config.sse.control,
    recount: (...counted) => server.recount(...counted),
  });
  const { authenticator } = authentication;
  const { acts, rerouting } = actingOn({ config, wheel, hub, router, server, authenticator, channelState });
  const channels = new Channels({
    config,
    router,
    clock,
    log,
    bus,
    peers,
    live,
    subscribers: (channel) => hub.subscriberCount(channel),
    logOf: (route) => streams.of(route)?.log,
    tracing,
    ask: (...question) => plane.ask(...question),
  });
  listeners.push(channels);
  const operations = operationsOf({
    config,
    own,
    clock,
    wheel,
    metrics,
    router,
    hub,
    server,
    live,
    acts,
    bus,
    peers,
    revoker,
    channels,
    inbox,
    presence,
    accepting: () => accepting(),
    drain: () => void drain({ closesPort: shared !== undefined }),
  });
  const plane = new Plane({
    ...config.control,
    version,
    operations,
    parts: channels.parts,
    bus,
    peers,
    clock,
    wheel,
    log,
  });
  listeners.push(plane);
  const connected = new Promise<void>((resolve) => {
    listeners.push({ connected: () => resolve(), reconnected: () => undefined });
  });
  const api = new Api({
    ...CONTROL_HTTP,
    token: config.ops.token,
    log,
    clock,
    call: (...call) => plane.call(...call),
  });
  const observed = observedOf({
    hub,
    core,
    streams,
    authentication,
    revocations,
    revoker,
    tickets,
    peers,
    plane,
    channels,
    inbox,
    presence,
    backend,
    api,
    limits: () => limits,
    reloads: options.reloads,
    accepting: () => accepting(),
    version,
    uwsVersion,
  });
  const registry = exposeMetrics(metrics, observed);
  const ops =
    shared === undefined
      ? new OpsServer({
          listen: config.ops.listen,
          metrics: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
          unready: () => unready(config, metrics, accepting()),
          api,
        })
      : undefined;
  const drain = async (choices?: DrainChoices) => {
    log.info({ connections: metrics.connections, timeoutMs: config.drain.timeoutMs }, 'draining');
    await server.drain(choices);
    log.info('drained');
  };
  const ticking = setInterval(() => wheel.advance(), TICK_MS);
  const sweeping = [
    setInterval(() => revocations.sweep(), SWEEP_MS),
    setInterval(() => hub.sweep(), HISTORY_SWEEP_MS),
    setInterval(() => prune({ streams, hub }), SWEEP_MS),
  ];
  const reloaded = {
    living,
    log,
    metrics,
    router,
    core,
    streams,
    hub,
    authentication,
    server,
    rerouting,
    channels,
    inbox,
    presence,
    api,
  };

  return {
    metrics,
    get accepting() {
      return accepting();
    },
    async start() {
      await authentication.start();
      peers.start();
      plane.start();
      channels.start();
      inbox?.start();
      presence?.start();
      nats.start();
      if (shared !== undefined) await atMost(shared.patienceMs, Promise.all([connected, revoker?.loaded]));
      if (shared?.needsNats && !accepting()) throw unreachable(nats.ready, shared.patienceMs);
      const http = await server.listen();
      const addresses = ops === undefined ? { http } : { http, ops: await ops.listen() };
      const about = { ...addresses, uws: uwsVersion, node: process.version, version };
      if (shared === undefined) log.info(about, 'listening');
      else log.info({ ...about, pid: process.pid }, 'worker listening');
      return addresses;
    },
    families: () => familiesOf(registry),
    unready: () => unready(config, metrics, accepting()),
    call: (...call) => plane.call(...call),
    prepare: (next) => prepareReload(reloaded, next),
    drain,
    async stop() {
      clearInterval(ticking);
      for (const timer of sweeping) clearInterval(timer);
      server.stop();
      authentication.stop();
      hub.close();
      streams.stop();
      tickets?.stop();
      await plane.stop();
      revoker?.stop();
      channels.stop();
      inbox?.stop();
      presence?.stop();
      backend.stop();
      peers.stop();
      await bus.flush();
      bus.stop();
      await nats.stop();
      await ops?.stop();
      await tracing?.flush();
      log.info('stopped');
    },
  };
}
