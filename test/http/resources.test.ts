import { connect as openSocket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Permit } from '../../src/auth/authenticator.ts';
import type { Identity } from '../../src/auth/identity.ts';
import { parseConfig } from '../../src/config/load.ts';
import { Cors } from '../../src/http/cors.ts';
import { Failures } from '../../src/http/failures.ts';
import { copyRequest } from '../../src/http/request.ts';
import type { Resource, ResourceRequest } from '../../src/http/resource.ts';
import { Resources, type ResourcesOptions } from '../../src/http/resources.ts';
import { Retry } from '../../src/http/retry.ts';
import { createApp, loadUws } from '../../src/http/uws.ts';
import { createLog } from '../../src/log.ts';
import { Metrics } from '../../src/metrics.ts';
import type { RefusalCode } from '../../src/reasons.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { poll } from '../support/poll.ts';

const CHANNELS = {
  user: { channel: 'user-{id}', subject: 'notify.{id}', access: 'public' },
  bare: { channel: 'bare', subject: 'bare', access: 'public' },
};
const JSON_BODY = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
const NOTHING = { forwardedHeader: undefined, cookie: false, encoding: false, userAgent: false };

/** What stands beside the streams of `user-{id}`; says what it was asked. */
class Notes implements Resource {
  readonly name = 'notes';
  readonly methods = ['GET', 'POST'] as const;
  readonly asked: ResourceRequest[] = [];
  /** What it waits for before it answers. */
  gate: Promise<void> = Promise.resolve();

  serves({ route }: ResourceRequest['destination']): boolean {
    return route.name === 'user';
  }

  async answer(request: ResourceRequest) {
    this.asked.push(request);
    await this.gate;
    if (request.query.has('busy'))
      return { status: 503, body: { error: { code: 'BUSY', message: 'later' } } };
    if (request.query.has('throw')) throw new Error('as asked');
    return { status: 200, body: { method: request.method, body: request.body ?? null } };
  }
}

type Over = Partial<ResourcesOptions> & {
  readonly limits?: object;
  readonly gate?: Promise<void>;
  readonly failures?: Failures;
};

/** A port with one resource behind `/events`. */
function serve({ limits = {}, gate, failures, ...over }: Over = {}) {
  const { config } = parseConfig(
    JSON.stringify({ channels: CHANNELS, limits, http: { cors: { origins: ['https://app.example'] } } }),
    'test.yaml',
    {},
  );
  const clock = new ManualClock();
  const notes = new Notes();
  if (gate !== undefined) notes.gate = gate;
  const metrics = new Metrics();
  const retry = new Retry({
    clock,
    retryMs: { min: 1, max: 2 },
    reconnectRatePerSecond: 1,
    connections: () => 0,
  });
  const resources = new Resources({
    resources: [notes],
    config,
    clock,
    log: createLog({ level: 'silent', format: 'json' }, { write: () => true }),
    metrics,
    router: new Router(config.channels),
    authenticator: { permit: ({ destinations }): Permit => ({ identity: undefined, destinations }) },
    front: { cors: new Cors(config.http.cors), retry, failures: failures ?? new Failures(clock, 10) },
    address: () => '192.0.2.1',
    unready: () => undefined,
    channelState: () => 'open',
    ...over,
  });
  const { uws } = loadUws(16_384);
  const app = createApp(uws, undefined);
  app.any('/*', (res, req) => {
    if (!resources.take(res, copyRequest(req, NOTHING))) res.writeStatus('404 Not Found').end('left');
  });
  const port = new Promise<number>((resolve) => {
    app.listen('127.0.0.1', 0, (socket) => resolve(socket === false ? 0 : uws.us_socket_local_port(socket)));
  });
  onTestFinished(() => {
    app.close();
  });
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`http://127.0.0.1:${await port}${path}`, init);
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, code: codeOf(text) };
  };
  return { notes, resources, metrics, port, ask };
}

function codeOf(text: string): string | undefined {
  try {
    const value: { error?: { code?: string } } = JSON.parse(text);
    return value.error?.code;
  } catch {
    // SyntaxError: no refusal of ours.
    return undefined;
  }
}

describe('what stands beside a stream', () => {
  it('is told who asks about which channel, and its answer goes out as JSON that nobody keeps', async () => {
    const { notes, ask } = serve();
    const answer = await ask('/events/user-42/notes?limit=5', { headers: { Origin: 'https://app.example' } });
    expect(JSON.parse(answer.text)).toEqual({ method: 'GET', body: null });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json']);
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(notes.asked[0]?.destination).toMatchObject({ channel: 'user-42', params: { id: '42' } });
    expect(notes.asked[0]?.query.get('limit')).toBe('5');
  });

  it('is given the JSON of a POST, whole, in however many pieces it comes', async () => {
    const { ask } = serve();
    const text = 'ä'.repeat(8000);
    const body = new ReadableStream({
      async start(controller) {
        for (const byte of [`{"text":"${text.slice(0, 4000)}`, text.slice(4000), '"}']) {
          controller.enqueue(new TextEncoder().encode(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        controller.close();
      },
    });
    const init: RequestInit & { duplex: 'half' } = { ...JSON_BODY, body, duplex: 'half' };
    const answer = await ask('/events/user-42/notes', init);
    expect(JSON.parse(answer.text)).toEqual({ method: 'POST', body: { text } });
  });

  it('may refuse, and says when to come back where that may help', async () => {
    const answer = await serve().ask('/events/user-42/notes?busy');
    expect([answer.status, answer.code, answer.headers.get('retry-after')]).toEqual([503, 'BUSY', '1']);
  });

  it('answers the preflight of a POST with JSON', async () => {
    const { ask } = serve();
    const answer = await ask('/events/user-42/notes', {
      method: 'OPTIONS',
      headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-methods')).toBe('GET, POST');
    expect(answer.headers.get('access-control-allow-headers')).toContain('Content-Type');
  });

  it.each([
    '/events/user-42',
    '/events/user-42/others',
    '/events/user-42/notes/x',
    '/events//',
    '/x/y/notes',
  ])('is none at %s', async (path) => {
    expect((await serve().ask(path)).text).toBe('left');
  });
});

describe('a request beside a stream is refused', () => {
  const big = JSON.stringify({ text: 'x'.repeat(16 * 1024) });

  it.each<[string, number, RefusalCode, RequestInit]>([
    ['/events/bare/notes', 404, 'NOT_FOUND', {}],
    ['/events/nobody/notes', 404, 'CHANNEL_UNKNOWN', {}],
    ['/events/user-*/notes', 400, 'CHANNEL_MALFORMED', {}],
    ['/events/user-%zz/notes', 400, 'CHANNEL_MALFORMED', {}],
    ['/events/user-1/notes', 405, 'METHOD_NOT_ALLOWED', { method: 'DELETE' }],
    ['/events/user-1/notes', 415, 'BODY_TYPE', { method: 'POST', body: '{}' }],
    ['/events/user-1/notes', 415, 'BODY_TYPE', { method: 'POST', body: new URLSearchParams('a=b') }],
    ['/events/user-1/notes', 400, 'BODY_MALFORMED', JSON_BODY],
    ['/events/user-1/notes', 400, 'BODY_MALFORMED', { ...JSON_BODY, body: '{' }],
    ['/events/user-1/notes', 400, 'BODY_MALFORMED', { ...JSON_BODY, body: Buffer.from([0x22, 0xff, 0x22]) }],
    ['/events/user-1/notes', 413, 'BODY_TOO_LARGE', { ...JSON_BODY, body: big }],
    ['/events/user-1/notes?throw', 500, 'REQUEST_FAILED', {}],
  ])('%s with %i %s', async (path, status, code, init) => {
    const { ask, resources, metrics } = serve();
    const answer = await ask(path, init);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(metrics.requestsRefused.get(code)).toBe(1);
    if (status === 405) expect(answer.headers.get('allow')).toBe('GET, POST, OPTIONS');
    await poll('the end of the request', () => resources.inFlight === 0);
  });

  it('where its body turns out to be too large only as it comes', async () => {
    const body = new Blob([big]).stream();
    const init: RequestInit & { duplex: 'half' } = { ...JSON_BODY, body, duplex: 'half' };
    expect(await serve().ask('/events/user-1/notes', init)).toMatchObject({
      status: 413,
      code: 'BODY_TOO_LARGE',
    });
  });

  it('before its body is parsed, where the token does not do; and a bad token counts against the address', async () => {
    const failed: string[] = [];
    const { ask, notes } = serve({
      authenticator: { permit: () => ({ refused: 'TOKEN_INVALID', badToken: true }) },
      failures: { mayVerify: () => true, failed: (address: string) => failed.push(address) } as never,
    });
    const answer = await ask('/events/user-1/notes', { ...JSON_BODY, body: '{' });
    expect([answer.status, answer.code, failed]).toEqual([401, 'TOKEN_INVALID', ['192.0.2.1']]);
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    expect(notes.asked).toEqual([]);
  });

  it.each([
    ['closed', 404, 'CHANNEL_UNKNOWN'],
    ['unknown', 404, 'CHANNEL_UNKNOWN'],
    ['loading', 503, 'NATS_NOT_READY'],
  ] as const)('where the channel is %s', async (state, status, code) => {
    const answer = await serve({ channelState: () => state }).ask('/events/user-1/notes');
    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  it('before its body has come, where the token does not do: nobody without a right holds a place', async () => {
    const { port, resources } = serve({
      authenticator: { permit: () => ({ refused: 'TOKEN_MISSING', badToken: false }) },
    });
    const socket = openSocket(await port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const head = 'POST /events/user-1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    socket.write(`${head}Content-Length: 10\r\n\r\n{"a"`);
    const answer = await new Promise((resolve) => socket.once('data', (bytes) => resolve(`${bytes}`)));
    expect(answer).toContain('401 Unauthorized');
    expect(resources.inFlight).toBe(0);
  });

  it('where the token ends while its body comes', async () => {
    const clock = new ManualClock();
    const identity = { subject: 'a', claims: {}, expiresAtMs: clock.wall() + 1000 } as Identity;
    const { port, resources, notes } = serve({
      clock,
      authenticator: { permit: ({ destinations }): Permit => ({ identity, destinations }) },
    });
    const socket = openSocket(await port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const head = 'POST /events/user-1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    socket.write(`${head}Content-Length: 2\r\n\r\n{`);
    await poll('the request to be under way', () => resources.inFlight === 1);
    clock.advance(1000);
    const answered = new Promise((resolve) => socket.once('data', (bytes) => resolve(`${bytes}`)));
    socket.write('}');
    expect(await answered).toContain('TOKEN_EXPIRED');
    expect(notes.asked).toEqual([]);
  });

  it('while the instance takes no streams', async () => {
    const { ask } = serve({ unready: () => 'DRAINING' });
    const answer = await ask('/events/user-1/notes');
    expect([answer.status, answer.code]).toEqual([503, 'DRAINING']);
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it('above the rate of new streams', async () => {
    const { ask } = serve({ limits: { connectRate: '2/s' } });
    const codes = [];
    for (let i = 0; i < 3; i += 1) codes.push((await ask('/events/user-1/notes')).code);
    expect(codes).toEqual([undefined, undefined, 'REQUEST_RATE']);
  });
});

describe('requests that are under way', () => {
  it('are bounded for one address, and given back when they are answered', async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { ask, resources, notes } = serve({ gate });
    const waiting = Array.from({ length: 128 }, () => ask('/events/user-1/notes'));
    await poll('all to be under way', () => notes.asked.length === 128);
    expect((await ask('/events/user-1/notes')).code).toBe('REQUEST_LIMIT');
    open();
    expect((await Promise.all(waiting)).every(({ status }) => status === 200)).toBe(true);
    expect(resources.inFlight).toBe(0);
  });

  it('are given back when their client goes away in the middle of a body', async () => {
    const { port, resources, notes } = serve({ gate: new Promise(() => {}) });
    const head = 'POST /events/user-1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const socket = openSocket(await port, '127.0.0.1');
    socket.write(`${head}Content-Length: 10\r\n\r\n{"a"`);
    await poll('the request to be under way', () => resources.inFlight === 1);
    socket.destroy();
    await poll('it to be given back', () => resources.inFlight === 0);
    expect(notes.asked).toEqual([]);
  });
});
