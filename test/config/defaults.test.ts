import { describe, expect, it } from 'vitest';
import { type Path, walk } from '../../src/config/outline.ts';
import type { Config } from '../../src/config/schema.ts';
import { parse, ROUTE } from './marked.ts';

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
  sse: { retryMs: { min: 3000, max: 10_000 }, heartbeatMs: 15_000, maxAgeMs: 0, control: true },
  limits: {
    connections: 10_000,
    connectionsPerIp: 0,
    connectionsPerChannel: 0,
    channelsPerConnection: 16,
    channels: 100_000,
    connectRatePerSecond: 2000,
    pendingBytes: 262_144,
    stalledMs: 30_000,
    eventBytes: 1_048_576,
    requestHeaderBytes: 16_384,
  },
  drain: { timeoutMs: 25_000, reconnectRatePerSecond: 1000 },
  channels: {
    prices: {
      channel: 'prices.{symbol}',
      subject: 'market.{symbol}',
      access: 'public',
      binary: false,
      envelope: false,
      lingerMs: 60_000,
    },
  },
  log: { level: 'info', format: 'json' },
};

/** `{http: {listen: 8080}}` as flow YAML, which takes JSON as it is. */
function nest(path: Path, value: unknown): string {
  return path
    .reduceRight<string>((inner, step) => `{ ${step}: ${inner} }`, JSON.stringify(value))
    .slice(2, -2);
}

const keys = [...walk()].filter(({ path }) => path[0] !== 'channels');

describe('defaults', () => {
  it('fill in everything but the routes', () => {
    expect(parse(ROUTE)).toEqual(DEFAULTS);
  });

  it.each(
    keys
      .filter(({ key }) => key.default !== undefined)
      .map(({ path, key }) => [path.join('.'), path, key.default] as const),
  )('%s: written out is the same as left out', (_, path, value) =>
    expect(parse(`${ROUTE}${nest(path, value)}\n`)).toEqual(DEFAULTS),
  );

  it.each(keys.map(({ path }) => [path.join('.'), path] as const))(
    '%s: left empty is the same as left out',
    (_, path) => expect(parse(`${ROUTE}${nest(path, null)}\n`)).toEqual(DEFAULTS),
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
sse: { retry: 1s, heartbeat: 0s, maxAge: 1h, control: false }
limits:
  connections: 5
  connectionsPerIp: 4
  connectionsPerChannel: 3
  channelsPerConnection: 2
  channels: 7
  connectRate: 30/m
  pending: 1KiB
  stalled: 1m
  event: 64MiB
  requestHeaders: 8KiB
drain: { timeout: 0, reconnectRate: 600/m }
channels:
  logs:
    channel: logs-{host}
    subject: logs.{host}.>
    access: public
    event: "{header.X-Level}"
    binary: true
    envelope: true
    linger: 2d
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
      sse: { retryMs: { min: 1000, max: 1000 }, heartbeatMs: 0, maxAgeMs: 3_600_000, control: false },
      limits: {
        connections: 5,
        connectionsPerIp: 4,
        connectionsPerChannel: 3,
        channelsPerConnection: 2,
        channels: 7,
        connectRatePerSecond: 0.5,
        pendingBytes: 1024,
        stalledMs: 60_000,
        eventBytes: 67_108_864,
        requestHeaderBytes: 8192,
      },
      drain: { timeoutMs: 0, reconnectRatePerSecond: 10 },
      channels: {
        logs: {
          channel: 'logs-{host}',
          subject: 'logs.{host}.>',
          access: 'public',
          event: '{header.X-Level}',
          binary: true,
          envelope: true,
          lingerMs: 172_800_000,
        },
      },
      log: { level: 'debug', format: 'text' },
    });
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
