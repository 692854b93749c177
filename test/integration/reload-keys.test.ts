import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { FileConfig, TestBridge } from '../support/bridge.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';
import { AUTH, answerTo, bearer, signed } from './protected.ts';

/** One key of the config that changes while the bridge runs. */
interface Case {
  readonly config?: FileConfig;
  /** Laid over it, section by section. */
  readonly next: FileConfig;
  /** What is seen of it, asked once by each config; the bridge and its streams are the same. */
  readonly see: (bridge: TestBridge, publisher: Publisher) => Promise<unknown>;
  readonly before: unknown;
  readonly after: unknown;
}

const OPEN = { channel: 'open-{id}', subject: 'open.{id}', access: 'public' };
const MINE = { channel: 'mine', subject: 'mine', access: 'authenticated' };
const CHANNELS = { open: OPEN };
const PROTECTED = { channels: { mine: MINE } };
const REFUSED = '/events/open-1?errors=http';
const MIB = 1024 * 1024;

const data = (event: { readonly data: string }) => JSON.parse(event.data);
const api = async (bridge: TestBridge) =>
  (await fetch(`${bridge.opsUrl}/api/channels`, { headers: { Authorization: `Bearer ${'t'.repeat(16)}` } }))
    .status;
const forwarded = (header: string) => async (bridge: TestBridge) => {
  await bridge.request('/events/open-1', { headers: { [header]: 'for=192.0.2.1' } });
  const { status } = await bridge.request(REFUSED, { headers: { [header]: 'for=192.0.2.2' } });
  return status;
};
/** Streams that are given one after the other, up to two; they stay. */
const given = (target: string, token?: () => Promise<string>) => async (bridge: TestBridge) => {
  const options = token === undefined ? {} : bearer(await token());
  const client = await bridge.request(`${target}?errors=http`, options);
  return client.status;
};
/** Ends of streams whose reader stands still, once another one has been given all. */
const standing = async (bridge: TestBridge, publisher: Publisher) => {
  const slow = await bridge.stream('/events/open-1');
  slow.pause();
  const reader = await bridge.stream('/events/open-1');
  for (let n = 0; n < 10; n += 1) await publisher.publish('open.1', 'x'.repeat(MIB - 1024));
  await reader.take(10);
  reader.destroy();
  await poll('the reader to be gone', () => (bridge.metrics.connectionsClosed.get('client') ?? 0) > 0);
  bridge.metrics.connectionsClosed.delete('client');
  return Object.fromEntries(bridge.metrics.connectionsClosed);
};
const questions = (service: string, target: string) => async (bridge: TestBridge) => {
  const name = `sidestream_auth_questions_total{service="${service}"}`;
  const already = (await bridge.sample(name)) ?? 0;
  for (let n = 0; n < 2; n += 1) await answerTo(bridge, target, service === 'access' ? {} : bearer('opaque'));
  return ((await bridge.sample(name)) ?? 0) - already;
};

const CASES: Readonly<Record<string, Case>> = {
  'http.path': {
    next: { http: { path: '/live' } },
    see: (bridge) => answerTo(bridge, '/live/open-1?errors=http'),
    before: '404 NOT_FOUND',
    after: '200',
  },
  'http.cors': {
    next: { http: { cors: { origins: ['https://app.example'] } } },
    see: async (bridge) =>
      (await bridge.stream('/events/open-1', { headers: { Origin: 'https://app.example' } })).header(
        'access-control-allow-origin',
      ),
    before: undefined,
    after: 'https://app.example',
  },
  'http.trustedProxies': {
    config: { limits: { connectionsPerIp: 2 }, http: { forwardedHeader: 'forwarded' } },
    next: { http: { trustedProxies: ['127.0.0.1'] } },
    see: async (bridge) => {
      await forwarded('Forwarded')(bridge);
      return forwarded('Forwarded')(bridge);
    },
    before: 429,
    after: 200,
  },
  'http.forwardedHeader': {
    config: { limits: { connectionsPerIp: 2 }, http: { trustedProxies: ['127.0.0.1'] } },
    next: { http: { forwardedHeader: 'forwarded' } },
    see: async (bridge) => {
      await forwarded('Forwarded')(bridge);
      return forwarded('Forwarded')(bridge);
    },
    before: 429,
    after: 200,
  },
  'ops.token': { next: { ops: { token: 't'.repeat(16) } }, see: api, before: 403, after: 200 },
  'ops.readyNeedsNats': {
    config: { nats: { servers: ['nats://127.0.0.1:9'] } },
    next: { ops: { readyNeedsNats: true } },
    see: async (bridge) => (await fetch(`${bridge.opsUrl}/readyz`)).status,
    before: 200,
    after: 503,
  },
  'sse.retry': {
    config: { sse: { retry: '5s' } },
    next: { sse: { retry: '7s' } },
    see: async (bridge) => (await bridge.stream('/events/open-1')).retryMs,
    before: 5000,
    after: 7000,
  },
  'sse.compression': {
    next: { sse: { compression: ['gzip'] } },
    see: async (bridge) => {
      const url = `http://127.0.0.1:${bridge.httpPort}/events/open-1`;
      const { headers, body } = await fetch(url, { headers: { 'Accept-Encoding': 'gzip' } });
      await body?.cancel();
      return headers.get('content-encoding');
    },
    before: null,
    after: 'gzip',
  },
  'limits.connections': {
    next: { limits: { connections: 1 } },
    see: given('/events/open-1'),
    before: 200,
    after: 503,
  },
  'limits.connectionsPerIp': {
    next: { limits: { connectionsPerIp: 1 } },
    see: given('/events/open-1'),
    before: 200,
    after: 429,
  },
  'limits.connectionsPerUser': {
    config: { ...PROTECTED, auth: AUTH },
    next: { limits: { connectionsPerUser: 1 } },
    see: given('/events/mine', () => signed({ sub: 'ada' })),
    before: 200,
    after: 429,
  },
  'limits.connectionsPerChannel': {
    next: { limits: { connectionsPerChannel: 1 } },
    see: given('/events/open-1'),
    before: 200,
    after: 503,
  },
  'limits.channelsPerConnection': {
    next: { limits: { channelsPerConnection: 1 } },
    see: (bridge) => answerTo(bridge, '/events?channels=open-1,open-2&errors=http'),
    before: '200',
    after: '400 CHANNELS_TOO_MANY',
  },
  'limits.connectRate': {
    next: { limits: { connectRate: '1/m' } },
    see: async (bridge) => {
      await answerTo(bridge, REFUSED);
      return answerTo(bridge, REFUSED);
    },
    before: '200',
    after: '503 CONNECT_RATE',
  },
  'limits.channels': {
    next: { limits: { channels: 1 } },
    see: async (bridge) => {
      await bridge.stream('/events/open-1');
      return answerTo(bridge, '/events/open-2?errors=http');
    },
    before: '200',
    after: '503 CHANNEL_LIMIT',
  },
  'limits.event': {
    next: { limits: { event: '64B' } },
    see: async (bridge, publisher) => {
      const reader = await bridge.stream('/events/open-1');
      await publisher.publish('open.1', 'x'.repeat(65));
      return (await reader.next()).event;
    },
    before: 'message',
    after: 'sidestream.gap',
  },
  'limits.replay': {
    config: { channels: { open: { ...OPEN, replay: 'all' } } },
    next: { limits: { replay: 1 } },
    see: async (bridge, publisher) => {
      const reader = await bridge.stream('/events/open-1');
      for (const text of ['one', 'two']) await publisher.publish('open.1', text);
      await reader.until((event) => event.data === 'two');
      const late = await bridge.request('/events/open-1');
      return data(await late.next('sidestream.open')).channels[0].replayed;
    },
    before: 2,
    after: 1,
  },
  'limits.history': {
    config: { channels: { open: { ...OPEN, history: { bytes: '1MiB' } } } },
    next: { limits: { history: '1MiB' } },
    see: async (bridge, publisher) => {
      const already = (await bridge.sample('sidestream_history_bytes')) ?? 0;
      if (already > 0) return already <= MIB;
      const reader = await bridge.stream('/events?channels=open-1,open-2,open-3');
      for (const id of [1, 2, 3]) await publisher.publish(`open.${id}`, 'x'.repeat(MIB * 0.7));
      await reader.take(3);
      return ((await bridge.sample('sidestream_history_bytes')) ?? 0) <= MIB;
    },
    before: false,
    after: true,
  },
  'limits.pending': {
    config: { limits: { pending: '64MiB', pendingTotal: '1GiB', stalled: '1h' } },
    next: { limits: { pending: '1KiB' } },
    see: standing,
    before: {},
    // The second one only: who was there goes by what held when it came.
    after: { slow: 1 },
  },
  'limits.pendingTotal': {
    config: { limits: { pending: '64MiB', pendingTotal: '1GiB', stalled: '1h' } },
    next: { limits: { pendingTotal: '64MiB' } },
    see: async (bridge, publisher) => {
      if (bridge.metrics.connections === 0) return standing(bridge, publisher);
      await bridge.reload({
        channels: CHANNELS,
        limits: { pending: '1MiB', pendingTotal: '1MiB', stalled: '1h' },
      });
      return Object.fromEntries(bridge.metrics.connectionsClosed);
    },
    before: {},
    after: { slow: 1 },
  },
  'limits.stalled': {
    config: { limits: { pending: '64MiB', pendingTotal: '1GiB', stalled: '1h' } },
    next: { limits: { stalled: '100ms' } },
    see: async (bridge, publisher) => {
      if (bridge.metrics.connections === 0) return standing(bridge, publisher);
      await poll('its end', () => bridge.metrics.connections === 0);
      return Object.fromEntries(bridge.metrics.connectionsClosed);
    },
    before: {},
    after: { slow: 1 },
  },
  'drain.reconnectRate': {
    config: { sse: { retry: '1s' } },
    next: { drain: { reconnectRate: '1/m' } },
    see: async (bridge) => {
      await bridge.stream('/events/open-1');
      return (await bridge.stream('/events/open-1')).retryMs === 1000;
    },
    before: true,
    after: false,
  },
  'auth.token': {
    config: { ...PROTECTED, auth: { ...AUTH, token: ['bearer'] } },
    next: { auth: { ...AUTH, token: ['query:t'] } },
    see: async (bridge) => answerTo(bridge, `/events/mine?errors=http&t=${await signed()}`),
    before: '401 TOKEN_MISSING',
    after: '200',
  },
  'auth.failureRate': {
    config: { ...PROTECTED, auth: { ...AUTH, failureRate: '1000000/s' } },
    next: { auth: { ...AUTH, failureRate: '1/h' } },
    see: async (bridge) => {
      let last = '';
      for (let n = 0; n < 21; n += 1)
        last = await answerTo(bridge, '/events/mine?errors=http', bearer(randomUUID()));
      return last;
    },
    before: '401 TOKEN_INVALID',
    after: '429 AUTH_RATE',
  },
  'auth.cache': {
    config: { ...PROTECTED, auth: { callout: { subject: 'who' }, cache: { maxTtl: '1m' } } },
    next: { auth: { callout: { subject: 'who' }, cache: { maxTtl: '0s' } } },
    see: questions('callout', '/events/mine'),
    before: 1,
    after: 2,
  },
  'auth.access': {
    config: { auth: AUTH, channels: { open: { ...OPEN, access: { callout: 'may' } } } },
    next: { auth: { access: { cache: { allowTtl: '1m' } } } },
    see: questions('access', '/events/open-1'),
    before: 2,
    after: 1,
  },
  'log.level': {
    config: { log: { level: 'silent' } },
    next: { log: { level: 'debug' } },
    see: async (bridge) => {
      await answerTo(bridge, '/nowhere?errors=http');
      return bridge.logs.length > 0;
    },
    before: false,
    after: true,
  },
};

test.for(Object.entries(CASES))('%s holds as docs/reload.md says', async ([, given]) => {
  const { config = {}, next, see, before, after } = given;
  const nats = await startNats();
  const publisher = await startPublisher(nats);
  publisher.connection.subscribe('who', {
    callback: (_, message) => void message.respond('{"claims":{"sub":"ada","exp":4000000000}}'),
  });
  publisher.connection.subscribe('may', {
    callback: (_, message) => void message.respond('{"allow":true}'),
  });
  const start: FileConfig = { channels: CHANNELS, ...config };
  const bridge = await startBridge({ nats, config: start, connected: config.nats === undefined });
  expect(await see(bridge, publisher)).toEqual(before);
  const sections = Object.entries(next).map(([name, section]) => {
    const earlier: unknown = Reflect.get(start, name) ?? {};
    return [name, Object.assign({}, earlier, section)] as const;
  });
  expect(await bridge.reload({ ...start, ...Object.fromEntries(sections) })).toEqual([]);
  expect(await see(bridge, publisher)).toEqual(after);
});

test('what is kept by a stream that is open is what new ones have after', async () => {
  const config = { channels: CHANNELS, sse: { heartbeat: '1h', maxAge: '0s' } };
  const bridge = await startBridge({ nats: await startNats(), config });
  const old = await bridge.stream('/events/open-1');
  await bridge.reload({ ...config, sse: { heartbeat: '1s', maxAge: '3s' } });
  const fresh = await bridge.stream('/events/open-1');
  await fresh.saw('a heartbeat', ({ comments }) => comments > 0);
  expect(data(await fresh.next('sidestream.close')).reason).toBe('max-age');
  expect([old.comments, bridge.metrics.connections]).toEqual([0, 1]);
});

test('how long a drain takes is as the config says when it begins', async () => {
  const config = { channels: CHANNELS, drain: { timeout: '1h' } };
  const bridge = await startBridge({ nats: await startNats(), config });
  const stream = await bridge.stream('/events/open-1');
  await bridge.reload({ ...config, drain: { timeout: '0s' } });
  await bridge.drain();
  expect(data(await stream.next('sidestream.close')).reason).toBe('draining');
});

test('docs/reload.md says of every key of the config when it changes', () => {
  const read = (page: string) => readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const known: string[] = [];
  let section = '';
  for (const line of read('configuration.md').split('## Top level')[1]?.split('\n') ?? []) {
    section = /^##+ (\S+)$/.exec(line)?.[1] ?? section;
    const key = /^\| `(\w+)` \|/.exec(line)?.[1];
    if (key !== undefined) known.push(section === '' ? key : `${section}.${key}`);
  }
  const [, table = ''] = read('reload.md').split('## What changes when');
  const said = table
    .split('## Routes')[0]
    ?.split('\n')
    .flatMap((line) => {
      const [, cell = ''] = line.split('|');
      const names = [...cell.matchAll(/`([\w.]+)`/g)].map(([, name = '']) => name);
      const [of] = names[0]?.split('.').slice(0, -1) ?? [];
      // Beside `log.level` it is a section of its own.
      const isWhole = (name: string) => of === undefined || name.includes('.') || name === 'reload';
      return names.map((name) => (isWhole(name) ? name : `${of}.${name}`));
    });
  const isSaid = (key: string) => said?.some((name) => key === name || key.startsWith(`${name}.`)) === true;
  expect(known.length).toBeGreaterThan(100);
  expect(known.filter((key) => !isSaid(key))).toEqual([]);
  // Those that change, and of which no other test sees it.
  const changing = known.flatMap((key) => /^(http|ops|sse|limits|drain)\.\w+/.exec(key)?.[0] ?? []);
  const elsewhere = ['http.listen', 'http.tls', 'ops.listen', 'ops.tokenFile', 'sse.control'];
  const others = [...elsewhere, 'limits.requestHeaders', 'sse.heartbeat', 'sse.maxAge', 'drain.timeout'];
  expect(changing.filter((key) => !(key in CASES) && !others.includes(key))).toEqual([]);
});
