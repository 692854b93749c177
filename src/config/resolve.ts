import type { NamedFiles } from './files.ts';
import type { Config, RouteConfig, Settings } from './schema.ts';

/** Settings without a problem, and the files they name → what the other rooms read. */
export function resolveConfig(settings: Settings, files: NamedFiles): Config {
  const { http, ops, sse, limits, drain, channels, log } = settings;
  const tls = pick({
    certFile: files.get('http.tls.certFile')?.path,
    keyFile: files.get('http.tls.keyFile')?.path,
  });
  return {
    http: {
      listen: http.listen,
      path: http.path,
      trustedProxies: http.trustedProxies,
      forwardedHeader: http.forwardedHeader,
      cors: http.cors,
      ...(tls.certFile === undefined || tls.keyFile === undefined
        ? {}
        : { tls: { certFile: tls.certFile, keyFile: tls.keyFile } }),
    },
    ops,
    nats: resolveNats(settings.nats, files),
    sse: { retryMs: sse.retry, heartbeatMs: sse.heartbeat, maxAgeMs: sse.maxAge, control: sse.control },
    limits: resolveLimits(limits),
    drain: { timeoutMs: drain.timeout, reconnectRatePerSecond: drain.reconnectRate },
    channels: Object.fromEntries(
      Object.entries(channels).map(([name, route]) => [name, resolveRoute(route)]),
    ),
    log,
  };
}

function resolveLimits(limits: Settings['limits']): Config['limits'] {
  return {
    connections: limits.connections,
    connectionsPerIp: limits.connectionsPerIp,
    connectionsPerChannel: limits.connectionsPerChannel,
    channelsPerConnection: limits.channelsPerConnection,
    channels: limits.channels,
    connectRatePerSecond: limits.connectRate,
    pendingBytes: limits.pending,
    stalledMs: limits.stalled,
    eventBytes: limits.event,
    requestHeaderBytes: limits.requestHeaders,
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

function resolveRoute(route: Settings['channels'][string]): RouteConfig {
  const { linger, event, ...rest } = route;
  return { ...rest, ...(event === undefined ? {} : { event }), lingerMs: linger };
}

/** The same without the keys that hold nothing. */
function pick<T extends Readonly<Record<string, unknown>>>(
  object: T,
): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  const given = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { readonly [K in keyof T]?: Exclude<T[K], undefined> };
}
