import { describe, expect, it } from 'vitest';
import { walk } from '../../src/config/outline.ts';
import type { Config } from '../../src/config/schema.ts';
import { keyAt, parse, ROUTE } from './marked.ts';

const DEFAULTS: Config = {
  http: {
    listen: { host: '0.0.0.0', port: 8080 },
    path: '/events',
    trustedProxies: [],
    forwardedHeader: 'x-forwarded-for',
    cors: { origins: [], credentials: false },
  },
  ops: { listen: { host: '127.0.0.1', port: 9090 }, readyNeedsNats: false },
  nats: { servers: ['nats://127.0.0.1:4222'], name: 'sidestream', auth: {}, pingIntervalMs: 15_000 },
  sse: {
    retryMs: { min: 3000, max: 10_000 },
    heartbeatMs: 15_000,
    maxAgeMs: 0,
    control: true,
    compression: [],
  },
  limits: {
    connections: 10_000,
    connectionsPerIp: 0,
    connectionsPerUser: 0,
    connectionsPerChannel: 0,
    channelsPerConnection: 16,
    channels: 100_000,
    connectRatePerSecond: 2000,
    pendingBytes: 262_144,
    pendingTotalBytes: 268_435_456,
    stalledMs: 30_000,
    eventBytes: 1_048_576,
    replay: 1000,
    historyBytes: 67_108_864,
    requestHeaderBytes: 16_384,
  },
  control: {
    prefix: 'sidestream',
    bucket: 'sidestream_revocations',
    ticketBucket: 'sidestream_tickets',
    channelBucket: 'sidestream_channels',
    inboxBucket: 'sidestream_inbox',
    revocationTtlMs: 86_400_000,
    requireJetStream: false,
    api: true,
    deadlineMs: 2000,
    events: [],
    members: 100_000,
  },
  drain: { timeoutMs: 25_000, reconnectRatePerSecond: 1000 },
  auth: {
    token: [{ in: 'bearer' }],
    jwt: [],
    access: {
      timeoutMs: 2000,
      concurrency: 64,
      cache: { size: 20_000, allowTtlMs: 0, denyTtlMs: 0 },
    },
    cache: { size: 20_000, maxTtlMs: 60_000, badTtlMs: 10_000 },
    failureRatePerSecond: 0.5,
  },
  channels: {
    prices: {
      channel: 'prices.{symbol}',
      subject: 'market.{symbol}',
      source: { kind: 'core' },
      access: [{ kind: 'public' }],
      binary: false,
      envelope: false,
      trace: false,
      lingerMs: 60_000,
      replay: { kind: 'none' },
      history: { size: 100, ageMs: 60_000, bytes: 1_048_576 },
      redact: [],
      map: {},
      throttleMs: 0,
      slow: 'close',
      latestBy: 'subject',
      dynamic: false,
      inbox: false,
      priority: 0,
    },
  },
  workers: 1,
  reload: { watchMs: 5_000 },
  log: { level: 'info', format: 'json' },
};

/** Sections that are there only once something stands in them: test/config/auth.test.ts has their defaults. */
const OPTIONAL = ['jwt', 'introspection', 'callout'];

const keys = [...walk()].filter(
  ({ path: [section, key, ...rest] }) =>
    section !== 'channels' && !(section === 'auth' && OPTIONAL.includes(String(key)) && rest.length > 0),
);

describe('defaults', () => {
  it('fill in everything but the routes', () => {
    expect(parse(ROUTE)).toEqual(DEFAULTS);
  });

  it.each(
    keys
      .filter(({ key }) => key.default !== undefined)
      .map(({ path, key }) => [path.join('.'), path, key.default] as const),
  )('%s: written out is the same as left out', (_, path, value) =>
    expect(parse(`${ROUTE}${keyAt(path, value)}`)).toEqual(DEFAULTS),
  );

  it.each(keys.map(({ path }) => [path.join('.'), path] as const))(
    '%s: left empty is the same as left out',
    (_, path) => expect(parse(`${ROUTE}${keyAt(path, null)}`)).toEqual(DEFAULTS),
  );
});

describe('a config with every key set', () => {
  const config = parse(`
http:
  listen: "[::1]:443"
  path: /stream/v1
  trustedProxies: [10.0.0.0/8, "fd00::/8"]
  forwardedHeader: forwarded
  cors: { origins: [https://a.example, "http://localhost:3000"], credentials: true }
ops: { listen: ":9191", readyNeedsNats: true }
nats:
  servers: [tls://a.example, "nats://b.example:4223"]
  name: edge
  auth: { user: me, password: "hunter2" }
  pingInterval: 5s
sse: { retry: 1s, heartbeat: 0s, maxAge: 1h, control: false, compression: gzip }
limits:
  connections: 5
  connectionsPerIp: 4
  connectionsPerUser: 6
  connectionsPerChannel: 3
  channelsPerConnection: 2
  channels: 7
  connectRate: 30/m
  pending: 1KiB
  pendingTotal: 1MiB
  stalled: 1m
  event: 64MiB
  replay: 50
  history: 2MiB
  requestHeaders: 8KiB
control: { prefix: a.b, bucket: c, ticketBucket: d, channelBucket: e, inboxBucket: f, revocationTtl: 2m, requireJetStream: true, api: false, deadline: 5s }
drain: { timeout: 0, reconnectRate: 600/m }
auth:
  token: ["cookie:sid", bearer]
  access: { timeout: 1s, concurrency: 3, cache: { size: 8, allowTtl: 5s, denyTtl: 2s } }
  cache: { size: 9, maxTtl: 0, badTtl: 0 }
  failureRate: 60/h
channels:
  logs:
    channel: logs
    subject: logs.>
    stream: LOGS
    access: public
    event: "{header.X-Level}"
    envelope: true
    trace: true
    linger: 2d
    replay: 50
    history: { size: 9, age: 2m, bytes: 2KiB }
    warm: 1h
    redact: [/user/*/email, { pattern: '\\d{4}', flags: i, with: "***" }]
    map: { event: /type, id: /a~1b/0 }
    throttle: 2s
    rateLimit: { rate: 600/m, burst: 5, over: latest }
    batch: { window: 250ms, as: array }
    slow: drop
    latestBy: /symbol
    priority: urgent
    automatic: everyone
workers: 3
reload: { watch: 7s }
log: { level: debug, format: text }
`);

  it('holds every value, with the unit of its name', () => {
    expect(config).toEqual({
      http: {
        listen: { host: '::1', port: 443 },
        path: '/stream/v1',
        trustedProxies: ['10.0.0.0/8', 'fd00::/8'],
        forwardedHeader: 'forwarded',
        cors: { origins: ['https://a.example', 'http://localhost:3000'], credentials: true },
      },
      ops: { listen: { host: '0.0.0.0', port: 9191 }, readyNeedsNats: true },
      nats: {
        servers: ['tls://a.example:4222', 'nats://b.example:4223'],
        name: 'edge',
        auth: { user: 'me', password: 'hunter2' },
        pingIntervalMs: 5000,
      },
      sse: {
        retryMs: { min: 1000, max: 1000 },
        heartbeatMs: 0,
        maxAgeMs: 3_600_000,
        control: false,
        compression: ['gzip'],
      },
      limits: {
        connections: 5,
        connectionsPerIp: 4,
        connectionsPerUser: 6,
        connectionsPerChannel: 3,
        channelsPerConnection: 2,
        channels: 7,
        connectRatePerSecond: 0.5,
        pendingBytes: 1024,
        pendingTotalBytes: 1_048_576,
        stalledMs: 60_000,
        eventBytes: 67_108_864,
        replay: 50,
        historyBytes: 2_097_152,
        requestHeaderBytes: 8192,
      },
      control: {
        prefix: 'a.b',
        bucket: 'c',
        ticketBucket: 'd',
        channelBucket: 'e',
        inboxBucket: 'f',
        revocationTtlMs: 120_000,
        requireJetStream: true,
        api: false,
        deadlineMs: 5000,
        events: [],
        members: 100_000,
      },
      drain: { timeoutMs: 0, reconnectRatePerSecond: 10 },
      auth: {
        token: [{ in: 'cookie', name: 'sid' }, { in: 'bearer' }],
        jwt: [],
        access: {
          timeoutMs: 1000,
          concurrency: 3,
          cache: { size: 8, allowTtlMs: 5000, denyTtlMs: 2000 },
        },
        cache: { size: 9, maxTtlMs: 0, badTtlMs: 0 },
        failureRatePerSecond: 60 / 3600,
      },
      channels: {
        logs: {
          channel: 'logs',
          subject: 'logs.>',
          source: { kind: 'stream', stream: 'LOGS', warmMs: 3_600_000 },
          access: [{ kind: 'public' }],
          event: '{header.X-Level}',
          binary: false,
          envelope: true,
          trace: true,
          lingerMs: 172_800_000,
          replay: { kind: 'last', count: 50 },
          history: { size: 9, ageMs: 120_000, bytes: 2048 },
          redact: [
            { kind: 'pointer', pointer: ['user', '*', 'email'], replacement: '[redacted]' },
            { kind: 'pattern', pattern: '\\d{4}', flags: 'i', replacement: '***' },
          ],
          map: { event: ['type'], id: ['a/b', '0'] },
          throttleMs: 2000,
          rateLimit: { ratePerSecond: 10, burst: 5, over: 'latest' },
          batch: { windowMs: 250, as: 'array' },
          slow: 'drop',
          latestBy: { pointer: ['symbol'] },
          priority: 2,
          automatic: 'everyone',
          dynamic: false,
          inbox: false,
        },
      },
      workers: 3,
      reload: { watchMs: 7_000 },
      log: { level: 'debug', format: 'text' },
    });
  });
});

describe('a list of one', () => {
  it.each([
    ['http: { trustedProxies: 10.0.0.0/8 }'],
    [`http: { trustedProxies: "\${PROXIES}" }`],
    ['http: { trustedProxies: [10.0.0.0/8] }'],
  ])('may be written without brackets: %s', (text) => {
    expect(parse(`${ROUTE}${text}`, { PROXIES: '10.0.0.0/8' }).http.trustedProxies).toEqual(['10.0.0.0/8']);
  });

  it('is no list of one where a variable is empty, but left out', () => {
    expect(parse(`${ROUTE}nats: { servers: "\${SERVERS}" }`, { SERVERS: '' }).nats.servers).toEqual([
      'nats://127.0.0.1:4222',
    ]);
  });
});

describe('several routes', () => {
  it('may share a subject', () => {
    const routes = ['a', 'b'].map(
      (name) => `  ${name}: { channel: "${name}.{x}", subject: "s.{x}", access: public }`,
    );
    expect(Object.keys(parse(`channels:\n${routes.join('\n')}\n`).channels)).toEqual(['a', 'b']);
  });

  it('may be written once and used again by an alias', () => {
    const config = parse(
      `${ROUTE}http: { cors: &none { origins: [], credentials: false } }\nnats: { name: &n edge, auth: { user: *n, password: x } }\n`,
    );
    expect(config.nats.auth.user).toBe('edge');
  });
});
