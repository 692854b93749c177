import { isPointer } from '../routing/pointer.ts';
import type { NamedFiles } from './files.ts';
import { HISTORY_DEFAULTS, WARM_DEFAULT_MS } from './history.ts';
import { resolveOps } from './ops-rules.ts';
import { REDACTED } from './payload.ts';
import { pick } from './pick.ts';
import { LEAVE_AFTER_DEFAULT_MS } from './presence.ts';
import { resolveAccess, resolveAuth } from './resolve-auth.ts';
import type {
  BatchConfig,
  Config,
  PresenceConfig,
  RateLimitConfig,
  RedactionConfig,
  RouteConfig,
  Settings,
  SourceConfig,
} from './schema.ts';

type Route = Settings['channels'][string];

/** As `Sse-Priority` names them. */
const PRIORITIES = { normal: 0, high: 1, urgent: 2 } as const;

/** Settings without a problem, and the files they name → what the other rooms read. */
export function resolveConfig(settings: Settings, files: NamedFiles): Config {
  const { ops, sse, drain, control, channels, workers, reload, log } = settings;
  return {
    http: resolveHttp(settings.http, files),
    ops: resolveOps(ops, files),
    nats: resolveNats(settings.nats, files),
    sse: {
      retryMs: sse.retry,
      heartbeatMs: sse.heartbeat,
      maxAgeMs: sse.maxAge,
      control: sse.control,
      compression: sse.compression,
    },
    limits: resolveLimits(settings.limits),
    control: {
      prefix: control.prefix,
      bucket: control.bucket,
      ticketBucket: control.ticketBucket,
      channelBucket: control.channelBucket,
      inboxBucket: control.inboxBucket,
      revocationTtlMs: control.revocationTtl,
      requireJetStream: control.requireJetStream,
      api: control.api,
      deadlineMs: control.deadline,
      events: control.events,
      members: control.members,
    },
    drain: { timeoutMs: drain.timeout, reconnectRatePerSecond: drain.reconnectRate },
    auth: resolveAuth(settings.auth, files),
    channels: Object.fromEntries(
      Object.entries(channels).map(([name, route]) => [name, resolveRoute(route)]),
    ),
    workers,
    reload: { watchMs: reload.watch },
    log,
  };
}

function resolveHttp({ tls: _, ...http }: Settings['http'], files: NamedFiles): Config['http'] {
  const certFile = files.get('http.tls.certFile')?.path;
  const keyFile = files.get('http.tls.keyFile')?.path;
  return certFile === undefined || keyFile === undefined ? http : { ...http, tls: { certFile, keyFile } };
}

function resolveLimits(limits: Settings['limits']): Config['limits'] {
  const { connectRate, pending, pendingTotal, stalled, event, history, requestHeaders, ...counts } = limits;
  return {
    ...counts,
    connectRatePerSecond: connectRate,
    pendingBytes: pending,
    pendingTotalBytes: pendingTotal,
    stalledMs: stalled,
    eventBytes: event,
    historyBytes: history,
    requestHeaderBytes: requestHeaders,
  };
}

function resolveNats(nats: Settings['nats'], files: NamedFiles): Config['nats'] {
  const { auth } = nats;
  const tls = pick({
    caFile: files.get('nats.tls.caFile')?.path,
    certFile: files.get('nats.tls.certFile')?.path,
    keyFile: files.get('nats.tls.keyFile')?.path,
  });
  return {
    servers: nats.servers,
    name: nats.name,
    auth: pick({
      credsFile: files.get('nats.auth.credsFile')?.path,
      nkeySeedFile: files.get('nats.auth.nkeySeedFile')?.path,
      token: auth.token ?? files.get('nats.auth.tokenFile')?.content,
      user: auth.user,
      password: auth.password ?? files.get('nats.auth.passwordFile')?.content,
    }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    pingIntervalMs: nats.pingInterval,
  };
}

function resolveRoute({
  linger,
  access,
  kv,
  stream,
  key,
  subject,
  warm,
  throttle,
  ...route
}: Route): RouteConfig {
  const { size, age, bytes } = route.history;
  const source = resolveSource({ kv, stream, warm, age });
  const defaults = HISTORY_DEFAULTS[source.kind];
  return pick({
    ...route,
    subject: subjectOf({ subject, kv, key }),
    source,
    access: resolveAccess(access),
    lingerMs: linger,
    replay: route.replay ?? { kind: 'none' },
    history: { size: size ?? defaults.size, ageMs: age ?? defaults.ageMs, bytes },
    redact: route.redact.map(resolveRedaction),
    map: pick(route.map),
    throttleMs: throttle,
    rateLimit: resolveRateLimit(route.rateLimit),
    batch: resolveBatch(route.batch),
    presence: resolvePresence(route.presence),
    latestBy: route.latestBy ?? 'subject',
    priority: PRIORITIES[route.priority],
  });
}

function resolveRedaction(redaction: Route['redact'][number]): RedactionConfig {
  if (isPointer(redaction)) return { kind: 'pointer', pointer: redaction, replacement: REDACTED };
  const { pointer, pattern = '', flags = '', with: replacement } = redaction;
  if (pointer !== undefined) return { kind: 'pointer', pointer, replacement };
  return { kind: 'pattern', pattern, flags, replacement };
}

function resolveRateLimit(limit: Route['rateLimit']): RateLimitConfig | undefined {
  if (limit === undefined) return undefined;
  const {
    rate,
    burst = Math.max(1, Math.floor(rate)),
    over,
  } = typeof limit === 'number' ? { rate: limit, over: 'drop' as const } : limit;
  return { ratePerSecond: rate, burst, over };
}

function resolvePresence(presence: Route['presence']): PresenceConfig | undefined {
  if (presence === undefined || presence === false) return undefined;
  if (presence === true)
    return { claims: [], events: true, leaveAfterMs: LEAVE_AFTER_DEFAULT_MS, access: 'readers' };
  const { leaveAfter, ...rest } = presence;
  return { ...rest, leaveAfterMs: leaveAfter };
}

function resolveBatch(batch: Route['batch']): BatchConfig | undefined {
  if (batch === undefined) return undefined;
  return typeof batch === 'number'
    ? { windowMs: batch, as: 'events' }
    : { windowMs: batch.window, as: batch.as };
}

function resolveSource({
  kv,
  stream,
  warm,
  age = HISTORY_DEFAULTS.stream.ageMs,
}: Pick<Route, 'kv' | 'stream' | 'warm'> & Pick<Route['history'], 'age'>): SourceConfig {
  if (kv !== undefined) return { kind: 'kv', bucket: kv };
  if (stream === undefined) return { kind: 'core' };
  return { kind: 'stream', stream, warmMs: warm ?? Math.min(WARM_DEFAULT_MS, age) };
}

/** ADR-8: a bucket's keys are subjects below its own. The rules saw to it that what is needed is there. */
function subjectOf({ subject = '', kv, key = '' }: Pick<Route, 'subject' | 'kv' | 'key'>): string {
  return kv === undefined ? subject : `$KV.${kv}.${key}`;
}
