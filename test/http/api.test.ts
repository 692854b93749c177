import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { CONTROL_HTTP } from '../../src/control/http.ts';
import { Api, type ApiCaller, type ApiOperation, type ApiPayload } from '../../src/http/api.ts';
import { type OpsOptions, OpsServer } from '../../src/http/ops.ts';
import { createLog } from '../../src/log.ts';
import { poll } from '../support/poll.ts';

const TOKEN = 'a-token-of-the-operators';
const OPERATIONS: readonly ApiOperation[] = [
  {
    name: 'look',
    kind: 'read',
    fields: {
      name: { type: 'string' },
      limit: { type: 'integer' },
      all: { type: 'boolean' },
      names: { type: 'array', items: { type: 'string' } },
      about: { type: 'object' },
    },
    maxBytes: 100,
  },
  { name: 'act', kind: 'act', fields: {}, maxBytes: 100 },
];

interface Started extends Partial<Pick<OpsOptions, 'metrics' | 'stuckMs'>> {
  readonly token?: string | null;
  readonly held?: Promise<void>;
  readonly bodyTimeoutMs?: number;
}

interface Called {
  readonly operation: string;
  readonly payload: unknown;
  readonly caller: ApiCaller;
}

async function start({ token = TOKEN, held, bodyTimeoutMs = 200, ...ops }: Started = {}) {
  const calls: Called[] = [];
  const lines: string[] = [];
  const api = new Api({
    ...CONTROL_HTTP,
    operations: OPERATIONS,
    token: token ?? undefined,
    clock: systemClock,
    log: createLog({ level: 'debug', format: 'json' }, { write: (line) => lines.push(line) }),
    bodyTimeoutMs,
    async call(operation, payload: ApiPayload, caller) {
      await held;
      calls.push({
        operation,
        payload: payload instanceof Uint8Array ? Buffer.from(payload).toString() : payload,
        caller,
      });
      if (operation === 'act' && payload.length === 0)
        return { ok: false, error: { code: 'USER_NOT_FOUND', message: 'nobody' } };
      return { ok: true, answer: { done: operation } };
    },
  });
  const server = new OpsServer({
    listen: { host: '127.0.0.1', port: 0 },
    metrics: async () => ({ text: '', contentType: 'text/plain' }),
    unready: () => undefined,
    api,
    ...ops,
  });
  onTestFinished(() => server.stop());
  const { port } = await server.listen();
  const ask = async (path: string, init: RequestInit = {}) => {
    const headers = { Authorization: `Bearer ${TOKEN}`, ...(init.headers as Record<string, string>) };
    const response = await fetch(`http://127.0.0.1:${port}/api/${path}`, { ...init, headers });
    const text = await response.text();
    const body = text === '' ? undefined : JSON.parse(text);
    return { status: response.status, headers: response.headers, body, code: body?.error?.code };
  };
  return { ask, calls, lines, api, port };
}

const json = (body: string) => ({
  method: 'POST',
  body,
  headers: { 'Content-Type': 'application/json' },
});

test('a read brings its fields in the query, each as what its schema says it is', async () => {
  const { ask, calls } = await start();
  const { status, body, headers } = await ask('look?name=007&limit=10&all=true&names=a,b&names=c');
  expect([status, body]).toEqual([200, { done: 'look' }]);
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('content-type')).toBe('application/json');
  expect(calls[0]?.payload).toEqual({ name: '007', limit: 10, all: true, names: ['a', 'b', 'c'] });
});

test.each([
  ['limit=ten', 'CONTROL_INVALID'],
  ['limit=', 'CONTROL_INVALID'],
  ['limit=1e3', 'CONTROL_INVALID'],
  ['limit=1&limit=2', 'CONTROL_INVALID'],
  ['all=1', 'CONTROL_INVALID'],
  ['name=a&name=b', 'CONTROL_INVALID'],
  ['about={}', 'CONTROL_INVALID'],
  ['other=1', 'CONTROL_INVALID'],
  ['__proto__=1', 'CONTROL_INVALID'],
  ['name=%ff', 'CONTROL_MALFORMED'],
])('a query that would have to be guessed at is refused: %s', async (query, code) => {
  const { ask, calls } = await start();
  expect(await ask(`look?${query}`)).toMatchObject({ status: 400, code });
  expect(calls).toEqual([]);
});

test('an act brings one JSON body, and says who calls', async () => {
  const { ask, calls } = await start();
  const init = json('{"user":"42"}');
  const answer = await ask('act', { ...init, headers: { ...init.headers, 'Sidestream-Caller': 'desk' } });
  expect(answer).toMatchObject({ status: 200, body: { done: 'act' } });
  const caller = { via: 'http', address: '127.0.0.1', name: 'desk' };
  expect(calls).toEqual([{ operation: 'act', payload: '{"user":"42"}', caller }]);
});

test('an act has the address of who brought it, though they are gone by then, and a name in UTF-8', async () => {
  const { port, calls } = await start();
  const socket = connect(port, '127.0.0.1').resume();
  // What follows the body is no HTTP: the socket is closed before the body is passed on.
  socket.write(`${HEAD}Sidestream-Caller: M\u00fcller\r\nContent-Length: 2\r\n\r\n{}\x00garbage\r\n\r\n`);
  await poll('the call', () => calls.length === 1);
  expect(calls[0]?.caller).toEqual({ via: 'http', address: '127.0.0.1', name: 'M\u00fcller' });
});

test('what an operation refuses has its code, and the status of that code', async () => {
  const { ask } = await start();
  expect(await ask('act', { method: 'POST' })).toMatchObject({
    status: 404,
    body: { error: { code: 'USER_NOT_FOUND', message: 'nobody' } },
  });
});

test('without the token nothing is told and nothing called; that is counted, and logged without it', async () => {
  const { ask, calls, api, lines } = await start();
  for (const Authorization of ['', 'Bearer ', `Bearer ${TOKEN}x`, TOKEN, `Basic ${TOKEN}`, 'Bearer a b']) {
    const { status, code, headers } = await ask('look', { headers: { Authorization } });
    expect([Authorization, status, code]).toEqual([Authorization, 401, 'CONTROL_UNAUTHORIZED']);
    expect(headers.get('www-authenticate')).toMatch(/^Bearer realm="sidestream"/);
  }
  expect(await ask('nothing', { headers: { Authorization: 'Bearer x' } })).toMatchObject({ status: 401 });
  expect((await ask('look', { headers: { Authorization: `bearer ${TOKEN}` } })).status).toBe(200);
  expect(calls).toHaveLength(1);
  expect(api.refused.get('CONTROL_UNAUTHORIZED')).toBe(7);
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toContain(TOKEN);
});

test('where no token is configured every path is answered 403, which says what switches it on', async () => {
  const { ask, calls } = await start({ token: null });
  const answer = await ask('look');
  expect(answer).toMatchObject({ status: 403, code: 'CONTROL_DISABLED' });
  expect(answer.body.error.message).toContain('ops.token');
  expect(calls).toEqual([]);
});

test('an unknown operation and a wrong method are told what there is', async () => {
  const { ask } = await start();
  const unknown = await ask('lok');
  expect(unknown).toMatchObject({ status: 404, code: 'CONTROL_UNKNOWN' });
  expect(unknown.body.error.message).toContain('look, act');
  for (const path of ['', 'look/', '..%2flook', '__proto__'])
    expect((await ask(path)).status, path).toBe(404);
  const posted = await ask('look', { method: 'POST' });
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await ask('act', { method });
    expect([method, status, headers.get('allow')]).toEqual([method, 405, 'POST']);
  }
  expect(await ask('look', { method: 'HEAD' })).toMatchObject({ status: 200, body: undefined });
});

test('a body that is said to be something else than JSON is refused', async () => {
  const { ask, calls } = await start();
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
  ]) {
    const init = { method: 'POST', body: '{}', headers: { 'Content-Type': type } };
    expect(await ask('act', init)).toMatchObject({ status: 415, code: 'CONTROL_MEDIA_TYPE' });
  }
  const packed = { ...json('{}').headers, 'Content-Encoding': 'gzip' };
  expect((await ask('act', { ...json('{}'), headers: packed })).status).toBe(415);
  const utf8 = { 'Content-Type': 'application/json; charset=UTF-8' };
  expect((await ask('act', { ...json('{}'), headers: utf8 })).status).toBe(200);
  expect((await ask('act?user=42', json('{}'))).code).toBe('CONTROL_INVALID');
  expect(calls).toHaveLength(1);
});

test('a body beyond the bound is refused, whether its length is said or not', async () => {
  const { ask, calls, port } = await start();
  expect((await ask('act', json(' '.repeat(100)))).status).toBe(200);
  expect(await ask('act', json(' '.repeat(101)))).toMatchObject({ status: 413, code: 'CONTROL_TOO_LARGE' });
  const chunked = await new Promise<number>((resolve, reject) => {
    const headers = { Authorization: `Bearer ${TOKEN}`, 'Transfer-Encoding': 'chunked' };
    const outgoing = httpRequest({ port, path: '/api/act', method: 'POST', headers }, (response) => {
      resolve(response.statusCode ?? 0);
      outgoing.destroy();
    });
    outgoing.on('error', reject);
    outgoing.write(' '.repeat(60));
    outgoing.write(' '.repeat(60));
  });
  expect(chunked).toBe(413);
  expect(calls).toHaveLength(1);
});

/** Sends raw bytes; gives all that comes until the server closes. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('close', () => resolve(answer)).on('error', reject);
  });
}

const HEAD = `POST /api/act HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\n`;

test('who is refused by the head alone is not asked for the body', async () => {
  const { port } = await start();
  const head = `${HEAD}Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n`;
  const answer = await exchange(port, head);
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  expect(answer).toContain('Connection: close');
});

test('a body that is refused and would be long is not waited for, nor read', async () => {
  const { port } = await start();
  for (const length of ['Content-Length: 9999999', 'Transfer-Encoding: chunked']) {
    const answer = await exchange(port, `${HEAD.replace(TOKEN, 'wrong')}${length}\r\n\r\n`);
    expect(answer, length).toMatch(/^HTTP\/1\.1 401 /);
    expect(answer, length).toContain('Connection: close');
  }
});

test('a body that does not come ends the request', async () => {
  const { port, calls } = await start();
  const answer = await exchange(port, `${HEAD}Content-Length: 10\r\n\r\n{`);
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toContain('CONTROL_TIMEOUT');
  expect(calls).toEqual([]);
});

test('clients that leave in the middle of a body leave nothing behind', async () => {
  // Longer than they take to leave, however busy the machine is.
  const { ask, port, calls, api } = await start({ bodyTimeoutMs: 10_000 });
  await Promise.all(
    Array.from({ length: 70 }, async () => {
      const socket = connect(port, '127.0.0.1');
      await new Promise<void>((resolve) =>
        socket.write(`${HEAD}Content-Length: 10\r\n\r\n{`, () => resolve()),
      );
      await new Promise<void>((resolve) => socket.on('close', () => resolve()).destroy());
    }),
  );
  await poll('the places to be free', async () => (await ask('look')).status === 200);
  expect(calls.map(({ operation }) => operation)).toEqual(['look']);
  expect(api.refused.get('CONTROL_TIMEOUT')).toBeUndefined();
});

test('more calls than are taken at once are turned away at once, and the probes still answer', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { ask, port, calls } = await start({ held });
  const answers = Array.from({ length: 80 }, () => ask('look'));
  const first = await Promise.race(answers);
  expect(first).toMatchObject({ status: 429, code: 'CONTROL_BUSY' });
  expect(first.headers.get('retry-after')).toBe('1');
  expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
  release();
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(64);
  expect(calls).toHaveLength(64);
  expect((await ask('look')).status).toBe(200);
});

test('a connection that sends many requests ahead is ended, and has no more answered than a few', async () => {
  let asked = 0;
  const metrics = async () => {
    asked += 1;
    return { text: 'x'.repeat(100_000), contentType: 'text/plain' };
  };
  const { port } = await start({ metrics });
  const request = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
  const socket = connect(port, '127.0.0.1');
  const ended = new Promise<void>((resolve) => socket.on('error', () => {}).on('close', () => resolve()));
  socket.resume().write(request.repeat(1000));
  await ended;
  expect(asked).toBe(16);
  // One after the other there may be any number.
  const again = connect(port, '127.0.0.1');
  for (let n = 0; n < 40; n += 1) {
    again.write(request);
    await new Promise<void>((resolve) => {
      let bytes = 0;
      const take = (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes < 100_000) return;
        again.off('data', take);
        resolve();
      };
      again.on('data', take);
    });
  }
  again.destroy();
  expect(asked).toBe(56);
});

test('a connection that does not read its answer is ended', async () => {
  const metrics = async () => ({ text: 'x'.repeat(20_000_000), contentType: 'text/plain' });
  const { port } = await start({ metrics, stuckMs: 300 });
  // A client that reads nothing is told nothing either: it shows on the other side.
  const served = new Promise<Socket>((resolve) => {
    const began = (message: unknown) => resolve((message as { socket: Socket }).socket);
    subscribe('http.server.request.start', began);
    onTestFinished(() => void unsubscribe('http.server.request.start', began));
  });
  const socket = connect(port, '127.0.0.1')
    .on('error', () => {})
    .pause();
  onTestFinished(() => void socket.destroy());
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  const other = await served;
  await poll('the connection to be ended', () => other.destroyed);
});
