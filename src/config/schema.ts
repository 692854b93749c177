import type { z } from 'zod';
import type { AccessConfig } from './access.ts';
import { type HostPort, parseNetwork, parseOrigin } from './addresses.ts';
import { type AuthConfig, auth } from './auth.ts';
import { type ControlConfig, control } from './control.ts';
import { type HistoryConfig, MAX_REPLAY, type ReplayConfig } from './history.ts';
import { list, section, value } from './keys.ts';
import {
  choice,
  count,
  duration,
  durationRange,
  file,
  flag,
  hostPort,
  LONGEST_DURATION,
  rate,
  size,
  text,
} from './kinds.ts';
import { nats } from './nats.ts';
import { type OpsConfig, ops } from './ops.ts';
import type { MapConfig, RedactionConfig } from './payload.ts';
import type { PresenceConfig } from './presence.ts';
import { type ReloadConfig, reload } from './reload.ts';
import type { SourceConfig } from './route-source.ts';
import { channels } from './routes.ts';
import type { BatchConfig, LatestByConfig, RateLimitConfig } from './shaping.ts';
import { workers } from './workers.ts';

export type { AccessConfig } from './access.ts';
export type { HostPort } from './addresses.ts';
export type { AuthConfig, TokenPlace } from './auth.ts';
export type { HistoryConfig, ReplayConfig } from './history.ts';
export type { JwtIssuerConfig, KeyConfig, TicketConfig } from './issuers.ts';
export type { OpsConfig } from './ops.ts';
export type { MapConfig, RedactionConfig } from './payload.ts';
export type { BackendEvent, PresenceConfig } from './presence.ts';
export type { SourceConfig } from './route-source.ts';
export type { BatchConfig, LatestByConfig, RateLimitConfig } from './shaping.ts';

/** What the other rooms read: every value checked, every default filled in, every path absolute. */
export interface Config {
  readonly http: {
    readonly listen: HostPort;
    readonly path: string;
    readonly trustedProxies: readonly string[];
    readonly forwardedHeader: 'x-forwarded-for' | 'forwarded';
    readonly cors: { readonly origins: readonly string[]; readonly credentials: boolean };
    readonly tls?: { readonly certFile: string; readonly keyFile: string };
  };
  readonly ops: OpsConfig;
  readonly nats: {
    readonly servers: readonly string[];
    readonly name: string;
    readonly auth: {
      readonly credsFile?: string;
      readonly nkeySeedFile?: string;
      readonly token?: string;
      readonly user?: string;
      readonly password?: string;
    };
    readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
    readonly pingIntervalMs: number;
  };
  readonly sse: {
    readonly retryMs: { readonly min: number; readonly max: number };
    /** 0: none. */
    readonly heartbeatMs: number;
    /** 0: no limit. */
    readonly maxAgeMs: number;
    readonly control: boolean;
    /** Content codings, the preferred first; empty: none. */
    readonly compression: readonly ('gzip' | 'zstd')[];
  };
  readonly limits: {
    readonly connections: number;
    /** 0: no limit. */
    readonly connectionsPerIp: number;
    /** By the token's subject; streams without one are not counted. 0: no limit. */
    readonly connectionsPerUser: number;
    /** 0: no limit. */
    readonly connectionsPerChannel: number;
    readonly channelsPerConnection: number;
    /** Lingering ones included. */
    readonly channels: number;
    /** May be a fraction. */
    readonly connectRatePerSecond: number;
    readonly pendingBytes: number;
    /** Of all slow readers together. */
    readonly pendingTotalBytes: number;
    readonly stalledMs: number;
    readonly eventBytes: number;
    /** Events that one channel gives a connection as it joins. */
    readonly replay: number;
    /** Of all channels' history together. */
    readonly historyBytes: number;
    readonly requestHeaderBytes: number;
  };
  readonly control: ControlConfig;
  readonly drain: {
    readonly timeoutMs: number;
    /** May be a fraction. */
    readonly reconnectRatePerSecond: number;
  };
  readonly auth: AuthConfig;
  readonly channels: Readonly<Record<string, RouteConfig>>;
  /** Processes that serve one port; `auto`: as many as there are CPUs for. */
  readonly workers: number | 'auto';
  readonly reload: ReloadConfig;
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
    readonly format: 'json' | 'text';
  };
}

export interface RouteConfig {
  readonly channel: string;
  /** Always the NATS subject template; of a key-value route `$KV.<bucket>.<key template>`. */
  readonly subject: string;
  readonly source: SourceConfig;
  /** Any of them lets in; never empty. */
  readonly access: readonly AccessConfig[];
  /** Who is on the route's channel without asking. */
  readonly automatic?: 'everyone' | 'authenticated';
  readonly event?: string;
  readonly binary: boolean;
  readonly envelope: boolean;
  /** Whether the envelope has the publisher's trace. */
  readonly trace: boolean;
  readonly lingerMs: number;
  readonly replay: ReplayConfig;
  readonly history: HistoryConfig;
  /** What is taken out of payloads, in this order. */
  readonly redact: readonly RedactionConfig[];
  readonly map: MapConfig;
  /** 0: none. */
  readonly throttleMs: number;
  readonly rateLimit?: RateLimitConfig;
  readonly batch?: BatchConfig;
  /** What is done for a reader that is behind. */
  readonly slow: 'close' | 'drop' | 'latest';
  readonly latestBy: LatestByConfig;
  /** Whether its channels exist only once they were made at run time. */
  readonly dynamic: boolean;
  /** Of messages that do not say: normal, high, urgent. */
  readonly priority: 0 | 1 | 2;
  /** Absent where nobody is to know who is there. */
  readonly presence?: PresenceConfig;
  /** Whether messages wait until their user has read them; then it has a stream, and each channel is one user's. */
  readonly inbox: boolean;
}

const http = section('What browsers reach.', {
  listen: hostPort('0.0.0.0', {
    description:
      'Address and port for browsers. A port alone (`8080`) keeps the default address; `:8080` means every IPv4 interface, `"[::]:8080"` (in quotes) every interface; port 0 takes a free one. Set it to `127.0.0.1:8080` when a proxy beside it is the only one to call.',
  }).prefault('0.0.0.0:8080'),
  path: text({
    type: 'path',
    expected: 'a path like /events: parts of A-Z a-z 0-9 _ . ~ - behind single slashes, none at the end',
    pattern: '^(/(?!\\.{1,2}(/|$))[A-Za-z0-9_.~-]+)+$',
    description:
      'Where the streams are: `GET /events/{channel}` and `GET /events?channels=a,b`. Change it when a proxy in front forwards another prefix unchanged.',
  }).prefault('/events'),
  trustedProxies: list(
    value(
      {
        form: 'text',
        type: 'address or CIDR',
        json: { type: 'string', pattern: '^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$' },
        expected: 'an address or network like 10.0.0.0/8 or fd00::/8',
        read: parseNetwork,
      },
      { description: 'One proxy, or a network of them.' },
    ),
    {
      description:
        "Proxies whose word on the client's address is believed. List the networks your load balancer connects from, or every client shares the balancer's address in `limits.connectionsPerIp`; list no others, or clients can invent addresses.",
      example: '[10.0.0.0/8, "fd00::/8"]',
    },
  ).prefault([]),
  forwardedHeader: choice(['x-forwarded-for', 'forwarded'], {
    description:
      'The header in which the trusted proxies name the client; only this one is believed. Change it to `forwarded` (RFC 7239) only if all of them set that one.',
  }).prefault('x-forwarded-for'),
  cors: section('Which pages of other origins may read the streams.', {
    origins: list(
      value(
        {
          form: 'text',
          type: 'origin',
          json: { type: 'string', minLength: 1 },
          expected:
            'an origin like https://app.example.com (scheme, host, port if not the usual one; no path) or "*"',
          read: parseOrigin,
        },
        { description: 'One origin.' },
      ),
      {
        description:
          'Exact origins of pages that may read the streams, or the one item `"*"` for any page. Needed as soon as the page does not come from the same scheme, host and port.',
        example: '[https://app.example.com]',
      },
    ).prefault([]),
    credentials: flag({
      description:
        'Whether such pages may send cookies (`withCredentials` in the browser). Needs exact origins: browsers refuse it together with `"*"`.',
    }).prefault(false),
  }).prefault({}),
  tls: section('Set both files to serve HTTPS without a proxy; leave both out for plain HTTP.', {
    certFile: file({ description: 'PEM certificate with its chain.', example: 'tls/server.crt' }).optional(),
    keyFile: file({
      description: 'PEM private key of that certificate.',
      example: 'tls/server.key',
    }).optional(),
  }).prefault({}),
}).prefault({});

const sse = section('What every stream has in common.', {
  retry: durationRange({
    min: '100ms',
    max: '1h',
    description:
      'How long browsers wait before they reconnect; each gets its own value out of the range, so that they do not all come at once. Lower it when seconds count and the clients are few.',
  }).prefault('3s..10s'),
  heartbeat: duration({
    min: '1s',
    max: '1h',
    zero: 'none',
    description:
      'How often a quiet stream gets a comment line, so that no proxy takes it for dead. 15s stays below the idle timeout of every common proxy; keep it below that of yours.',
  }).prefault('15s'),
  maxAge: duration({
    min: '1s',
    max: LONGEST_DURATION,
    zero: 'no limit',
    description:
      'How long a stream may live at most before its browser is asked to reconnect; chance ends each somewhat earlier, so that streams opened together do not return together. Set it to spread clients over instances again after a scale-out.',
  }).prefault('0s'),
  control: flag({
    description:
      "Whether Sidestream's own events (`sidestream.open`, `sidestream.close` and so on) are sent. Set it to false for clients that choke on event names they do not know; such clients are not told of gaps.",
  }).prefault(true),
  compression: list(choice(['gzip', 'zstd'], { description: 'A content coding.' }), {
    description:
      'Content codings for clients that accept one (`Accept-Encoding`), the preferred first. Each event is compressed once for all who receive it. Turn it on where events are larger than some 300 bytes and the network costs more than processor time; `zstd` needs Node 22.15, pays from some KiB an event on, and some clients other than browsers cannot read it.',
    example: '[gzip]',
  }).prefault([]),
}).prefault({});

const limits = section(
  'What one instance, with all its workers, takes on before it refuses, closes or drops.',
  {
    connections: count({
      min: 1,
      max: 10_000_000,
      description:
        'Open streams at a time. An idle one takes a few KiB; raise it together with the limit on open files (`ulimit -n`).',
    }).prefault(10_000),
    connectionsPerIp: count({
      min: 1,
      max: 10_000_000,
      zero: 'no limit',
      description:
        'Open streams of one client address; an IPv6 network of 64 bits counts as one. Set it on a public service, well above what one office behind one address needs, and set `http.trustedProxies` first.',
    }).prefault(0),
    connectionsPerUser: count({
      min: 1,
      max: 10_000_000,
      zero: 'no limit',
      description:
        "Open streams of one user, by the token's `sub`. Set it above the devices and tabs that one person has. Streams without a token, on public routes, are not counted.",
    }).prefault(0),
    connectionsPerChannel: count({
      min: 1,
      max: 10_000_000,
      zero: 'no limit',
      description: 'Open streams on one channel. Set it where one channel must not use up the process.',
    }).prefault(0),
    channelsPerConnection: count({
      min: 1,
      max: 1000,
      description:
        'Channels that one stream may ask for. Raise it for pages with many widgets on one stream.',
    }).prefault(16),
    channels: count({
      min: 1,
      max: 10_000_000,
      description:
        'Channels held at once, those that linger without subscribers included; a lingering one gives way to a new one. Bounds what clients that ask for ever new names can take.',
    }).prefault(100_000),
    connectRate: rate({
      min: '1/m',
      max: '1000000/s',
      description:
        'New streams that are let in; those above it are asked to come back later. Lower it on a small machine, so that a storm of reconnections leaves time for events.',
    }).prefault('2000/s'),
    pending: size({
      min: '1KiB',
      max: '1GiB',
      description:
        'Bytes that may wait for one slow reader, on top of the events of the moment in which it fell behind, before it is closed. Raise it for bursts of large events.',
    }).prefault('256KiB'),
    pendingTotal: size({
      min: '1MiB',
      max: '64GiB',
      description:
        'Bytes that may wait for all slow readers of the process together; above it those with the most waiting are closed first, whatever their route says. Keep it well below the memory that the process has.',
    }).prefault('256MiB'),
    stalled: duration({
      min: '100ms',
      max: '1h',
      description:
        'How long a reader may stay behind before it is closed; where all its channels are `slow: drop` or `latest`, how long it may take nothing. Raise it for phones on bad networks.',
    }).prefault('30s'),
    event: size({
      min: '64B',
      max: '64MiB',
      description:
        "The largest NATS message that is passed on; larger ones are counted and dropped. Raise it together with the servers' `max_payload`.",
    }).prefault('1MiB'),
    replay: count({
      min: 1,
      max: MAX_REPLAY,
      description:
        'Events that one channel may give a stream as it joins, whatever it asks for; who missed more is told a gap. Raise it where pages must catch up over long absences.',
    }).prefault(1000),
    history: size({
      min: '1MiB',
      max: '64GiB',
      description:
        'Memory that the history of all channels may take together; above it the oldest events go. Raise it with the number of channels whose readers must find everything in memory.',
    }).prefault('64MiB'),
    requestHeaders: size({
      min: '4KiB',
      max: '1MiB',
      description:
        'The largest header block of a request. Raise it when browsers bring larger cookies: a request above it is refused, and the browser does not try again.',
    }).prefault('16KiB'),
  },
).prefault({});

const drain = section(
  'How the process leaves on SIGTERM: streams are closed one after another, never all at once.',
  {
    timeout: duration({
      min: '100ms',
      max: '1h',
      zero: 'at once',
      description:
        'Time over which open streams are closed. Keep it some seconds below the grace period of whatever stops the process (Kubernetes: 30s).',
    }).prefault('25s'),
    reconnectRate: rate({
      min: '1/m',
      max: '1000000/s',
      description:
        'Reconnections a second that the other instances take well; `retry` is stretched so that no more come. Raise it with the number of instances.',
    }).prefault('1000/s'),
  },
).prefault({});

const log = section(
  'One line per event in the life of the process, at `debug` also of each stream; never a payload, a query string or a secret. Complaints of one kind are written at most every 10 s; `heldBack` in such a line says how many were left out since the one before.',
  {
    level: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
      description:
        'The least severe lines to write. `debug` adds a line for each stream that opens or ends and each request that is refused.',
    }).prefault('info'),
    format: choice(['json', 'text'], {
      description: '`json` for collectors, `text` for reading at a terminal.',
    }).prefault('json'),
  },
).prefault({});

/** The config file's shape, in the form in which it is written. Rules over several keys are in `rules.ts`. */
export const configSchema = section('Sidestream reads one YAML file.', {
  http,
  ops,
  nats,
  sse,
  limits,
  drain,
  control,
  auth,
  channels,
  workers,
  reload,
  log,
});

/** The file's values, read and with defaults, still under the file's names. */
export type Settings = z.output<typeof configSchema>;
